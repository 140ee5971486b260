"""Ask proposers, race what they propose, tell them: until they or the budget are at an end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from embedder.prompts.files import format_prompt
from embedder.prompts.prompt import Prompt
from tuning.search.budget import Meter, SpentError
from tuning.search.racing import race
from tuning.search.scorer import Scorer
from tuning.search.space import key_of
from tuning.search.types import (
    FIRST_PROMPTS,
    Proposal,
    Proposer,
    ProposerContext,
    Rules,
    Scored,
    TuningTask,
)

ReportRound = Callable[["SearchState"], None]
T = TypeVar("T")
IDLE = 6  # batches in a row of nothing new, after which a proposer is left


@dataclass(slots=True)
class SearchState:
    """What is known so far.

    Attributes:
        task: what is tuned.
        ids: SEARCH, in the order in which queries are raced over.
        scorer: gives scores.
        scored: all proposals, in the order in which they were made.
        making: name of the proposer at work.
        ended: why it ended.
    """

    task: TuningTask
    ids: tuple[str, ...]
    scorer: Scorer
    scored: list[Scored] = field(default_factory=list)
    making: str = FIRST_PROMPTS
    ended: str = ""

    @property
    def rules(self) -> Rules:
        """How the search goes."""
        return self.task.rules

    @property
    def meter(self) -> Meter:
        """What is spent."""
        return self.scorer.meter

    @property
    def finished(self) -> list[Scored]:
        """What was raced to the end, the best first; of equals the earliest."""
        return sorted(
            (one for one in self.scored if one.finished), key=lambda one: -self.worth(one)
        )

    @property
    def best(self) -> Scored:
        """The best so far."""
        return self.finished[0]

    def worth(self, one: Scored) -> float:
        """Return the mean less the penalty on length."""
        space = self.task.space
        share = space.words(one.proposal.prompt) / space.most_words if space.roles else 0.0
        return one.mean - self.rules.length_penalty * share


def search(
    task: TuningTask, ids: Sequence[str], scorer: Scorer, report: ReportRound
) -> SearchState:
    """Try the first prompts, then each proposer in turn with an equal share of what is left.

    Raises:
        SpentError: not even the default could be scored.
    """
    order = np.random.default_rng([task.rules.seed, 1]).permutation(len(ids))
    state = SearchState(task, tuple(ids[at] for at in order), scorer)
    default = task.pool[0]
    scorer.scores(default.prompt, state.ids)
    state.scored.append(Scored(default, scorer.known(default.prompt), True))
    _race_round(state, list(task.pool[1:]))
    reserved = state.meter.reserved
    for at, (name, make) in enumerate(task.proposers.items()):
        state.making = name
        state.meter.reserved = state.meter.all_but_share(reserved, len(task.proposers) - at)
        _use(state, make(_context(state, at)), report)
        state.meter.reserved = reserved
    state.ended = state.ended or "proposers had no more to propose"
    report(state)
    return state


def _use(state: SearchState, proposer: Proposer, report: ReportRound) -> None:
    """Go on with one proposer until it has no more, or its share is spent."""
    known = {key_of(one.proposal.prompt) for one in state.scored}
    idle = 0
    try:
        proposer.tell(list(state.scored))
        while idle < IDLE and not _late(state) and (asked := proposer.ask(state.rules.batch)):
            new = {key_of(one.prompt): one for one in asked}
            fresh = [
                one
                for key, one in new.items()
                if key not in known and state.task.space.holds(one.prompt)
            ]
            known |= new.keys()
            idle = 0 if fresh else idle + 1
            began = len(state.scored)
            spent = _race_round(state, fresh)
            held = {key_of(one.proposal.prompt): one for one in state.scored}
            again = [
                held[key] for key in new if key in held and held[key] not in state.scored[began:]
            ]
            proposer.tell(state.scored[began:] + again)
            report(state)
            if spent:
                state.ended = "the budget ended"
                return
    except SpentError:
        state.ended = "the budget ended"


def _race_round(state: SearchState, coming: list[Proposal]) -> bool:
    """Race proposals and note what became of them; return whether the budget ended."""
    if not coming:
        return False
    blocks = [
        state.ids[at : at + state.rules.block] for at in range(0, len(state.ids), state.rules.block)
    ]
    standing = [state.scored[0].proposal]
    if state.best.proposal is not standing[0]:
        standing.append(state.best.proposal)
    results, spent = race(state.scorer, standing, coming, blocks, state.rules)
    for one in results:
        state.scored.append(one)
        state.scorer.journal.note("proposal", partial(_described, one))
    return spent


def _described(scored: Scored) -> dict[str, Any]:
    """Return what a journal holds of a proposal."""
    proposal = scored.proposal
    return {
        "key": key_of(proposal.prompt),
        "made_by": proposal.made_by,
        "how": proposal.how,
        "parents": proposal.parents,
        "prompt": format_prompt(proposal.prompt),
        "queries": len(scored.scores),
        "mean": scored.mean,
        "decision": scored.decision,
    }


def _context(state: SearchState, place: int) -> ProposerContext:
    """Give a proposer its tools; they reach no query outside SEARCH."""
    inside = frozenset(state.ids)
    scorer = state.scorer

    def of_search(
        work: "Callable[[Prompt, Sequence[str]], T]",
    ) -> "Callable[[Prompt, Sequence[str]], T]":
        def checked(prompt: Prompt, query_ids: Sequence[str]) -> T:
            if not inside.issuperset(query_ids):
                raise ValueError("a proposer may look at queries of SEARCH only")
            return work(prompt, query_ids)

        return checked

    return ProposerContext(
        state.task.space,
        state.rules.seed * 1000 + place,
        state.ids,
        scorer.once,
        of_search(scorer.scores),
        of_search(scorer.objective.failures),
    )


def _late(state: SearchState) -> bool:
    """Tell whether the clock has run out; written down, so that it stays so when taken up."""
    limit = state.meter.budget.seconds
    if limit is None:
        return False
    over = state.scorer.journal.note("late", lambda: bool(state.meter.seconds >= limit))
    if over:
        state.ended = "the time is over"
    return bool(over)
