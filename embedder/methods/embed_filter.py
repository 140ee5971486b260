"""EmbedFilter: keep the directions of the LM head that lie in the middle of its spectrum.

With the LM head W = U S V^T (vocab, dim), strongest singular value first, a state e (dim,) is read
as e V[:, l:r]. The strongest directions tell frequent tokens from all others, the weakest hold
little of any token; what lies between says more about the text, in fewer numbers ("EmbedFilter",
arXiv 2606.07502).
"""

import torch
from torch import Tensor

from embedder.prompts.method_rules import FilterRules

_ROWS = 8192  # of the head that stand in float64 at a time: 256 MiB for a width of 4096


def filter_basis(head: Tensor, rule: FilterRules) -> Tensor:
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
