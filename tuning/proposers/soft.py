"""Learn soft tokens: vectors before a query that no word stands for.

CoOp (Zhou et al., IJCV 2022) for the query side of retrieval: documents are fixed, so an epoch
costs the queries alone. Options of one module: a residual network over the vectors (PRE, Pham et
al., AAAI 2024), short vectors times a low-rank pair (EPT, Lan et al., 2024), a mixture with a
router (MoCoOp, Du et al., 2024); the anchor and the average over epochs of PromptSRC (Khattak et
al., ICCV 2023). It does not reach fine-tuning (DPTDR, Tang et al., COLING 2022).
"""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.adapted import QueryAdapter
from tuning.proposers.gradients import TEMPERATURE, GradientModel, batches
from tuning.proposers.vocabulary import Vocabulary
from tuning.search.budget import Cost
from tuning.search.types import Proposal, ProposerContext, Scored

if TYPE_CHECKING:
    from torch import Generator, Tensor

AdapterForm = Literal["direct", "residual", "low_rank", "mixture"]
SPREAD = 0.25  # of the Gaussian average, in epochs' count


@dataclass(frozen=True, slots=True)
class SoftOptions:
    """How vectors learn.

    Attributes:
        vectors: soft tokens.
        form: how they are parametrised.
        experts: of a mixture.
        rank: of low_rank.
        epochs: over all queries of SEARCH.
        batch: queries.
        rate: of AdamW, times the mean length of an input embedding.
        anchor: weight of the L1 distance from query vectors without soft tokens.
        agreement: weight of the KL divergence from the scores without soft tokens.
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

    def __post_init__(self) -> None:
        if self.form not in get_args(AdapterForm):
            known = ", ".join(get_args(AdapterForm))
            raise ValueError(f"form is one of {known}; got {self.form!r}")
        if min(self.vectors, self.experts, self.rank, self.epochs, self.batch) < 1:
            raise ValueError("vectors, experts, rank, epochs and batch are at least 1")


@dataclass(slots=True)
class Soft:
    """Trains once, and proposes the trained vectors.

    Attributes:
        context: what it works with.
        gradients: gives the loss.
        vocabulary: words whose embeddings vectors begin at.
        folder: where files of vectors go.
        options: of the training.
        name: "soft".
    """

    context: ProposerContext
    gradients: GradientModel
    vocabulary: Vocabulary
    folder: Path
    options: SoftOptions = field(default_factory=SoftOptions)
    name: str = "soft"
    _done: bool = False

    def ask(self, n: int) -> list[Proposal]:
        """Train, and propose the average over epochs and the last ones."""
        if self._done:
            return []
        self._done = True
        options = self.options
        tokens = self.gradients.tokens(self.context.search, options.vectors)
        if options.anchor or options.agreement:  # one more pass forward, without soft tokens
            tokens += self.gradients.tokens(self.context.search, 0) // 2
        tokens *= options.epochs
        key = [self.context.seed, asdict(options)]
        arrays = self.context.once("soft", key, Cost(tokens=tokens), self._trained)
        epochs = [_decoded(encoded) for encoded in arrays]
        weights = np.exp(-0.5 * ((np.arange(1, len(epochs) + 1) / len(epochs) - 1) / SPREAD) ** 2)
        mean = {
            name: np.average([epoch[name] for epoch in epochs], axis=0, weights=weights).astype(
                np.float32
            )
            for name in epochs[0]
        }
        chosen = [("average over epochs", mean)]
        chosen += [(f"epoch {at + 1}", epochs[at]) for at in range(len(epochs) - 1, 0, -3)]
        return [
            Proposal(
                replace(self.context.space.default, adapt=QueryAdapter(**epoch).save(self.folder)),
                self.name,
                f"{options.vectors} soft tokens, {options.form}: {title}",
            )
            for title, epoch in chosen
        ]

    def tell(self, results: Sequence[Scored]) -> None:
        """Nothing is learned from scores: checkpoints are candidates, and races choose."""

    def _trained(self) -> list[dict[str, Any]]:
        import torch

        options = self.options
        rng = np.random.default_rng([self.context.seed, 61])
        generator = torch.Generator().manual_seed(self.context.seed)
        module = _SoftVectors(self._start(rng), options, generator)
        scale = float(np.linalg.norm(self.vocabulary.rows, axis=1).mean())
        unit = scale / self.vocabulary.rows.shape[1] ** 0.5
        optimizer = torch.optim.AdamW(module.tensors, lr=options.rate * unit, weight_decay=0.0)
        checkpoints = []
        for _ in range(options.epochs):
            for queries in batches(self.context.search, options.batch, rng):
                loss = self._loss(module, queries)
                optimizer.zero_grad()
                # To these tensors alone: the model's own weights keep no gradients.
                loss.backward(inputs=module.tensors)  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(module.tensors, 1.0)
                optimizer.step()
            checkpoints.append(_encoded(module.arrays()))
        return checkpoints

    def _loss(self, module: "_SoftVectors", queries: Sequence[str]) -> "Tensor":
        import torch
        from torch.nn.functional import kl_div

        vectors = self.gradients.vectors(queries, module.soft(), module.router)
        loss = self.gradients.loss(queries, vectors)
        if self.options.anchor or self.options.agreement:
            with torch.no_grad():
                plain = self.gradients.vectors(queries, None)
            loss = loss + self.options.anchor * (vectors - plain).abs().sum(1).mean()
            documents = torch.from_numpy(
                np.concatenate([self.gradients.documents.positives(query)[:1] for query in queries])
            ).to(vectors.device)
            log_shares = (vectors @ documents.T / TEMPERATURE).log_softmax(1)
            target = (plain @ documents.T / TEMPERATURE).softmax(1)
            loss = loss + self.options.agreement * kl_div(log_shares, target, reduction="batchmean")
        return loss

    def _start(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Begin at the mean of the vocabulary, moved a little towards words that are drawn."""
        options, rows = self.options, self.vocabulary.rows
        experts = options.experts if options.form == "mixture" else 1
        drawn = rows[rng.integers(len(rows), size=(experts, options.vectors))]
        start: NDArray[np.float32] = (0.5 * rows.mean(axis=0) + 0.5 * drawn).astype(np.float32)
        return start


class _SoftVectors:
    """Soft tokens and the tensors that they are computed from."""

    def __init__(
        self, start: NDArray[np.float32], options: SoftOptions, generator: "Generator"
    ) -> None:
        import torch

        self._start = torch.from_numpy(start.copy())
        self._form = options.form
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
        arrays = {"soft": self.soft().detach().numpy().copy()}
        if self.router is not None:
            arrays["router"] = self.router.detach().numpy().copy()
        return arrays


def _encoded(arrays: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
    """Write arrays as JSON, to the bit."""
    return {
        name: [list(array.shape), base64.b64encode(array.astype("<f4").tobytes()).decode()]
        for name, array in arrays.items()
    }


def _decoded(encoded: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    return {
        name: np.frombuffer(base64.b64decode(data), "<f4").reshape(shape).astype(np.float32)
        for name, (shape, data) in encoded.items()
    }
