"""Draw training pairs: what stands in the corpus, titles of passages, sentences of passages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from embedder.train.data.corpus import Corpus, TokenIds
from embedder.train.data.topics import text_vectors, topical_order

SHORTEST_SENTENCE, LONGEST_SENTENCE = 5, 64  # tokens
POOL = 32  # batches drawn together
Drawn = tuple[TokenIds, TokenIds, int]  # query, passage, passage number


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pairs that are contrasted with each other.

    Attributes:
        queries: n texts.
        passages: n texts; passage i answers query i.
        same: (n, n) bool; True where passage j must not count against query i, because it
            answers the same query or is the same passage. False on the diagonal.
        number: of the batch in its stream.
    """

    queries: Sequence[TokenIds]
    passages: Sequence[TokenIds]
    same: NDArray[np.bool_]
    number: int

    def __len__(self) -> int:
        return len(self.queries)


class PairSource:
    """An endless, seeded stream of pairs over a corpus.

    Three kinds of pairs are numbered through: the corpus's own pairs, (title, passage) of
    passages that no own pair uses, and (sentence, its passage without it), where the sentence is
    drawn anew each time.
    """

    def __init__(
        self, corpus: Corpus, token_rows: NDArray[np.float32], full_stop: int, passage_tokens: int
    ) -> None:
        """Number the pairs of a corpus.

        Args:
            corpus: passages and pairs.
            token_rows: (vocabulary, dim) vectors whose sums tell the topic of a passage.
            full_stop: id that ends a sentence.
            passage_tokens: passages are cut to this length.
        """
        self._corpus = corpus
        self._token_rows = token_rows
        self._full_stop = full_stop
        self._limit = passage_tokens
        paired = np.zeros(len(corpus.passages), dtype=np.bool_)
        paired[corpus.positives] = True
        titled = np.diff(corpus.titles.starts) > 0
        self._titled = np.flatnonzero(titled & ~paired)
        self._own = len(corpus.queries)
        self._total = self._own + len(self._titled) + len(corpus.passages)

    def __len__(self) -> int:
        return self._total

    def batches(self, size: int, seed: int, start: int = 0) -> Iterator[Batch]:
        """Yield batches for ever, in passes over all pairs.

        Pairs are drawn for POOL batches at once and then cut by topic, so that a passage's
        rivals are like it. What is batch i depends on size, seed and i alone: a run can be taken
        up again anywhere.

        Args:
            size: pairs per batch.
            seed: decides everything.
            start: number of the first batch to yield.
        """
        pools = self._total // (size * POOL)
        if not pools:
            raise ValueError(f"{self._total} pairs are fewer than {POOL} batches of {size}")
        for number in count(start // POOL):
            turn, pool = divmod(number, pools)
            order = np.random.default_rng([seed, turn]).permutation(self._total)
            chosen = order[pool * size * POOL : (pool + 1) * size * POOL]
            drawn = self._pool(chosen, size, np.random.default_rng([seed, turn, pool]))
            for offset, pairs in enumerate(drawn):
                if number * POOL + offset >= start:
                    yield _batch(pairs, number * POOL + offset)

    def _pool(
        self, numbers: NDArray[np.int64], size: int, rng: np.random.Generator
    ) -> list[list[Drawn]]:
        drawn: list[Drawn] = []
        for number in numbers:
            pair = self._draw(int(number), rng)
            while pair is None:  # nothing to ask or nothing left to find
                pair = self._draw(int(rng.integers(self._total)), rng)
            drawn.append(pair)
        vectors = text_vectors([passage for _, passage, _ in drawn], self._token_rows)
        order = topical_order(vectors, size, rng)
        cuts = rng.permutation(np.arange(0, len(drawn), size))
        return [[drawn[row] for row in order[cut : cut + size]] for cut in cuts]

    def _draw(self, number: int, rng: np.random.Generator) -> Drawn | None:
        """Return (query, passage, passage number); None if nothing is left of one of them."""
        corpus = self._corpus
        if number < self._own:
            row = int(corpus.positives[number])
            query = corpus.queries[number]
            passage = corpus.passages[row][corpus.cuts[number] :]
        elif number < self._own + len(self._titled):
            row = int(self._titled[number - self._own])
            query, passage = corpus.titles[row], corpus.passages[row]
        else:
            row = number - self._own - len(self._titled)
            query, passage = self._sentence(row, rng)
        passage = passage[: self._limit]
        return (query, passage, row) if len(query) and len(passage) else None

    def _sentence(self, row: int, rng: np.random.Generator) -> tuple[TokenIds, TokenIds]:
        """Take one sentence out of a passage; half of the time its title is put in front."""
        passage = self._corpus.passages[row]
        ends = np.flatnonzero(passage == self._full_stop) + 1
        starts = np.concatenate([[0], ends])
        ends = np.concatenate([ends, [len(passage)]])
        candidates = np.flatnonzero(ends - starts >= SHORTEST_SENTENCE)
        if len(candidates) < 2:
            return passage[:0], passage
        chosen = candidates[rng.integers(len(candidates))]
        start, end = int(starts[chosen]), int(ends[chosen])
        head = self._corpus.titles[row] if rng.random() < 0.5 else passage[:0]
        return passage[start:end][:LONGEST_SENTENCE], np.concatenate(
            [head, passage[:start], passage[end:]]
        )


def _batch(drawn: Sequence[Drawn], number: int) -> Batch:
    queries = [query for query, _, _ in drawn]
    keys = np.unique([query.tobytes().hex() for query in queries], return_inverse=True)[1]
    rows = np.array([row for _, _, row in drawn])
    same = (keys[:, None] == keys) | (rows[:, None] == rows)
    np.fill_diagonal(same, False)
    return Batch(queries, [passage for _, passage, _ in drawn], same, number)
