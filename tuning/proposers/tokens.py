"""Fill slots with influential tokens: no gradient, no chat model, prompts nobody would write.

ClaPS: Zhou et al., Survival of the Most Influential Prompts, Findings of EMNLP 2023. Slots are
filled from left to right, each with the word that does best behind those before it; then every
slot is tried again with another word or none, and without two, until that does not help. What is
left of the budget goes to their other search, a genetic one: fillings are crossed and mutated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from tuning.proposers.vocabulary import SLOTS, Vocabulary, in_front, influential_words
from tuning.search.space import key_of
from tuning.search.types import Proposal, ProposerContext, Scored

CLUSTERS = 2000  # of the vocabulary, whose words are tried for their influence
POPULATION, OFFSPRING = 16, 24
GENERATIONS = 6
MUTATED = 0.5  # probability that a child has a word changed


@dataclass(slots=True)
class Tokens:
    """Greedy filling of slots, then a genetic search from the best fillings.

    Attributes:
        context: what it works with.
        vocabulary: all words.
        name: "tokens".
    """

    context: ProposerContext
    vocabulary: Vocabulary
    name: str = "tokens"
    _words: tuple[str, ...] = ()
    _waiting: list[tuple[str, ...]] = field(default_factory=list)
    _fillings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _best: tuple[float, tuple[str, ...]] = (-1.0, ())
    _slot: int = 0
    _revised: tuple[str, ...] = ()
    _means: dict[tuple[str, ...], float] = field(default_factory=dict)
    _generation: int = 0
    _rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.context.seed, 23])

    def ask(self, n: int) -> list[Proposal]:
        """Propose fillings."""
        if not self._words:
            self._words = influential_words(self.context, self.vocabulary, CLUSTERS)
        if not self._waiting:
            self._waiting = self._next()
        fillings, self._waiting = self._waiting[:n], self._waiting[n:]
        proposals = []
        for words in fillings:
            prompt = in_front(self.context.space, words)
            self._fillings[key_of(prompt)] = words
            proposals.append(Proposal(prompt, self.name, f"{len(words)} tokens"))
        return proposals

    def tell(self, results: Sequence[Scored]) -> None:
        """Remember what fillings are worth; the default fills nothing."""
        for result in results:
            words = self._fillings.get(key_of(result.proposal.prompt))
            if result.proposal.prompt == self.context.space.default:
                words = ()
            if words is not None and result.finished:
                self._means[words] = result.mean
                self._best = max(self._best, (result.mean, words), key=lambda best: best[0])

    def _next(self) -> list[tuple[str, ...]]:
        """Fill the next slot behind the best filling; when none helps, revise slot by slot."""
        words = self._best[1]
        if len(words) == self._slot < SLOTS:
            self._slot += 1
            return [(*words, word) for word in self._words if word not in words]
        if words == self._revised:
            return self._offspring()
        self._revised = words
        tried = set(self._fillings.values())
        variants = [
            (*words[:at], *replacement, *words[at + 1 :])
            for at in range(len(words))
            for replacement in ((), *((word,) for word in self._words if word not in words))
        ]
        if len(words) > 2:  # words that were of use alone may be in each other's way
            variants += list(combinations(words, len(words) - 2))
        return [filling for filling in variants if filling not in tried]

    def _offspring(self) -> list[tuple[str, ...]]:
        """Cross the best fillings, and change a word of some children."""
        if self._generation >= GENERATIONS:
            return []
        self._generation += 1
        parents = sorted(self._means, key=lambda words: -self._means[words])[:POPULATION]
        children: dict[tuple[str, ...], None] = {}
        for _ in range(4 * OFFSPRING):
            mother, father = (parents[int(self._rng.integers(len(parents)))] for _ in range(2))
            cut = int(self._rng.integers(SLOTS + 1))
            child = dict.fromkeys((*mother[:cut], *father[cut:]))
            if self._rng.random() < MUTATED:
                child = self._mutated(list(child))
            children[tuple(child)] = None
        known = {(), *self._fillings.values()}
        return [words for words in children if words not in known][:OFFSPRING]

    def _mutated(self, words: list[str]) -> dict[str, None]:
        """Put a word in, or take one's place, each word once."""
        at = int(self._rng.integers(len(words) + 1))
        new = self._words[int(self._rng.integers(len(self._words)))]
        replaced = int(len(words) == SLOTS or self._rng.random() < 0.5)
        return dict.fromkeys([*words[:at], new, *words[at + replaced :]][:SLOTS])
