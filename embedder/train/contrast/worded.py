"""Batches of pairs in prompts: token ids and allowed terms, exactly as texts are read at use."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.train.contrast.finetune_settings import FineTuneSettings
from embedder.train.data.pair_files import PairFiles, TrainingPair
from embedder.types import Role

if TYPE_CHECKING:
    from embedder.encoders.llm import LLMEncoder


@dataclass(frozen=True, slots=True, eq=False)
class Worded:
    """Texts in a prompt, ready for the model.

    Attributes:
        rows: token ids of each text, prompt included; read at the last.
        allowed: columns that each text may be described with; empty without sparse rules.
    """

    rows: Sequence[Sequence[int]]
    allowed: Sequence[NDArray[np.int64]]


@dataclass(frozen=True, slots=True, eq=False)
class WordedBatch:
    """Pairs that are contrasted with each other.

    Attributes:
        query_rows: n queries.
        passage_rows: m passages: n positives in the order of the queries, then all negatives.
        same: (n, m) bool; True where passage j answers query i as well as its own positive,
            which is False.
        encoder: of the prompt that all are worded in.
        number: of the batch in its stream.
    """

    query_rows: Worded
    passage_rows: Worded
    same: NDArray[np.bool_]
    encoder: "LLMEncoder"
    number: int

    @property
    def queries(self) -> Sequence[Sequence[int]]:
        """Token ids of each query."""
        return self.query_rows.rows

    @property
    def passages(self) -> Sequence[Sequence[int]]:
        """Token ids of each passage."""
        return self.passage_rows.rows


@dataclass(frozen=True, slots=True, eq=False)
class WordedPairs:
    """An endless, seeded stream of batches.

    Attributes:
        pairs: where pairs are read.
        encoders: one for each prompt.
        settings: sizes, limits and seed.
    """

    pairs: PairFiles
    encoders: "Sequence[LLMEncoder]"
    settings: FineTuneSettings

    def batches(self, start: int = 0) -> Iterator[WordedBatch]:
        """Yield batches for ever, in passes over all pairs, each in an order of its own.

        What is batch i depends on the seed and i alone. Pairs that are too few for one more
        batch at the end of a pass are left for the next pass.
        """
        size, seed = self.settings.batch, self.settings.seed
        each = len(self.pairs) // size
        order, drawn_turn = np.zeros(0, np.int64), -1
        for number in count(start):
            turn, place = divmod(number, each)
            if turn != drawn_turn:
                rng, drawn_turn = np.random.default_rng([seed, turn]), turn
                order = rng.permutation(len(self.pairs))
            chosen = [self.pairs[int(i)] for i in order[place * size : (place + 1) * size]]
            yield self._worded(chosen, number)

    def _worded(self, pairs: Sequence[TrainingPair], number: int) -> WordedBatch:
        rng = np.random.default_rng([self.settings.seed, 1, number])
        encoder = self.encoders[self._drawn(rng)]
        negatives: list[str] = []
        for pair in pairs:
            drawn = rng.permutation(len(pair.negatives))[: self.settings.group_size - 1]
            negatives += [pair.negatives[i] for i in drawn]
        passages = [*(pair.positive for pair in pairs), *negatives]
        queries = [pair.query for pair in pairs]
        return WordedBatch(
            query_rows=worded(encoder, queries, Role.QUERY, self.settings.query_tokens),
            passage_rows=worded(encoder, passages, Role.DOCUMENT, self.settings.passage_tokens),
            same=same_answers(queries, passages),
            encoder=encoder,
            number=number,
        )

    def _drawn(self, rng: np.random.Generator) -> int:
        """Draw a prompt: the first as often as its share says, else any other."""
        others = len(self.encoders) - 1
        first = rng.random() < self.settings.first_share or not others
        return 0 if first else 1 + int(rng.integers(others))


def worded(encoder: "LLMEncoder", texts: Sequence[str], role: Role, limit: int) -> Worded:
    """Put texts into an encoder's prompt, cut to `limit` tokens of their own."""
    limit = min(limit, encoder.options.max_text_tokens)
    inputs = encoder.reader.feed(texts, role, limit)
    allowed = encoder.table.allowed(texts) if encoder.table else []
    return Worded([text.wordings[0].ids for text in inputs], allowed)


def same_answers(queries: Sequence[str], passages: Sequence[str]) -> NDArray[np.bool_]:
    """Return (n, m) True where passage j is the positive of a query equal to query i.

    Args:
        queries: n texts.
        passages: m >= n texts, the first n of which are the positives of the queries.
    """
    answers: Mapping[str, set[str]] = {query: set() for query in queries}
    for query, passage in zip(queries, passages, strict=False):
        answers[query].add(passage)
    same = np.array([[passage in answers[query] for passage in passages] for query in queries])
    np.fill_diagonal(same, False)
    return same
