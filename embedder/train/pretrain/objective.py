"""From a batch of pairs to the loss of the bag and of the decoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedder.train.data.corpus import TokenIds
from embedder.train.data.pairs import Batch
from embedder.train.device import Device
from embedder.train.loss import (
    Loss,
    TextVectors,
    dense_scores,
    info_nce,
    sparse_scores,
    taught_together,
)
from embedder.train.pretrain.bag import Bag
from embedder.train.pretrain.settings import Stage
from embedder.train.pretrain.states import states_at
from embedder.train.pretrain.wording import Prompted, PromptIds
from embedder.types import Role

if TYPE_CHECKING:
    from torch import Tensor

LANGUAGE_POSITIONS = 2  # of each passage, at which the next token is predicted


@dataclass(frozen=True, slots=True, eq=False)
class BagObjective:
    """Dense and sparse InfoNCE of a bag of words."""

    bag: Bag
    wording: PromptIds
    stage: Stage
    seed: int
    device: Device = field(default_factory=Device)

    def __call__(self, batch: Batch) -> Loss:
        """Return the loss of a batch."""
        rng = np.random.default_rng([self.seed, batch.number])
        queries = self.vectors(batch.queries, Role.QUERY, self.wording.drawn(rng))
        passages = self.vectors(batch.passages, Role.DOCUMENT, self.wording.drawn(rng))
        return Loss(contrast(queries, passages, batch, self.stage, len(self.bag.bias)), {})

    def vectors(self, texts: Sequence[TokenIds], role: Role, phrasing: int = 0) -> TextVectors:
        """Represent texts; the prompt's words count as well."""
        ids = self.device.tensor(self.wording.wrap(texts, role, phrasing).ids)
        rows, terms = map(self.device.tensor, self.wording.own(texts))
        return self.bag.vectors(ids, ids != self.wording.pad, rows, terms)


@dataclass(frozen=True, slots=True, eq=False)
class DecoderObjective:
    """Dense and sparse InfoNCE at the prompt's end, and next-token losses beside them.

    Attributes:
        model: a LlamaForCausalLM.
        wording: the prompts.
        stage: temperature and the weights of the other losses.
        seed: with a batch's number, of the words and positions that are predicted.
        device: where the model is.
    """

    model: Any
    wording: PromptIds
    stage: Stage
    seed: int
    device: Device = field(default_factory=Device)

    def __call__(self, batch: Batch) -> Loss:
        """Return the loss of a batch."""
        rng = np.random.default_rng([self.seed, batch.number])
        query_prompts = self.wording.wrap(batch.queries, Role.QUERY, self.wording.drawn(rng))
        passage_prompts = self.wording.wrap(batch.passages, Role.DOCUMENT, self.wording.drawn(rng))
        queries, _, _ = self._read(batch.queries, query_prompts)
        inside = rng.random((len(batch), LANGUAGE_POSITIONS if self.stage.language_weight else 0))
        passages, logits, language = self._read(batch.passages, passage_prompts, inside)
        loss = contrast(queries, passages, batch, self.stage, logits.shape[1])
        if self.stage.word_weight:
            loss = loss + self.stage.word_weight * named_word_loss(logits, queries, rng)
        if language is not None:
            loss = loss + self.stage.language_weight * language
        return Loss(loss, {})

    def vectors(self, texts: Sequence[TokenIds], role: Role, phrasing: int = 0) -> TextVectors:
        """Represent texts by the state and the logits at the prompt's last token."""
        return self._read(texts, self.wording.wrap(texts, role, phrasing))[0]

    def _read(
        self,
        texts: Sequence[TokenIds],
        prompted: Prompted,
        inside: NDArray[np.float64] | None = None,
    ) -> "tuple[TextVectors, Tensor, Tensor | None]":
        """Return vectors, all logits at the last token, and the next-token loss `inside`."""
        from torch.nn.functional import cross_entropy

        ids, last = prompted
        drawn = np.zeros((len(ids), 0)) if inside is None else inside  # in [0, 1) of the text
        at = np.concatenate([last[:, None], (drawn * last[:, None]).astype(np.int64)], axis=1)
        # bfloat16 products halve the time where a CPU has them; norms and losses stay float32.
        with self.device.autocast():
            places = self.device.tensor(ids), self.device.tensor(at)
            state = states_at(self.model, *places).float()
        logits = self.model.lm_head(state)  # (n, 1 + drawn, vocabulary)
        rows, terms = map(self.device.tensor, self.wording.own(texts))
        vectors = TextVectors(state[:, 0], rows, terms, logits[:, 0][rows, terms])
        if not drawn.size:
            return vectors, logits[:, 0], None
        after = self.device.tensor(np.take_along_axis(ids, at[:, 1:] + 1, axis=1))
        return vectors, logits[:, 0], cross_entropy(logits[:, 1:].flatten(0, 1), after.flatten())


def contrast(
    queries: TextVectors, passages: TextVectors, batch: Batch, stage: Stage, vocabulary: int
) -> "Tensor":
    """Add dense and sparse InfoNCE; only cosines are divided by the temperature.

    As in PromptReps' supervised variant (Zhuang et al., EMNLP 2024); with a weight, the sum of
    both teaches each of them as well (self-distillation of BGE-M3, Chen et al., ACL 2024).
    """
    import torch

    same = torch.from_numpy(batch.same).to(queries.dense.device)
    dense = dense_scores(queries, passages) / stage.temperature
    sparse = sparse_scores(queries, passages, vocabulary)
    loss = info_nce(dense, same) + info_nce(sparse, same)
    if stage.together_weight:
        loss = loss + stage.together_weight * taught_together((dense, sparse), same)
    return loss


def named_word_loss(logits: "Tensor", queries: TextVectors, rng: np.random.Generator) -> "Tensor":
    """Return the cross entropy of answering a passage's prompt with a word of its query.

    One content token of each query is drawn. It makes the answer in one word a real one: the
    contrast alone says nothing of words that the text does not hold.
    """
    import torch
    from torch.nn.functional import cross_entropy

    counts = np.bincount(queries.rows.cpu().numpy(), minlength=len(logits))
    worded = np.flatnonzero(counts)
    drawn = (np.cumsum(counts) - counts)[worded] + rng.integers(0, counts[worded])
    texts, terms = (torch.from_numpy(part).to(logits.device) for part in (worded, drawn))
    return cross_entropy(logits[texts], queries.terms[terms])
