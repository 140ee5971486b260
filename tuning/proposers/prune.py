"""Prune the best prompt so far: shorter is cheaper for ever, and often better.

Each word is left out alone, then the two, three and more together whose loss hurt least: the order
in which LLMLingua-2 (Pan et al., Findings of ACL 2024) drops tokens, with measured harm for its
classifier. This goes on from the best that is not worse (TAPruning), then a population of masks
follows (PromptQuine, Wang et al., ICML 2025). Words go where the score falls by less than half a
standard error of the difference, not by a constant share.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from embedder.prompts.prompt import Prompt
from embedder.types import Float64Array, Role
from tuning.search.space import Around, key_of
from tuning.search.types import Proposal, ProposerContext, Scored

TOLERATED = 0.5  # standard errors
OFFSPRING = 12
GENERATIONS = 8
MOST_DROPPED = 4  # words of one child
POPULATION = 12
TOURNAMENT = 0.2  # share of the population that is drawn, with replacement; the best of it wins


class Word(NamedTuple):
    """A word of a prompt: whose wording it stands in, on which side of the text, and itself."""

    role: Role
    side: str
    text: str


PromptWords = tuple[Word, ...]


@dataclass(slots=True)
class Prune:
    """Sweeps over words, each followed by dropping several; then generations of masks.

    Attributes:
        context: what it works with.
        name: "prune".
        remarks: why there was nothing to prune, if so.
    """

    context: ProposerContext
    name: str = "prune"
    remarks: tuple[str, ...] = ()
    _parent: Scored | None = None
    _words: PromptWords = ()
    _children: dict[str, PromptWords] = field(default_factory=dict)
    _results: dict[str, Scored] = field(default_factory=dict)
    _waiting: list[PromptWords] = field(default_factory=list)
    _generation: int = 0
    _sweeping: bool = True
    _swept: bool = False
    _rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.context.seed, 41])

    def ask(self, n: int) -> list[Proposal]:
        """Propose prompts that lack a word or several."""
        if not self._waiting:
            self._waiting = self._next()
        batch, self._waiting = self._waiting[:n], self._waiting[n:]
        proposals = []
        for words in batch:
            prompt = self._worded(words)
            self._children[key_of(prompt)] = words
            dropped = len(self._words) - len(words)
            method = f"{dropped} word{'s' * (dropped > 1)} dropped"
            parent = key_of(self._parent.proposal.prompt) if self._parent else ""
            proposals.append(Proposal(prompt, self.name, method, (parent,)))
        return proposals

    def tell(self, results: Sequence[Scored]) -> None:
        """Take the best prompt to prune, then what became of its children."""
        if self._parent is None:
            rivals = [
                result
                for result in results
                if result.finished and self._plain(result.proposal.prompt)
            ]
            if not rivals:
                self.remarks = ("prune: no prompt of a single wording was raced to the end",)
                return
            self.remarks = ()
            self._parent = max(rivals, key=lambda result: result.mean)
            self._words = tuple(_words(self.context, self._parent.proposal.prompt))
            return
        for result in results:
            if key_of(result.proposal.prompt) in self._children:
                self._results[key_of(result.proposal.prompt)] = result

    def _plain(self, prompt: Prompt) -> bool:
        form = prompt.forms[0]
        return all(len(form.templates(role)) == 1 for role in self.context.space.roles)

    def _next(self) -> list[PromptWords]:
        if self._parent is None or not self._words:
            return []
        if self._sweeping:
            if self._swept and (several := self._several()):
                return several
            self._take_over()
        if not self._sweeping:
            return self._offspring()
        self._swept = True
        return self._without_one()

    def _take_over(self) -> None:
        """Go on from the best child that is not worse; without one the sweeps are over."""
        assert self._parent is not None
        first = not self._children
        children = [
            child
            for child in self._results.values()
            if child.finished
            and len(self._children[key_of(child.proposal.prompt)]) < len(self._words)
            and not _worse(child, self._parent)
        ]
        if children:
            self._parent = max(children, key=lambda child: child.mean)
            self._words = self._children[key_of(self._parent.proposal.prompt)]
        self._sweeping = first or bool(children)

    def _without_one(self) -> list[PromptWords]:
        return [self._words[:at] + self._words[at + 1 :] for at in range(len(self._words))]

    def _several(self) -> list[PromptWords]:
        """Drop two words and more, in the order in which each alone did least harm."""
        self._swept = False
        harms = [self._harm(words) for words in self._without_one()]
        order = np.argsort(harms, kind="stable").tolist()
        kept = [sorted(order[most:]) for most in range(2, len(order) + 1)]
        known = set(self._children.values())
        dropped = [tuple(self._words[at] for at in places) for places in kept]
        return [words for words in dropped if words not in known]

    def _harm(self, words: PromptWords) -> float:
        """Return how far a child fell behind its parent; one that was not scored, out of sight."""
        result = self._results.get(key_of(self._worded(words)))
        if result is None or self._parent is None:
            return np.inf
        losses = _losses(result, self._parent)
        return float(losses.mean()) if len(losses) else np.inf  # none: the budget ended

    def _offspring(self) -> list[PromptWords]:
        """Drop one to four words of members that win a tournament among the best so far."""
        if self._generation >= GENERATIONS:
            return []
        self._generation += 1
        best = sorted(self._results.values(), key=lambda result: -result.mean)[:POPULATION]
        members = [
            self._words,
            *(self._children[key_of(result.proposal.prompt)] for result in best),
        ]
        entrants = math.ceil(TOURNAMENT * len(members))
        children: dict[PromptWords, None] = {}
        for _ in range(4 * OFFSPRING):
            parent = members[int(self._rng.integers(len(members), size=entrants).min())]
            drop = min(len(parent), 1 + int(self._rng.integers(MOST_DROPPED)))
            gone = (
                set(self._rng.choice(len(parent), drop, replace=False).tolist()) if drop else set()
            )
            children[tuple(word for at, word in enumerate(parent) if at not in gone)] = None
        known = set(self._children.values())
        return [words for words in children if words not in known][:OFFSPRING]

    def _worded(self, words: PromptWords) -> Prompt:
        changed = {}
        for role in self.context.space.roles:
            before, after = (
                " ".join(word.text for word in words if (word.role, word.side) == (role, side))
                for side in ("before", "after")
            )
            changed[role] = Around(f"{before} " if before else "", f" {after}" if after else "")
        base = self._parent.proposal.prompt if self._parent else self.context.space.default
        return self.context.space.reworded(base, changed)


def _words(context: ProposerContext, prompt: Prompt) -> Iterator[Word]:
    for role in context.space.roles:
        around = context.space.around(prompt, role)
        for side in ("before", "after"):
            for text in getattr(around, side).split():
                yield Word(role, side, text)


def _losses(child: Scored, parent: Scored) -> Float64Array:
    """Return by how much a child falls behind, on the queries that it was raced over."""
    shared = [query for query in parent.scores if query in child.scores]
    return np.array([parent.scores[query] - child.scores[query] for query in shared])


def _worse(child: Scored, parent: Scored) -> bool:
    """Tell whether a child falls behind by more than is tolerated, or was not scored."""
    losses = _losses(child, parent)
    if not len(losses):
        return True
    error = float(losses.std(ddof=1)) / np.sqrt(len(losses)) if len(losses) > 1 else 0.0
    return bool(losses.mean() > TOLERATED * error)
