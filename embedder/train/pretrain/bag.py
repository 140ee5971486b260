"""A bag of words that a decoder can begin as: a direction, an importance and a head per token."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.train.data.corpus import TokenizedTexts
from embedder.train.loss import TextVectors
from embedder.train.pretrain.wording import PromptIds

if TYPE_CHECKING:
    from torch import Tensor

RESERVED = 4  # hidden units that carry no meaning: importance, filler, reader, constant
MEANING_SHARE = 0.75  # of a token row's squared length
TOPIC_UNITS = 64  # of meaning, enough to tell topics by
CONSTANT_GAIN = 0.05  # final norm weight of the constant unit: small, so cosines hardly see it
DOCUMENTS_COUNTED = 60_000


@dataclass(frozen=True, slots=True, eq=False)
class Bag:
    """The learned tables; all float32, and all of them learn.

    Attributes:
        directions: (vocabulary, meaning) what a token says; only the direction counts.
        importance: (vocabulary,) log weight of a token in the mean of its text.
        head: (vocabulary, meaning) how the mean of a text moves a token's logit.
        bias: (vocabulary,) a token's logit apart from that.
        silent: (vocabulary,) bool, tokens that say nothing and weigh as little as can be: signs,
            stop words. A prompt that ends in one of them is read there.
    """

    directions: "Tensor"
    importance: "Tensor"
    head: "Tensor"
    bias: "Tensor"
    silent: "Tensor"

    @property
    def width(self) -> int:
        """Hidden units of the decoder that begins as this bag."""
        return self.directions.shape[1] + RESERVED

    @property
    def most_importance(self) -> float:
        """The largest absolute importance: what the reserved share of a token row can hold."""
        return math.sqrt(self.width * (1 - MEANING_SHARE)) - 0.01

    @property
    def tables(self) -> "dict[str, Tensor]":
        """The learning tensors by name."""
        return {
            "directions": self.directions,
            "importance": self.importance,
            "head": self.head,
            "bias": self.bias,
        }

    def to(self, device: str) -> "Bag":
        """Return the same bag on a device."""
        tables = {name: table.detach().to(device) for name, table in self.tables.items()}
        return Bag(**tables, silent=self.silent.to(device))

    def rows(self) -> "Tensor":
        """Return (vocabulary, meaning) token rows: all of one length, silent ones zero."""
        from torch.nn.functional import normalize

        rows = normalize(self.directions, dim=1) * math.sqrt(self.width * MEANING_SHARE)
        return rows.masked_fill(self.silent[:, None], 0.0)

    def bounded_importance(self) -> "Tensor":
        """Return importance as far as the reserved share of a token row can hold it."""
        bounded = self.importance.clamp(-self.most_importance, self.most_importance)
        return bounded.masked_fill(self.silent, -self.most_importance)

    def topic_rows(self) -> NDArray[np.float32]:
        """Return (vocabulary, TOPIC_UNITS) rows as long as a token matters, as they are now."""
        weighted = self.bounded_importance().exp()[:, None] * self.rows()
        return np.array(weighted.detach().cpu().numpy()[:, :TOPIC_UNITS], dtype=np.float32)

    def vectors(
        self, ids: "Tensor", counted: "Tensor", rows: "Tensor", terms: "Tensor"
    ) -> TextVectors:
        """Represent texts as the decoder would at the end of the prompt.

        Args:
            ids: (n, length) int64, the prompt with the text in it, padded.
            counted: (n, length) bool; False for padding.
            rows: (t,) int64 text of each content id.
            terms: (t,) int64 content id.
        """
        from torch.nn.functional import embedding_bag

        starts = counted.sum(1).cumsum(0) - counted.sum(1)
        weight = self.bounded_importance().exp()[:, None]
        flat = ids[counted]
        total = embedding_bag(flat, weight * self.rows(), starts, mode="sum")
        mean = total / embedding_bag(flat, weight, starts, mode="sum")
        # The final RMSNorm, with the reader's own row in the reserved units.
        scale = ((mean.square().sum(1) + self.width) / self.width).rsqrt()
        dense = mean * scale[:, None]
        logits = (dense[rows] * self.head[terms]).sum(1) + self.bias[terms] * scale[rows]
        return TextVectors(dense, rows, terms, logits)


def new_bag(directions: "Tensor", frequency: NDArray[np.float64], wording: PromptIds) -> Bag:
    """Begin at the words' inverse document frequency.

    Args:
        directions: (vocabulary, meaning) float32.
        frequency: (vocabulary,) share of passages that hold a token.
        wording: the prompts, whose words stand in every text and so say nothing.
    """
    import torch

    rarity = torch.from_numpy(-np.log(frequency)).float()
    importance = (rarity - 4) / 2
    importance[torch.from_numpy(wording.prompt_ids)] = -4.0
    head = 0.3 * torch.nn.functional.normalize(directions, dim=1)
    silent = torch.zeros(len(frequency), dtype=torch.bool)
    silent[torch.from_numpy(np.flatnonzero(wording.silent))] = True  # the tokenizer may be smaller
    return Bag(directions, importance, head, rarity, silent)


def token_frequency(
    passages: TokenizedTexts, vocabulary: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the share of passages that hold each token, counted on a sample; never 0."""
    sample = rng.permutation(len(passages))[:DOCUMENTS_COUNTED]
    counts = np.zeros(vocabulary, dtype=np.float64)
    for row in sample:
        counts[np.unique(passages[row])] += 1
    return (counts + 1) / (len(sample) + 1)
