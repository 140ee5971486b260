"""Trial: one attempt at breaking lastword; Outcome: what a command did; Verdict: what to say of it.

A campaign is a module `benchmarks/fuzz_NAME.py` with

    def campaign(seed: int, count: int) -> Iterator[Trial]

that yields `count` trials, the same ones for the same seed, and says in its docstring what it
tries. Trial number n must not depend on `count`, nor on what became of the trials before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

Kind = Literal[
    "right",  # exit code 0, and the judge is content
    "one line",  # exit code 2, and one line that names what is wrong
    "vague",  # the same, but the line holds none of the names that it should
    "unexpected",  # the last resort caught what nobody expected, as a line
    "traceback",
    "signal",
    "hang",
    "wrong",  # another exit code, no line, or the judge is not content
]
FAULTS: tuple[Kind, ...] = ("vague", "unexpected", "traceback", "signal", "hang", "wrong")
MOST = 2200  # characters of a line that is still one

Judge = Callable[[Path, "Sequence[Outcome]"], str]
"""What is wrong with the folder and the outcomes of a trial's commands; "" for nothing."""


@dataclass(frozen=True)
class Outcome:
    """What one command did: exit code and streams, as text of UTF-8 with escapes."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Trial:
    """Files in a fresh folder, and commands that are run in it one after the other.

    Everything in it is pickled, for it is tried by another process: a judge is a function of a
    module, or a `functools.partial` of one.

    Attributes:
        name: what is tried, for the person who reads of a fault.
        commands: arguments after "lastword", run inside the folder, each whatever came before.
        files: names in the folder, and their bytes; parents are made.
        base: a folder whose content is copied first, or None.
        links: names in the folder and what they point at, made last.
        absent: names that are removed from the copy.
        names: an error must hold one of them, such as a file's name or a key; () allows any line.
        stdin: what the commands read there.
        judge: looks at folder and outcomes where no command failed badly; may run programs.
        seconds: time for all commands and the judge, after which it is a hang; a machine that is
            busy with other things gives more.
    """

    name: str
    commands: tuple[tuple[str, ...], ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    base: Path | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    stdin: bytes = b""
    judge: Judge | None = None
    seconds: float = 60


@dataclass(frozen=True)
class Verdict:
    """What became of a trial; `why` is for people, and "" where all is well."""

    kind: Kind
    why: str = ""
    outcomes: tuple[Outcome, ...] = ()


def pick(rng: np.random.Generator, choices: Sequence[Any]) -> Any:  # noqa: ANN401
    """Choose one of several."""
    return choices[int(rng.integers(len(choices)))]


def judge_index(folder: Path, outcomes: Sequence[Outcome]) -> str:
    """An index that was made must be one that can be searched."""
    build, searched = outcomes
    if build.code == 0 and searched.code != 0:
        return f"indexed, but cannot be searched: {searched.stderr.strip()[:200]}"
    return "a folder is left behind" if build.code and (folder / "x").exists() else ""


def verdict_of(trial: Trial, outcomes: Sequence[Outcome], judged: str) -> Verdict:
    """Say what became of commands that all ended; the worst of them counts."""
    each = [_of_outcome(trial, outcome) for outcome in outcomes]
    if judged:
        each.append(Verdict("wrong", judged))
    ranks: tuple[Kind, ...] = ("right", "one line", *FAULTS)
    worst = max(each, key=lambda verdict: ranks.index(verdict.kind), default=Verdict("right"))
    return Verdict(worst.kind, worst.why, tuple(outcomes))


def _of_outcome(trial: Trial, outcome: Outcome) -> Verdict:
    texts = outcome.stderr.strip()
    last = texts.splitlines()[-1] if texts else ""
    if "Traceback (most recent call last)" in texts:
        return Verdict("traceback", last)
    if outcome.code == 0:
        return Verdict("right")
    if outcome.code != 2 or not last.startswith("lastword: ") or len(last) > MOST:
        return Verdict("wrong", f"exit code {outcome.code}, {last[:300] or 'and no line'}")
    if last.startswith("lastword: unexpected "):
        return Verdict("unexpected", last)
    if trial.names and not any(name in last for name in trial.names):
        return Verdict("vague", last)
    return Verdict("one line", last)
