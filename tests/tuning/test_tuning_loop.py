"""The loop keeps its promises: budget, splits, resuming, and what it claims."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedder.types import Role
from tests.arithmetic import SPACE, Arithmetic, task
from tests.folders import ROOT
from tests.killed_tuning import LIBRARY, run
from tuning.proposers.evolve import Evolve
from tuning.search.budget import Budget, Cost, Meter, SpentError
from tuning.search.choice import measure_gain
from tuning.search.journal import Journal
from tuning.search.pipeline import Sealed, tune
from tuning.search.result import CHANGE, KEEP
from tuning.search.scorer import Scorer
from tuning.search.space import Around, key_of
from tuning.search.split import three_parts
from tuning.search.types import MakeProposer, Proposal, ProposerContext, Rules, Scored

MAKERS: dict[str, MakeProposer] = {"evolve": partial(Evolve, library=LIBRARY)}


@settings(max_examples=40, deadline=None)
@given(st.integers(1_500, 20_000), st.integers(400, 6_000))
def test_no_budget_is_exceeded_by_one_unit(tokens: int, evaluations: int) -> None:
    objective = Arithmetic({"good": 0.1})
    try:
        outcome = tune(
            task(objective, MAKERS),
            Budget(tokens=tokens, evaluations=evaluations),
            Journal(None, {}),
        )
    except SpentError:
        pass
    else:
        assert outcome.spent.evaluations == sum(len(ids) for _, ids in objective.asked)
    assert sum(len(ids) for _, ids in objective.asked) <= evaluations
    assert sum(5 * len(ids) for _, ids in objective.asked) <= tokens


def test_a_meter_refuses_one_unit_too_many() -> None:
    meter = Meter(Budget(tokens=10), reserved=Cost(tokens=3))
    meter.charge(Cost(tokens=7))
    with pytest.raises(SpentError):
        meter.charge(Cost(tokens=1))
    meter.reserved = Cost()
    meter.charge(Cost(tokens=3))
    assert meter.spent == Cost(tokens=10) and meter.left == 0


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("2M-tokens", Budget(tokens=2_000_000)),
        ("1.5k-tokens,20-calls, 90-seconds", Budget(tokens=1500, calls=20, seconds=90)),
        ("7-evaluations", Budget(evaluations=7)),
        ("2.01k-tokens,0.5-seconds", Budget(tokens=2010, seconds=0.5)),  # 2.01 * 1000 < 2010
    ],
)
def test_budgets_are_read(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize(
    "text", ["", "2M", "tokens", "-5-tokens", "1-tokens,2-tokens", "5-apples", "٣-tokens"]
)
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a budget is amounts"):
        Budget.parse(text)


def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    """Killed at random moments and taken up, a run ends with the same bytes, prompt and cost."""
    whole = run(tmp_path / "whole.jsonl")
    path = tmp_path / "killed.jsonl"
    rng = np.random.default_rng(5)
    for _ in range(20):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.killed_tuning", str(path)],
            cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        began = path.stat().st_size if path.exists() else 0
        for _ in range(400):  # until it has gone on from where it was
            if process.poll() is not None or (path.exists() and path.stat().st_size > began):
                break
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0, 0.1)))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert run(path) == whole
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_line_cut_in_half_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = run(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert run(path) == whole and path.read_bytes() == data


def test_a_full_disk_is_told_with_the_name_of_the_journal(tmp_path: Path) -> None:
    """It was "No space left on device", of who knows which; with room the run goes on."""
    whole, path = run(tmp_path / "whole.jsonl"), tmp_path / "journal.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as failed:
            run(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert failed.value.filename == str(path) and path.stat().st_size == 20_000
    assert run(path) == whole
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_journal_is_not_read_through_a_link(tmp_path: Path) -> None:
    """One to /dev/full was read until memory was full."""
    (tmp_path / "other").write_text("no journal\n")
    (tmp_path / "journal.jsonl").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="link"):
        run(tmp_path / "journal.jsonl")


def test_a_file_that_is_no_journal_keeps_its_last_line(tmp_path: Path) -> None:
    """What did not end in a newline was cut off before anything was refused."""
    for text in ("precious", "precious\nwords", '{"a": 1}\n{"b'):
        path = tmp_path / "journal.jsonl"
        path.write_text(text)
        with pytest.raises(ValueError, match=r"no journal of a tuning|no record of a journal"):
            Journal(path, {})
        assert path.read_text() == text


def test_a_damaged_journal_is_no_fault_of_a_prompt(tmp_path: Path) -> None:
    """Prompts lost the race since "the journal does not belong to this run", and nobody was told.

    Of scores that were no numbers NaN went through, and None was a fault of the program.
    """
    path = tmp_path / "journal.jsonl"
    run(path)
    lines = path.read_bytes().splitlines(keepends=True)
    places = [at for at, line in enumerate(lines) if json.loads(line)["kind"] == "scores"]
    damaged = [b"".join([*lines[: places[3]], *lines[places[4] :]])]
    record = json.loads(lines[places[3]])
    del record["crc32"]
    for value in (None, "x", [True], [float("nan")], [10**400], [1.0]):
        line = json.dumps({**record, "value": value}).encode() + b"\n"
        damaged.append(b"".join([*lines[: places[3]], line]))
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"the journal (does not belong|is damaged)"):
            run(path)


def test_a_journal_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, {"seed": 0}).__exit__(None, None, None)
    with pytest.raises(ValueError, match="seed was 0 and is 1"):
        Journal(path, {"seed": 1})


def test_of_equals_the_default_stays() -> None:
    objective = Arithmetic(spread=0.0)
    outcome = tune(
        task(objective, MAKERS),
        Budget(evaluations=4_000),
        Journal(None, {}),
    )
    assert outcome.verdict == KEEP and outcome.prompt == SPACE.default
    assert outcome.confirmed is None


def test_confirm_is_read_once_by_one_candidate() -> None:
    objective = Arithmetic({"good": 0.1, "fine": 0.1})
    tuning_task = task(objective, MAKERS)
    outcome = tune(tuning_task, Budget(evaluations=5_000), Journal(None, {}))
    parts = three_parts(objective.relevant, 0)
    confirm = set(parts.confirm)
    readings = [(prompt, ids) for prompt, ids in objective.asked if confirm & set(ids)]
    assert outcome.confirmed is not None
    assert [prompt for prompt, _ in readings] == [SPACE.default.hash, outcome.prompt.hash]
    assert all(set(ids) == confirm for _, ids in readings)


def test_confirm_does_not_open_twice() -> None:
    objective = Arithmetic()
    tuning_task = task(objective, {})
    scorer = Scorer(objective, Journal(None, {}), Meter(Budget()))
    sealed = Sealed(["q1", "q2"], scorer)
    sealed.open(tuning_task.first_prompts[0], SPACE.default, tuning_task)
    with pytest.raises(ValueError, match="read only once"):
        sealed.open(tuning_task.first_prompts[0], SPACE.default, tuning_task)


class Curious:
    """A proposer that looks where it must not."""

    name = "curious"

    def __init__(self, context: ProposerContext, forbidden: str) -> None:
        self.context, self.forbidden = context, forbidden

    def ask(self, n: int) -> list[Proposal]:
        """Ask for a score of a query outside SEARCH."""
        self.context.scores(SPACE.default, [self.forbidden])
        return []

    def tell(self, results: object) -> None:
        """Learn nothing."""


@pytest.mark.parametrize("part", ["select", "confirm"])
def test_proposers_reach_search_only(part: str) -> None:
    objective = Arithmetic()
    forbidden = getattr(three_parts(objective.relevant, 0), part)[0]
    makers: dict[str, MakeProposer] = {"curious": partial(Curious, forbidden=forbidden)}
    with pytest.raises(ValueError, match="queries of SEARCH only"):
        tune(task(objective, makers), Budget(), Journal(None, {}))


def test_seeds_are_honoured() -> None:
    def proposals(seed: int) -> list[str]:
        objective = Arithmetic({"good": 0.1})
        tuning_task = task(objective, MAKERS, seed=seed)
        outcome = tune(tuning_task, Budget(evaluations=2_000), Journal(None, {}))
        return [key_of(result.proposal.prompt) for result in outcome.scored]

    assert proposals(0) == proposals(0) != proposals(1)


def test_few_queries_are_used_in_folds() -> None:
    objective = Arithmetic({"good": 0.15, "fine": 0.1}, spread=0.1, queries=40)
    outcome = tune(
        task(objective, MAKERS),
        Budget(evaluations=8_000),
        Journal(None, {}),
    )
    assert outcome.folded and outcome.confirmed is not None
    assert "of what searches found in all folds" in outcome.reason
    assert outcome.verdict == CHANGE and outcome.spent.evaluations <= 8_000


class Remarking:
    """Proposes nothing, and says why."""

    name = "remarking"

    def __init__(self, context: ProposerContext) -> None:
        self.remarks = (f"{len(context.search)} of 99 queries", "opt-1.3b", "opt-13b")

    def ask(self, n: int) -> list[Proposal]:
        return []

    def tell(self, results: Sequence[Scored]) -> None: ...


def test_of_folds_that_say_the_same_in_other_numbers_the_last_is_heard() -> None:
    """Three lines said how few queries there were in each fold."""
    asked = task(Arithmetic({}, queries=40), {"remarking": Remarking})
    remarks = tune(asked, Budget(), Journal(None, {})).remarks
    assert remarks[-3:] == ("24 of 99 queries", "opt-1.3b", "opt-13b") and len(remarks) == 4


def test_a_gain_is_accepted_by_enough_and_surely() -> None:
    better = Proposal(
        SPACE.reworded(SPACE.default, {Role.QUERY: Around("good ", "")}), "test", prompted=True
    )
    scores, base = np.full(30, 0.6), np.full(30, 0.5)
    gain = measure_gain(better, [str(at) for at in range(30)], (scores, base), Rules())
    assert gain.accepted(Rules()) and not gain.accepted(Rules(min_effect=0.2))
    assert gain.outcomes.wins == 30 and gain.gain == pytest.approx(0.1)


def test_words_around_a_text_hold_no_slot() -> None:
    with pytest.raises(ValueError, match="hold no slot"):
        Around("say {text} again ", "")


def test_first_prompts_are_named_in_plain_words() -> None:
    """Tables had "pool: default", which is the name that journals keep."""
    assert Proposal(SPACE.default, "pool", "default").title == "first prompts: default"
    assert Proposal(SPACE.default, "evolve", "crossover").title == "evolve: crossover"
