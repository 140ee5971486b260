"""What a race calls finished, what it sets against what, and what proposers come to know."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest

from embedder.types import Role
from tests.arithmetic import SPACE, Arithmetic, task
from tests.killed_tuning import LIBRARY
from tuning.proposers.evolve import Evolve
from tuning.search.budget import Budget, Meter
from tuning.search.journal import Journal
from tuning.search.racing import BUDGET_ENDED, race
from tuning.search.rounds import learnable_answers, search
from tuning.search.scorer import Scorer
from tuning.search.space import Around
from tuning.search.types import Proposal, ProposerContext, Rules, Scored

IDS = tuple(f"q{at}" for at in range(160))
BLOCKS = [IDS[at : at + 25] for at in range(0, len(IDS), 25)]


def worded(words: str, prompted: bool = True) -> Proposal:
    around = {Role.QUERY: Around(f"{words} ", "")}
    return Proposal(SPACE.reworded(SPACE.default, around), "test", words, prompted=prompted)


def scorer(objective: Arithmetic, evaluations: int | None = None) -> Scorer:
    return Scorer(objective, Journal(None, {}), Meter(Budget(evaluations=evaluations)))


def test_what_the_budget_cut_off_has_not_finished() -> None:
    """Four finalists of scifact had seen 25 of 405 queries, for the budget had ended there."""
    many = [worded(f"word{at}") for at in range(8)]
    judge = scorer(Arithmetic(spread=0.05), evaluations=160 + 8 * 25 + 60)
    judge.scores(SPACE.default, IDS)
    results, _ = race(judge, [Proposal(SPACE.default, "pool")], many, BLOCKS, Rules())
    assert all(result.finished == (len(result.scores) == len(IDS)) for result in results)
    assert all(result.finished == (not result.reason) for result in results)
    judge = scorer(Arithmetic(spread=0.05), evaluations=160 + 100)
    judge.scores(SPACE.default, IDS)
    (result,), _ = race(judge, [Proposal(SPACE.default, "pool")], many[:1], BLOCKS, Rules())
    assert not result.finished and result.reason == BUDGET_ENDED and len(result.scores) == 100


def test_a_small_budget_takes_few_prompts_to_the_end() -> None:
    objective = Arithmetic({"good": 0.02}, spread=0.3)
    many = [*(worded(f"word{at}") for at in range(7)), worded("good")]
    judge = scorer(objective, evaluations=160 + 500)
    judge.scores(SPACE.default, IDS)
    results, spent = race(judge, [Proposal(SPACE.default, "pool")], many, BLOCKS, Rules())
    assert not spent and any(result.finished for result in results)
    assert any("worse half" in result.reason for result in results)


@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
def test_many_prompts_do_not_spend_the_budget_on_their_first_block(share: float) -> None:
    """With .3 of what a full sweep takes, none of 46 wordings came to the end, good or not."""
    objective = Arithmetic({"good": 0.2}, spread=0.2)
    many = [*(worded(f"word{at}") for at in range(45)), worded("good")]
    many = [many[at] for at in np.random.default_rng(0).permutation(46)]
    judge = scorer(objective, evaluations=160 + round(share * 46 * 160))
    judge.scores(SPACE.default, IDS)
    results, _ = race(judge, [Proposal(SPACE.default, "pool")], many, BLOCKS, Rules())
    finished = [result for result in results if result.finished]
    assert finished and judge.meter.spent.evaluations <= 160 + share * 46 * 160
    if share > 0.1:
        assert max(finished, key=lambda result: result.mean).proposal.how == "good"


@dataclass
class Listener:
    """Proposes two wordings, and keeps what it is told."""

    context: ProposerContext
    told: list[Scored] = field(default_factory=list)
    name: str = "listener"
    remarks: tuple[str, ...] = ("this could not be tried",)

    def ask(self, n: int) -> list[Proposal]:
        return [] if len(self.told) > 3 else [worded("good"), worded("better good")]

    def tell(self, results: Sequence[Scored]) -> None:
        self.told += results


def listened(
    objective: Arithmetic, ids: Sequence[str], judge: Scorer
) -> tuple[Listener, list[str]]:
    listeners: list[Listener] = []

    def make(context: ProposerContext) -> Listener:
        listeners.append(Listener(context))
        return listeners[-1]

    each = task(objective, {"listener": make})
    pool = (*each.first_prompts, worded("baseline", prompted=False))
    state = search(replace(each, first_prompts=pool), ids, judge, lambda state: None)
    assert state.remarks == ["this could not be tried"]
    return listeners[0], [each.proposal.how for each in state.finished]


def test_a_baseline_in_the_lead_ends_no_wording() -> None:
    """On a planted objective it ended 94 of 94, so that nobody learned anything of words."""
    objective = Arithmetic({"good": 0.1, "baseline": 0.4}, spread=0.1)
    listener, finished = listened(objective, IDS, scorer(objective))
    assert finished[0] == "baseline" and {"good", "better good"} & {*finished}
    assert "baseline" not in {result.proposal.how for result in listener.told}


def test_scores_of_other_folds_are_not_told() -> None:
    """With few queries they ranked prompts, and 8 to 13 % of runs on noise found a gain."""
    objective = Arithmetic({"good": 0.1}, spread=0.1)
    judge = scorer(objective)
    for held_out in (SPACE.default, worded("good").prompt):
        judge.scores(held_out, IDS[:40])
    listener, _ = listened(objective, IDS[40:], judge)
    assert listener.told
    assert all({*result.scores} <= {*IDS[40:]} for result in listener.told)


def test_seconds_are_shared_and_prompts_reach_the_end_in_them() -> None:
    """The first proposer took all of the time, and first prompts were never cut."""
    objective = Arithmetic({"good": 0.1}, spread=0.1)

    def clock() -> float:
        return float(sum(len(ids) for _, ids in objective.asked))

    judge = Scorer(objective, Journal(None, {}), Meter(Budget(seconds=3_200), clock=clock))
    makers = dict.fromkeys(("one", "two", "three"), partial(Evolve, library=LIBRARY))
    pool = tuple(worded(f"word{at}") for at in range(40))
    each = task(objective, makers)
    each = replace(each, first_prompts=(*each.first_prompts, *pool))
    spent: list[tuple[str, float]] = []
    state = search(each, IDS, judge, lambda state: spent.append((state.making, clock())))
    tried = {result.proposal.made_by for result in state.finished}
    assert tried == {"pool", "test", "evolve"}  # the default, first prompts, what is proposed
    assert [name for name, _ in spent if name != "three"][-1] == "two"
    assert clock() <= 3_200 + 160
    firsts = [result for result in state.scored if result.proposal.made_by == "test"]
    assert {result.reason for result in firsts} & {"the time was over"}


def test_vectors_are_learned_from_answers_that_no_other_query_shares() -> None:
    relevant = {
        "a": frozenset("12"),
        "b": frozenset("3"),
        "c": frozenset("23"),
        "d": frozenset("4"),
    }
    assert learnable_answers(relevant, ("a", "b", "d")) == {
        "a": frozenset("1"),
        "d": frozenset("4"),
    }
