"""The fuzz campaign: what becomes of a trial is told apart, and no worker's end ends it."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.fuzz_pool import run_trials
from benchmarks.fuzz_prompts import campaign
from benchmarks.fuzz_trial import Kind, Outcome, Trial, verdict_of


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome(0, "found", "a remark\n"), "right"),
        (Outcome(2, "", "Loading\nlastword: p.toml: layer must be a number\n"), "one line"),
        (Outcome(2, "", "lastword: must be a number\n"), "vague"),
        (Outcome(2, "", "lastword: unexpected KeyError: 1 (a fault of lastword)\n"), "unexpected"),
        (Outcome(1, "", "Traceback (most recent call last):\nKeyError: 1\n"), "traceback"),
        (Outcome(0, "", "Traceback (most recent call last):\nKeyError: 1\n"), "traceback"),
        (Outcome(2, "", ""), "wrong"),
        (Outcome(1, "", "lastword: p.toml: gone\n"), "wrong"),
        (Outcome(2, "", "lastword: p.toml " + "x" * 5000), "wrong"),
        (Outcome(2, "", "lastword: p.toml: one\nand another line\n"), "wrong"),
    ],
)
def test_what_becomes_of_a_command_is_told_apart(outcome: Outcome, kind: Kind) -> None:
    assert verdict_of(Trial("a", names=("p.toml",)), [outcome], "").kind == kind


def test_the_worst_command_counts_and_a_judge_has_its_say() -> None:
    fine, said = Outcome(0, "", ""), Outcome(2, "", "lastword: no index at x")
    assert verdict_of(Trial("a"), [fine, said, fine], "").kind == "one line"
    assert verdict_of(Trial("a"), [fine], "2 hits, not 3").why == "2 hits, not 3"
    assert verdict_of(Trial("a"), [], "").kind == "right"


def _dies(folder: Path, outcomes: Sequence[Outcome]) -> str:
    os.kill(os.getpid(), signal.SIGSEGV)
    return ""


def _sleeps(folder: Path, outcomes: Sequence[Outcome]) -> str:
    time.sleep(600)
    return ""


def _reads(folder: Path, outcomes: Sequence[Outcome]) -> str:
    same = (folder / "a/b.txt").read_bytes() == b"text" and (folder / "c").is_symlink()
    return "" if same and "Usage" in outcomes[0].stdout else "files or output are missing"


def test_a_worker_that_crashes_or_hangs_is_replaced(tmp_path: Path) -> None:
    trials = [
        Trial("a crash", judge=_dies),
        Trial("a hang", judge=_sleeps, seconds=0.2),
        Trial("help", (("--help",),), {"a/b.txt": b"text"}, links={"c": "a"}, judge=_reads),
        Trial("an option", (("search", "--depth", "x"),), names=("--depth",)),
    ]
    told = [(number, verdict.kind) for number, _, verdict in run_trials(trials, tmp_path, 1)]
    assert told == [(0, "signal"), (1, "hang"), (2, "right"), (3, "one line")]


def test_a_campaign_gives_the_same_trials_for_a_seed_and_any_count() -> None:
    few, many = list(campaign(7, 20)), list(campaign(7, 40))
    assert few == many[:20]
    assert few != list(campaign(8, 20))
    assert len({trial.files["p.toml"] for trial in many}) > 30
