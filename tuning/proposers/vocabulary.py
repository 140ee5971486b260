"""Words that are one token each, with their input embeddings: what token searches choose from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.prompts.prompt import Prompt
from tuning.search.space import Space
from tuning.search.types import ProposerContext

if TYPE_CHECKING:
    from embedder.models.backbone import Backbone

LEAD = "a"  # stands before a word, so that it is cut as inside a sentence
ROUNDS = 8  # of k-means
INFLUENCE_QUERIES = 32
SHARE, LEAST = 0.1, 8  # of the words that are tried, how many may fill slots
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
        rng = np.random.default_rng([seed, 21])
        unit = self.rows / np.maximum(np.linalg.norm(self.rows, axis=1, keepdims=True), 1e-9)
        centres = unit[rng.choice(len(unit), count, replace=False)]
        for _ in range(ROUNDS):
            nearest = (unit @ centres.T).argmax(axis=1)
            sums = np.zeros_like(centres)
            np.add.at(sums, nearest, unit)
            filled = np.linalg.norm(sums, axis=1) > 0
            centres[filled] = sums[filled] / np.linalg.norm(sums[filled], axis=1, keepdims=True)
        places = np.unique((unit @ centres.T).argmax(axis=0))
        return self.take(places.tolist())

    def take(self, places: Sequence[int]) -> "Vocabulary":
        """Keep some words."""
        return Vocabulary(tuple(self.words[at] for at in places), self.rows[list(places)])


def in_front(space: Space, words: Sequence[str]) -> Prompt:
    """Return the default with words at the front of each tuned role's wording."""
    return space.extended(space.default, " ".join(words))


def influential_words(
    context: ProposerContext, vocabulary: Vocabulary, clusters: int
) -> tuple[str, ...]:
    """Return the words that raise scores most when they stand in front (ClaPS, steps 1 and 3).

    Zhou et al., Survival of the Most Influential Prompts, Findings of EMNLP 2023. Words that move
    them up count, since there is no use for the others here.

    Args:
        context: scores on the first INFLUENCE_QUERIES queries of SEARCH are charged.
        vocabulary: one word of each of its clusters is tried.
        clusters: how many there are.
    """
    tried = vocabulary.representatives(clusters, context.seed)
    queries = context.search[:INFLUENCE_QUERIES]
    base = context.scores(context.space.default, queries)
    moved = [
        float((context.scores(in_front(context.space, [word]), queries) - base).mean())
        for word in tried.words
    ]
    count = max(LEAST, round(SHARE * len(moved)))
    order = sorted(range(len(moved)), key=lambda at: (-moved[at], at))[:count]
    return tried.take(order).words
