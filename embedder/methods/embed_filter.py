"""EmbedFilter: keep the directions of the LM head that lie in the middle of its spectrum.

With the LM head W = U S V^T (vocab, dim), strongest singular value first, a state e (dim,) is read
as e V[:, l:r]. The strongest directions tell frequent tokens from all others, the weakest hold
little of any token; what lies between says more about the text, in fewer numbers ("EmbedFilter",
arXiv 2606.07502).
"""

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 8192  # of the head that stand in float64 at a time: 256 MiB for a width of 4096


@dataclass(frozen=True, slots=True)
class FilterRules:
    """Which directions are kept, counted from the strongest.

    An int is a number of directions, a float a fraction of the model's width. To drop as many of
    the weakest as of the strongest, let skip be (1 - dim) / 2.

    Attributes:
        skip: leading directions that are dropped; an int from 0, or a float from 0.0 to below 1.0.
        dim: directions after them that are kept; an int from 1, or a float above 0.0 to 1.0.
    """

    skip: int | float
    dim: int | float

    def __post_init__(self) -> None:
        _check("skip", self.skip)
        _check("dim", self.dim)
        if self.dim == 0:
            raise ValueError("dim must be above 0: it is what is kept of the model's width")
        if self.skip == 1.0 and isinstance(self.skip, float):
            raise ValueError("skip must be below 1.0, or nothing is kept; the whole number 1 is 1")

    def span(self, width: int) -> tuple[int, int]:
        """Find the [start, end) of the directions that are kept of a model of this width.

        Raises:
            ValueError: the model has fewer directions than are skipped and kept, or none is kept.
        """
        skip, dim = (
            share * width if isinstance(share, float) else share for share in (self.skip, self.dim)
        )
        # The end is rounded as a whole: 0.3 and 0.7 of 5 would else be 2 and 4.
        start, end = round(skip), round(skip + dim)
        if end > width:
            raise ValueError(
                f"filter.skip {self.skip} and filter.dim {self.dim} ask for {end} directions, "
                f"but the model has {width}; lower one of them"
            )
        if start == end:
            raise ValueError(
                f"filter.dim {self.dim} keeps none of the model's {width} directions; raise it"
            )
        return start, end


def filter_basis(head: "Tensor", rule: FilterRules) -> "Tensor":
    """Find the directions that are kept, as orthonormal columns; states @ basis is the projection.

    They are eigenvectors of W^T W (dim, dim), which takes the memory of no second head. The sign
    of a singular vector is free: here its largest component is positive.

    Args:
        head: (vocab, dim) weight of the LM head, of any floating type.
        rule: which directions.

    Returns:
        (dim, kept) float32, strongest first, on the head's device.

    Raises:
        ValueError: the head is no matrix of finite floats, or narrower than the rule asks for.
    """
    import torch  # late: prompts hold a Filter, and are read without it

    head = head.detach()
    if head.ndim != 2 or not head.is_floating_point():
        raise ValueError(
            f"an LM head must be a (vocab, dim) matrix of floats, got {tuple(head.shape)} of "
            f"{head.dtype}; load the model without quantising its head"
        )
    start, end = rule.span(head.shape[1])
    device = torch.device("cpu") if head.device.type == "mps" else head.device  # has no float64
    gram = torch.zeros(head.shape[1], head.shape[1], dtype=torch.float64, device=device)
    for first in range(0, len(head), _ROWS):
        wide = head[first : first + _ROWS].to(device, torch.float64)
        gram.addmm_(wide.T, wide)
    if not gram.isfinite().all():
        raise ValueError("the LM head holds values that are not finite; the model is damaged")
    vectors: Tensor = torch.linalg.eigh(gram).eigenvectors.flip(1)[:, start:end]  # (dim, kept)
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))  # (1, kept)
    return (vectors * largest.sign()).to(head.device, torch.float32)


def _check(name: str, share: int | float) -> None:
    limit = 1.0 if isinstance(share, float) else float("inf")
    if isinstance(share, bool) or not isfinite(share) or not 0 <= share <= limit:
        raise ValueError(
            f"{name} must be a whole number of directions, or a fraction of the model's width from "
            f"0.0 to 1.0, got {share!r}"
        )
