"""Fill slots with influential tokens: no gradient, no chat model, prompts nobody would write.

ClaPS: Zhou et al., Survival of the Most Influential Prompts, Findings of EMNLP 2023. Slots are
filled from left to right, each with the word that does best behind those before it; then every
slot is tried again with another word or none, and without two, until that does not help.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from tuning.proposers.vocabulary import SLOTS, Vocabulary, in_front, influential_words
from tuning.search.space import key_of
from tuning.search.types import Proposal, ProposerContext, Scored

CLUSTERS = 400  # of the vocabulary, whose words are tried for their influence


@dataclass(slots=True)
class Tokens:
    """Greedy filling of slots.

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
        """Remember the best filling; the default fills nothing."""
        for result in results:
            words = self._fillings.get(key_of(result.proposal.prompt))
            if result.proposal.prompt == self.context.space.default:
                words = ()
            if words is not None and result.finished and result.mean > self._best[0]:
                self._best = (result.mean, words)

    def _next(self) -> list[tuple[str, ...]]:
        """Fill the next slot behind the best filling; when none helps, revise slot by slot."""
        words = self._best[1]
        if len(words) == self._slot < SLOTS:
            self._slot += 1
            return [(*words, word) for word in self._words if word not in words]
        if words == self._revised:
            return []
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
