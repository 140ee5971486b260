"""Learn soft tokens: vectors beside a query that no word stands for.

CoOp (Zhou et al., IJCV 2022) for the query side of retrieval: documents are fixed, so an epoch
costs the queries alone. Options of one module: a residual network over the vectors (PRE, Pham et
al., AAAI 2024), short vectors times a low-rank pair (EPT, Lan et al., 2024), a mixture with a
router (MoCoOp, Du et al., 2024); the anchor and the average over epochs of PromptSRC (Khattak et
al., ICCV 2023). It does not reach fine-tuning (DPTDR, Tang et al., COLING 2022).

Vectors stand beside the words of the best text prompt so far, and begin as their embeddings. A
quarter of the queries is held out, whose answers nothing is learned from; training ends once they
are no longer found better.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.adapted import ends_of_text
from embedder.models.soft_prompt import SoftTokens
from embedder.prompts.prompt import Prompt
from embedder.prompts.query_adapter import QueryAdapter
from tuning.proposers.baselines import LEAST, learnable, too_few
from tuning.proposers.gradients import TEMPERATURE, GradientModel, batches
from tuning.proposers.soft_vectors import (
    SoftOptions,
    SoftVectors,
    decoded_arrays,
    encoded_arrays,
)
from tuning.proposers.vocabulary import Vocabulary
from tuning.search.budget import Cost
from tuning.search.types import Proposal, ProposerContext, Scored

if TYPE_CHECKING:
    from torch import Tensor

SPREAD = 0.25  # of the Gaussian average, in epochs' count
HELD = 4  # one query of so many is held out
PATIENCE = 3  # epochs without a better one


@dataclass(slots=True)
class Soft:
    """Trains once, and proposes the trained vectors.

    Attributes:
        context: what it works with.
        gradients: gives the loss.
        vocabulary: words whose embeddings vectors begin at where the prompt has too few.
        folder: where files of vectors go.
        options: of the training.
        name: "soft".
        remarks: why nothing was proposed.
    """

    context: ProposerContext
    gradients: GradientModel
    vocabulary: Vocabulary
    folder: Path
    options: SoftOptions = field(default_factory=SoftOptions)
    name: str = "soft"
    remarks: list[str] = field(default_factory=list)
    _done: bool = False
    _told: list[Scored] = field(default_factory=list)

    def ask(self, n: int) -> list[Proposal]:
        """Train, and propose the epoch that held-out queries favour and the average about it."""
        if self._done:
            return []
        self._done = True
        answers = learnable(self.context)
        if len(answers) < LEAST:
            self.remarks.append(f"soft tokens were skipped: {too_few(len(answers))}")
            return []
        base, model = self._base()
        training = _Training(model, self.options, self._parts(answers), self.context.seed)
        key = [self.context.seed, asdict(self.options), base.hash]
        start = self._start(model)
        work = lambda: training.run(start, self.vocabulary)  # noqa: E731
        losses, arrays = self.context.once("soft", key, Cost(tokens=training.tokens), work)
        best = int(np.argmin(losses[1:]))
        if losses[1 + best] >= losses[0]:
            self.remarks.append("soft tokens: no epoch served held-out queries better than none")
            return []
        epochs = [decoded_arrays(encoded) for encoded in arrays]
        away = (np.arange(len(epochs)) - best) / len(epochs)
        weights = np.exp(-0.5 * (away / SPREAD) ** 2)
        mean = {
            name: np.average([epoch[name] for epoch in epochs], axis=0, weights=weights).astype(
                np.float32
            )
            for name in epochs[0]
        }
        options = self.options
        said = f"{options.vectors} soft tokens {options.place} the text, {options.form}"
        return [
            Proposal(
                replace(base, adapt=QueryAdapter(**epoch).save(self.folder)),
                self.name,
                f"{said}: {title}",
            )
            for title, epoch in (
                (f"epoch {best + 1}", epochs[best]),
                (f"average about epoch {best + 1}", mean),
            )
        ]

    def tell(self, results: Sequence[Scored]) -> None:
        """Remember which words were good: training begins at the best."""
        self._told += [each for each in results if each.finished and each.proposal.prompted]

    def _base(self) -> tuple[Prompt, GradientModel]:
        """Return the best text prompt that gradients go through, the default if none."""
        default = self.context.space.default
        for result in sorted(self._told, key=lambda each: -each.mean):
            prompt = result.proposal.prompt
            if not prompt.adapt and prompt.post == default.post:
                try:
                    return prompt, self.gradients.under(prompt)
                except ValueError:  # as of several wordings
                    continue
        return replace(default, adapt=""), self.gradients.under(default)

    def _parts(
        self, answers: dict[str, frozenset[str]]
    ) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
        """Return what is learned from, and the held-out queries, whose answers are not."""
        ids = list(answers)
        order = np.random.default_rng([self.context.seed, 62]).permutation(len(ids)).tolist()
        held = {ids[at]: answers[ids[at]] for at in sorted(order[: max(1, len(ids) // HELD)])}
        shared = frozenset().union(*held.values())
        rest = {
            query: answers[query] - shared
            for query in ids
            if query not in held and answers[query] - shared
        }
        return (rest, held) if rest else (held, held)

    def _start(self, model: GradientModel) -> NDArray[np.float32]:
        """Begin at the last words of the prompt, and at the vocabulary's where there are too few.

        Those of the vocabulary are its mean, moved a little towards words that are drawn.
        """
        options, rows = self.options, self.vocabulary.rows
        rng = np.random.default_rng([self.context.seed, 61])
        experts = options.experts if options.form == "mixture" else 1
        drawn = rows[rng.integers(len(rows), size=(experts, options.vectors))]
        start: NDArray[np.float32] = (0.5 * rows.mean(axis=0) + 0.5 * drawn).astype(np.float32)
        words = model.embedded_words(options.vectors)
        start[0, : len(words)] = words
        return start


class _Training:
    """Trains soft tokens on some queries, and watches others."""

    def __init__(
        self,
        model: GradientModel,
        options: SoftOptions,
        parts: tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]],
        seed: int,
    ) -> None:
        self._options, self._seed = options, seed
        self._queries, self._held = list(parts[0]), list(parts[1])
        self._model, self._watched = model.within(parts[0]), model.within(parts[1])

    @property
    def tokens(self) -> int:
        """What all epochs take: forward and backward, and forward on what is held out."""
        options = self._options
        tokens = self._model.tokens(self._queries, options.vectors)
        if options.anchor or options.agreement:  # one more pass forward, without soft tokens
            tokens += self._model.tokens(self._queries, 0) // 2
        watched = self._watched.tokens(self._held, options.vectors) // 2
        return (tokens + watched) * options.epochs + watched

    def run(self, start: NDArray[np.float32], vocabulary: Vocabulary) -> list[Any]:
        """Return losses on held-out queries, without tokens first, and arrays of each epoch."""
        import torch

        options = self._options
        rng = np.random.default_rng([self._seed, 63])
        generator = torch.Generator().manual_seed(self._seed)
        module = SoftVectors(start, options, generator)
        scale = float(np.linalg.norm(vocabulary.rows, axis=1).mean())
        unit = scale / vocabulary.rows.shape[1] ** 0.5
        optimizer = torch.optim.AdamW(module.tensors, lr=options.rate * unit, weight_decay=0.0)
        checkpoints, losses = [], [self._watch(None)]
        for _ in range(options.epochs):
            for queries in batches(self._queries, options.batch, rng):
                loss = self._loss(module, queries)
                optimizer.zero_grad()
                # To these tensors alone: the model's own weights keep no gradients.
                loss.backward(inputs=module.tensors)  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(module.tensors, 1.0)
                optimizer.step()
            checkpoints.append(encoded_arrays(module.arrays()))
            losses.append(self._watch(module))
            if len(losses) - 1 - int(np.argmin(losses)) >= PATIENCE:
                break
        return [losses, checkpoints]

    def _watch(self, module: "SoftVectors | None") -> float:
        """Return the loss of held-out queries."""
        import torch

        with torch.no_grad():
            vectors = [
                self._vectors(self._watched, module, part)
                for part in batches(self._held, self._options.batch, np.random.default_rng(0))
            ]
            order = batches(self._held, self._options.batch, np.random.default_rng(0))
            ids = [query for part in order for query in part]
            return float(self._watched.loss(ids, torch.cat(vectors)))

    def _vectors(
        self, model: GradientModel, module: "SoftVectors | None", queries: Sequence[str]
    ) -> "Tensor":
        if module is None:
            return model.vectors(queries, None)
        after = self._options.place == "after"
        places = ends_of_text(model.rows(queries)) if after else None
        return model.vectors(queries, SoftTokens(module.soft(), module.router, places))

    def _loss(self, module: "SoftVectors", queries: Sequence[str]) -> "Tensor":
        import torch
        from torch.nn.functional import kl_div

        model, options = self._model, self._options
        vectors = self._vectors(model, module, queries)
        loss = model.loss(queries, vectors)
        if options.anchor or options.agreement:
            with torch.no_grad():
                plain = model.vectors(queries, None)
            loss = loss + options.anchor * (vectors - plain).abs().sum(1).mean()
            documents = torch.from_numpy(
                np.concatenate([model.documents.positives(query)[:1] for query in queries])
            ).to(vectors.device)
            log_shares = (vectors @ documents.T / TEMPERATURE).log_softmax(1)
            target = (plain @ documents.T / TEMPERATURE).softmax(1)
            loss = loss + options.agreement * kl_div(log_shares, target, reduction="batchmean")
        return loss
