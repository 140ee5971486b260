"""Words that are one token each, with their input embeddings: what token searches choose from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.prompts.prompt import Prompt
from tuning.search.space import Space
from tuning.search.types import ProposerContext, Scores

if TYPE_CHECKING:
    from embedder.models.backbone import Backbone

LEAD = "a"  # stands before a word, so that it is cut as inside a sentence
ROUNDS = 8  # of k-means
PART = 1024  # rows that are compared with all centres at once
QUERIES = (8, 16, 32)  # that influence is measured on, by half as many words each time
SHARE, LEAST, MOST = 0.1, 8, 40  # of the words that are tried, how many may fill slots
SLOTS = 5  # words in front of the prompt


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """Words and their rows.

    Attributes:
        words: lower-case and upper-case ones apart; each is one token after a space.
        rows: (words, dim) float32 input embeddings.
    """

    words: tuple[str, ...]
    rows: NDArray[np.float32]
    _nearest: dict[tuple[int, int], list[int]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if len(self.words) != len(self.rows) or not self.words:
            raise ValueError(
                f"a vocabulary has a row for each word; got {len(self.words)}, {len(self.rows)}"
            )

    @staticmethod
    def of(backbone: "Backbone") -> "Vocabulary":
        """Take the words of a model: letters only, and one token when cut again.

        Raises:
            ValueError: there is none.
        """
        import torch

        tokenizer = backbone.tokenizer
        special = set(tokenizer.all_special_ids)
        decoded = [tokenizer.decode([at]).strip() for at in range(len(tokenizer))]
        candidates = [at for at, word in enumerate(decoded) if word.isalpha() and at not in special]
        cut = tokenizer([f"{LEAD} {decoded[at]}" for at in candidates], add_special_tokens=False)
        lead = tokenizer(LEAD, add_special_tokens=False).input_ids
        places = [
            at
            for at, ids in zip(candidates, cut.input_ids, strict=True)
            if list(ids) == [*lead, at]
        ]
        if not places:
            raise ValueError("the model's vocabulary has no word that is one token")
        with torch.no_grad():  # looked up, since some models scale their rows on the way
            at = torch.tensor(places, device=backbone.device)
            rows = backbone.model.get_input_embeddings()(at).float().cpu().numpy()
        return Vocabulary(tuple(decoded[at] for at in places), rows)

    def representatives(self, count: int, seed: int) -> "Vocabulary":
        """Keep the words nearest to the centres of k-means clusters (ClaPS, step 1).

        Args:
            count: of clusters.
            seed: of the first centres.
        """
        if count >= len(self.words):
            return self
        if (count, seed) not in self._nearest:
            self._nearest[count, seed] = nearest_to_centres(self.rows, count, seed)
        return self.take(self._nearest[count, seed])

    def take(self, places: Sequence[int]) -> "Vocabulary":
        """Keep some words."""
        return Vocabulary(tuple(self.words[at] for at in places), self.rows[list(places)])


def nearest_to_centres(rows: NDArray[np.float32], count: int, seed: int) -> list[int]:
    """Return the places of the rows nearest to the centres of spherical k-means clusters.

    Args:
        rows: (n, dim); their lengths do not matter.
        count: of clusters, at most n. Several may have the same nearest row.
        seed: of the first centres.
    """
    from scipy.sparse import csr_array

    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    rng = np.random.default_rng([seed, 21])
    centres = unit[rng.choice(len(unit), count, replace=False)]
    parts = range(0, len(unit), PART)
    for _ in range(ROUNDS):
        nearest = np.concatenate([(unit[at : at + PART] @ centres.T).argmax(1) for at in parts])
        ones = np.ones(len(unit), np.float32), (nearest, np.arange(len(unit)))
        sums = csr_array(ones, shape=(count, len(unit))) @ unit
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / np.maximum(lengths, 1e-9), centres)
    of_centres = range(0, count, PART)
    best = [(unit @ centres[at : at + PART].T).argmax(axis=0) for at in of_centres]
    return [int(at) for at in np.unique(np.concatenate(best))]


def in_front(space: Space, words: Sequence[str]) -> Prompt:
    """Return the default with words at the front of each tuned role's wording."""
    return space.extended(space.default, " ".join(words))


def influential_words(
    context: ProposerContext, vocabulary: Vocabulary, clusters: int
) -> tuple[str, ...]:
    """Return the words that raise scores most when they stand in front (ClaPS, steps 1 and 3).

    Zhou et al., Survival of the Most Influential Prompts, Findings of EMNLP 2023. Words that move
    them up count, since there is no use for the others here. The worse half of the words goes
    before the queries are doubled (successive halving), which takes half of scoring all.

    Args:
        context: scores on the first queries of SEARCH are charged.
        vocabulary: one word of each of its clusters is tried.
        clusters: how many there are; fewer where half of the budget does not pay for them.
    """
    queries = context.search[: QUERIES[-1]]
    clusters = min(clusters, len(vocabulary.words))
    while clusters > MOST and not _is_affordable(context, vocabulary.words[0], clusters):
        clusters //= 2
    tried = vocabulary.representatives(clusters, context.seed)
    base = context.scores(context.space.default, queries)
    count = min(MOST, max(LEAST, round(SHARE * len(tried.words))))
    order = list(range(len(tried.words)))
    for size in QUERIES:
        moved = {
            at: float((_scores(context, tried.words[at], queries[:size]) - base[:size]).mean())
            for at in order
        }
        kept = count if size == QUERIES[-1] else max(count, len(order) // 2)
        order = sorted(order, key=lambda at: (-moved[at], at))[:kept]
    return tried.take(order).words


def _scores(context: ProposerContext, word: str, query_ids: Sequence[str]) -> Scores:
    return context.scores(in_front(context.space, [word]), query_ids)


def _is_affordable(context: ProposerContext, word: str, clusters: int) -> bool:
    """Tell whether half of the budget pays for finding influential words among so many."""
    first = context.search[: QUERIES[0]]
    new = np.diff([0, *QUERIES]) / 2.0 ** np.arange(len(QUERIES))  # queries a cluster, by round
    times = 2 * clusters * float(new.sum()) / QUERIES[0]
    return context.affords(in_front(context.space, [word]), first, times)
