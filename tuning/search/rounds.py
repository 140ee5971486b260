"""Ask proposers, race their proposals, tell them: until they or the budget are at an end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from embedder.prompts.files import format_prompt
from embedder.prompts.prompt import Prompt
from tuning.search.budget import Meter, SpentError
from tuning.search.racing import BUDGET_ENDED, TIME_OVER, race
from tuning.search.refresh import Refresh
from tuning.search.scorer import Scorer
from tuning.search.space import key_of
from tuning.search.types import (
    FIRST_PROMPTS,
    Objective,
    Once,
    Proposal,
    Proposer,
    ProposerContext,
    Rules,
    Scored,
    TellsTexts,
    TuningTask,
)

ReportRound = Callable[["SearchState"], None]
T = TypeVar("T")
FIRST_SHARE = 3  # first prompts get one of so many shares at least: they are many, and known
IDLE = 6  # batches in a row of nothing new, after which a proposer is left


@dataclass(slots=True)
class SearchState:
    """The state of a search.

    Attributes:
        task: what is tuned.
        ids: SEARCH, in the order in which queries are raced over.
        scorer: gives scores.
        scored: all results, in the order in which they were proposed.
        making: name of the proposer at work.
        ended: why it ended.
        remarks: what could not be tried, and why.
        refresh: how finalists were ranked, where the objective has some of the documents only.
    """

    task: TuningTask
    ids: tuple[str, ...]
    scorer: Scorer
    scored: list[Scored] = field(default_factory=list)
    making: str = FIRST_PROMPTS
    ended: str = ""
    remarks: list[str] = field(default_factory=list)
    refresh: Refresh | None = None

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
        """Proposals raced to the end, the best first; ties go to the earliest."""
        return sorted(
            (result for result in self.scored if result.finished),
            key=lambda result: -self.worth(result),
        )

    @property
    def best(self) -> Scored:
        """The best so far."""
        return self.finished[0]

    def incumbents(self, prompted: bool) -> list[Proposal]:
        """Return what words, or baselines, are raced against: the default, and their best so far.

        Apart, since a baseline that leads would end the race of every wording.
        """
        default = self.scored[0].proposal
        best = (each.proposal for each in self.finished if each.proposal.prompted == prompted)
        return list(dict.fromkeys([default, next(best, default)]))

    def worth(self, result: Scored) -> float:
        """Return the mean less the penalty on length."""
        space = self.task.space
        share = space.words(result.proposal.prompt) / space.most_words if space.roles else 0.0
        return result.mean - self.rules.length_penalty * share


def search(
    task: TuningTask, ids: Sequence[str], scorer: Scorer, report: ReportRound
) -> SearchState:
    """Try the first prompts, then each proposer in turn with an equal share of what is left.

    Raises:
        SpentError: not even the default could be scored.
    """
    order = np.random.default_rng([task.rules.seed, 1]).permutation(len(ids))
    state = SearchState(task, tuple(ids[at] for at in order), scorer)
    default = task.first_prompts[0]
    scorer.scores(default.prompt, state.ids)
    state.scored.append(Scored(default, scorer.known(default.prompt, state.ids), True))
    scorer.after_scores = partial(report, state)
    meter, shares = state.meter, len(task.proposers) + 1
    reserved, until = meter.reserved, meter.until
    first = min(FIRST_SHARE, shares)
    meter.reserved, meter.until = meter.all_but_share(reserved, first), meter.moment(1 / first)
    _race_round(state, list(task.first_prompts[1:]))
    for at, (name, make) in enumerate(task.proposers.items(), 1):
        state.making, meter.until = name, until
        meter.reserved = meter.all_but_share(reserved, shares - at, 1)
        meter.until = meter.moment(1 / (shares - at))
        _use(state, make(_context(state, at - 1)), report)
    meter.reserved, meter.until = reserved, until
    state.ended = state.ended or "proposers had no more to propose"
    report(state)
    return state


def _use(state: SearchState, proposer: Proposer, report: ReportRound) -> None:
    """Go on with one proposer until it has no more, or its share is spent."""
    known = {key_of(result.proposal.prompt) for result in state.scored}
    idle = 0
    try:
        proposer.tell([result for result in state.scored if result.proposal.prompted])
        while idle < IDLE and not _late(state) and (proposals := proposer.ask(state.rules.batch)):
            new = {key_of(proposal.prompt): proposal for proposal in proposals}
            fresh = [
                proposal
                for key, proposal in new.items()
                if key not in known and state.task.space.holds(proposal.prompt)
            ]
            known |= new.keys()
            idle = 0 if fresh else idle + 1
            began = len(state.scored)
            spent = _race_round(state, fresh)
            raced = state.scored[began:]
            results = {key_of(result.proposal.prompt): result for result in state.scored}
            again = [results[key] for key in new if key in results and results[key] not in raced]
            proposer.tell(raced + again)
            report(state)
            if spent:
                state.ended = BUDGET_ENDED
                return
    except SpentError:
        state.ended = BUDGET_ENDED
    finally:
        state.remarks += getattr(proposer, "remarks", ())


def _race_round(state: SearchState, candidates: list[Proposal]) -> bool:
    """Race baselines and words, and note their results; return whether the budget ended."""
    blocks = [
        state.ids[at : at + state.rules.block] for at in range(0, len(state.ids), state.rules.block)
    ]
    ended = False
    for prompted in (False, True):  # baselines first: they are few
        racing = [proposal for proposal in candidates if proposal.prompted == prompted]
        if racing:
            incumbents = state.incumbents(prompted)
            results, spent = race(state.scorer, incumbents, racing, blocks, state.rules)
            ended = ended or spent
            for result in results:
                state.scored.append(result)
                state.scorer.journal.note("proposal", partial(_described, result))
    return ended


def _described(scored: Scored) -> dict[str, Any]:
    """Return what a journal holds of a proposal."""
    proposal = scored.proposal
    return {
        "key": key_of(proposal.prompt),
        "made_by": proposal.made_by,
        "how": proposal.how,
        "parents": proposal.parents,
        # without the folder, so that a run's folder may be moved
        "prompt": format_prompt(replace(proposal.prompt, adapt=Path(proposal.prompt.adapt).name)),
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

    journal, meter, objective = scorer.journal, scorer.meter, scorer.objective
    seed = state.rules.seed * 1000 + place
    once: Once = lambda kind, key, cost, work: journal.once(kind, key, meter, cost, work)  # noqa: E731
    return ProposerContext(
        state.task.space,
        seed,
        state.ids,
        once,  # not a method of what knows the scores of all queries
        of_search(scorer.scores),
        of_search(scorer.failures),
        learnable_answers(state.task.relevant, state.ids),
        *_texts(objective, state.ids, seed),
        scorer.affords,
    )


def _texts(
    objective: Objective, ids: Sequence[str], seed: int
) -> tuple[Callable[[], Sequence[str]], Callable[[], Sequence[str]]]:
    """Return what gives the texts of SEARCH, and a card of the collection, where they can be."""
    if not isinstance(objective, TellsTexts):
        return tuple, tuple
    return partial(objective.search_texts, ids), partial(objective.card, seed)


def learnable_answers(
    relevant: Mapping[str, frozenset[str]], search: Sequence[str]
) -> dict[str, frozenset[str]]:
    """Return the answers of queries of SEARCH that no other query shares.

    Args:
        relevant: query id -> its relevant documents, of all queries.
        search: ids of SEARCH.
    """
    inside = frozenset(search)
    outside = [answers for query, answers in relevant.items() if query not in inside]
    shared = frozenset().union(*outside)
    return {query: relevant[query] - shared for query in search if not relevant[query] <= shared}


def _late(state: SearchState) -> bool:
    """Tell whether the time of the proposer at work is over."""
    over = state.scorer.is_late(state.meter.end)
    if over:
        state.ended = TIME_OVER
    return over
