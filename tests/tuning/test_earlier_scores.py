"""Scores of earlier runs: free, told, never trusted, and sealed where CONFIRM is."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from embedder.files.content_hash import content_hash
from embedder.files.kept_scores import MOST, EarlierScores, read_scores
from embedder.prompts.prompt import Prompt
from embedder.types import Role
from tests.arithmetic import SPACE, Arithmetic, task
from tests.killed_tuning import LIBRARY
from tuning.proposers.evolve import Evolve
from tuning.search.budget import Budget, Cost, Meter
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.result import TuningOutcome
from tuning.search.scorer import Scorer
from tuning.search.space import Around
from tuning.search.split import three_parts
from tuning.search.types import FIRST_PROMPTS, MakeProposer, Proposal

MAKERS: dict[str, MakeProposer] = {"evolve": partial(Evolve, library=LIBRARY)}


@dataclass
class Kept(Arithmetic):
    """Arithmetic whose scores may be kept."""

    def score_key(self, prompt: Prompt, query_id: str) -> str:
        """Name the score by prompt and query."""
        return content_hash([prompt.hash, self.seed]) + content_hash(query_id)


class Watched(EarlierScores):
    """Writes down which scores are asked for."""

    def __init__(self, scores: dict[str, float]) -> None:
        super().__init__(scores)
        self.asked: list[str] = []

    def take(self, key: str) -> float | None:
        """Return a score."""
        self.asked.append(key)
        return super().take(key)


def run(objective: Kept, earlier: EarlierScores, budget: int = 5_000) -> TuningOutcome:
    return tune(
        task(objective, MAKERS), Budget(evaluations=budget), Journal(None, {}), earlier=earlier
    )


def test_a_second_run_pays_nothing_and_finds_the_same() -> None:
    def all_words(objective: Kept, earlier: EarlierScores) -> TuningOutcome:
        words = [Around(f"{word} ", "") for word in ("good", "fine", "bad", "so so")]
        prompts = [SPACE.reworded(SPACE.default, {Role.QUERY: each}) for each in words]
        first = (*(Proposal(each, FIRST_PROMPTS) for each in (SPACE.default, *prompts)),)
        asked = replace(task(objective, {}), first_prompts=first)
        return tune(asked, Budget(evaluations=5_000), Journal(None, {}), earlier=earlier)

    worth = {"good": 0.2, "fine": 0.1, "bad": -0.1}
    left = EarlierScores()
    before = all_words(Kept(worth), left)
    objective, earlier = Kept(worth), EarlierScores(left.added)
    after = all_words(objective, earlier)
    assert before.spent.evaluations == len(left.added) > 300 and before.earlier == 0
    assert objective.asked == [] and after.spent == Cost() and earlier.added == {}
    assert before.confirmed == after.confirmed is not None and after.prompt == before.prompt
    assert [each.mean for each in after.scored] == [each.mean for each in before.scored]
    assert after.earlier == earlier.given == len(left.added)
    assert f"{len(left.added):,} scores from an earlier run" in str(after)
    assert after.to_json()["scores_from_earlier_runs"] == len(left.added)
    other = Kept(worth, seed=1)
    assert all_words(other, EarlierScores(left.added)).earlier == 0  # of another collection


def test_a_smaller_budget_goes_further() -> None:
    """What is known is not charged, and what is not is: never one unit over."""
    first, left = Kept({"good": 0.1}), EarlierScores()
    run(first, left, 700)
    second = Kept({"good": 0.1})
    outcome = run(second, EarlierScores(left.added), 700)
    paid = sum(len(ids) for _, ids in second.asked)
    assert 0 < outcome.spent.evaluations == paid <= 700
    assert len(outcome.scored) > 0 and outcome.earlier > 300


def test_of_confirm_only_the_candidate_is_told_and_only_when_it_is_judged() -> None:
    """All scores of all prompts are known: not one of CONFIRM is asked for before it is opened."""
    objective, left = Kept({"good": 0.1, "fine": 0.1}), EarlierScores()
    first = run(objective, left, 900)
    prompts = {one.proposal.prompt.hash: one.proposal.prompt for one in first.scored}
    queries = [*objective.relevant]
    known = {
        objective.score_key(prompt, query): score
        for prompt in prompts.values()
        for query, score in zip(queries, objective([prompt], queries)[0], strict=True)
    }
    earlier = Watched(known)
    outcome = run(Kept({"good": 0.1, "fine": 0.1}), earlier, 900)
    confirm = three_parts(objective.relevant, 0).confirm
    sealed = {
        objective.score_key(prompt, query): prompt.hash
        for prompt in [one.proposal.prompt for one in outcome.scored]
        for query in confirm
    }
    asked = [sealed[key] for key in earlier.asked if key in sealed]
    assert outcome.confirmed is not None
    n = len(confirm)
    assert asked == [SPACE.default.hash] * n + [outcome.confirmed.proposal.prompt.hash] * n
    assert {*earlier.asked[-2 * n :]} <= sealed.keys()  # after everything else


def test_what_is_sealed_is_charged_in_full_until_then() -> None:
    objective = Kept()
    known = {objective.score_key(SPACE.default, query): 0.5 for query in ("q1", "q2")}
    scorer = Scorer(objective, Journal(None, {}), Meter(Budget()), EarlierScores(known))
    scorer.sealed = frozenset(["q2"])
    assert scorer.cost(SPACE.default, ["q1"]) == Cost()
    assert scorer.cost(SPACE.default, ["q1", "q2"]).evaluations == 1
    scorer.sealed = frozenset()
    assert scorer.scores(SPACE.default, ["q1", "q2"]).tolist() == [0.5, 0.5]
    assert scorer.meter.spent == Cost() and objective.asked == []


def test_files_of_scores_are_whole_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.scores"
    assert read_scores(path).digest == ""
    values = {f"{at:032x}": value for at, value in enumerate((0.0, 1.0, 1 / 3, 5e-05, 1e-300))}
    EarlierScores(values).write(path)
    kept = read_scores(path)
    assert {key: kept.take(key) for key in values} == values
    whole = path.read_bytes()
    rng_places = range(0, len(whole), 7)
    for at in rng_places:
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match="does not hold the scores"):
                read_scores(path)
    EarlierScores({"0" * 32: 1.5}).write(path)  # a digest of one's own making
    with pytest.raises(ValueError, match="does not hold the scores"):
        read_scores(path)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        read_scores(path)


def test_the_oldest_scores_go() -> None:
    values = {f"{at:032x}": 0.5 for at in range(MOST + 2)}
    kept = EarlierScores(values)
    assert kept.take(f"{1:032x}") is None and kept.take(f"{2:032x}") == 0.5
