"""Soft tokens while they learn: how they are parametrised, and how a journal keeps them."""

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Generator, Tensor

AdapterForm = Literal["direct", "residual", "low_rank", "mixture"]
SoftPlace = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class SoftOptions:
    """How vectors learn.

    Attributes:
        vectors: soft tokens.
        form: how they are parametrised.
        experts: of a mixture.
        rank: of low_rank.
        epochs: over all queries that are learned from, at most.
        batch: queries.
        rate: of AdamW, times the mean length of an input embedding.
        anchor: weight of the L1 distance from query vectors without soft tokens.
        agreement: weight of the KL divergence from the scores without soft tokens.
        place: "before" everything but a BOS token, or directly "after" the text.
    """

    vectors: int = 4
    form: AdapterForm = "direct"
    experts: int = 2
    rank: int = 2
    epochs: int = 10
    batch: int = 32
    rate: float = 0.03
    anchor: float = 0.0
    agreement: float = 0.0
    place: SoftPlace = "after"

    def __post_init__(self) -> None:
        for name, kind in (("form", AdapterForm), ("place", SoftPlace)):
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise ValueError(f"{name} is one of {known}; got {getattr(self, name)!r}")
        if min(self.vectors, self.experts, self.rank, self.epochs, self.batch) < 1:
            raise ValueError("vectors, experts, rank, epochs and batch are at least 1")


class SoftVectors:
    """Soft tokens and the tensors that they are computed from."""

    def __init__(
        self, start: NDArray[np.float32], options: SoftOptions, generator: "Generator"
    ) -> None:
        import torch

        self._start = torch.from_numpy(start.copy())
        self._form, self._place = options.form, options.place
        dim = start.shape[2]
        self.router = None
        if options.form == "low_rank":
            short = torch.zeros(start.shape[1], options.rank)
            wide = torch.randn(options.rank, dim, generator=generator) * 0.02
            self.tensors = [self._start, short, wide]
        elif options.form == "residual":
            down = torch.randn(dim, dim // 2, generator=generator) / dim**0.5
            up = torch.zeros(dim // 2, dim)
            self.tensors = [self._start, down, up]
        else:
            self.tensors = [self._start]
        if options.form == "mixture":
            self.router = torch.zeros(dim, len(start))
            self.tensors.append(self.router)
        for tensor in self.tensors:
            tensor.requires_grad_(True)

    def soft(self) -> "Tensor":
        """Return (experts, m, dim)."""
        import torch

        if self._form == "low_rank":
            return self._start + (self.tensors[1] @ self.tensors[2])[None]
        if self._form == "residual":
            return self._start + torch.relu(self._start @ self.tensors[1]) @ self.tensors[2]
        return self._start

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of a query adapter."""
        name = "after" if self._place == "after" else "soft"
        arrays = {name: self.soft().detach().numpy().copy()}
        if self.router is not None:
            arrays["router"] = self.router.detach().numpy().copy()
        return arrays


def encoded_arrays(arrays: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
    """Write arrays as JSON, to the bit."""
    return {
        name: [list(array.shape), base64.b64encode(array.astype("<f4").tobytes()).decode()]
        for name, array in arrays.items()
    }


def decoded_arrays(encoded: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """Read what `encoded_arrays` wrote."""
    return {
        name: np.frombuffer(base64.b64decode(data), "<f4").reshape(shape).astype(np.float32)
        for name, (shape, data) in encoded.items()
    }
