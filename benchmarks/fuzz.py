"""Try to break lastword with random files, options and moments; keep what breaks it.

python -m benchmarks.fuzz [--only prompts,options] [--count 500] [--seed 0] [--workers 2]
                          [--at NUMBER] [--keep FOLDER] [--dry]

Every campaign is a module benchmarks/fuzz_NAME.py (see `fuzz_trial`). A trial is right, or ends in
one line and exit code 2; all else is a fault. The folder of each fault is kept, with its commands
in commands.txt; `--only NAME --at NUMBER` runs that trial alone again.
"""

import argparse
import importlib
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.fuzz_pool import run_trials
from benchmarks.fuzz_trial import FAULTS, Trial, Verdict
from benchmarks.record import append

COUNTS = {
    "prompts": 2000,
    "options": 1000,
    "inputs": 500,
    "models": 100,
    "manifests": 500,
    "bitflips": 1000,
    "kills": 1000,
}
"""Campaigns, and how many trials of each are enough."""


def main() -> None:
    """Run campaigns, print a table, append the counts to the record; exit code 1 for a fault."""
    options = _options()
    keep = options.keep or Path(tempfile.mkdtemp(prefix="lastword-fuzz-"))
    keep.mkdir(parents=True, exist_ok=True)
    console, counts, seconds = Console(width=max(100, Console().width)), {}, {}
    for name in options.only.split(",") if options.only else COUNTS:
        if name not in COUNTS:
            raise SystemExit(f"no campaign is called {name}; there are {', '.join(COUNTS)}")
        if find_spec(f"benchmarks.fuzz_{name}") is None:
            console.print(f"{name}: no such module yet")
            continue
        began = time.perf_counter()
        counts[name] = Counter(kind for kind in _run(name, options, keep.resolve(), console))
        seconds[name] = round(time.perf_counter() - began)
    console.print(_table(counts, seconds))
    if not any(keep.iterdir()):
        keep.rmdir()
    if not options.dry and options.at is None:
        append({"name": "fuzz", "seed": options.seed, "counts": counts, "seconds": seconds})
    sys.exit(1 if any(counter[kind] for counter in counts.values() for kind in FAULTS) else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", help=f"campaigns, by commas, of {', '.join(COUNTS)}")
    parser.add_argument("--count", type=int, help="trials of each campaign")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--at", type=int, help="run only the trial of this number")
    parser.add_argument("--keep", type=Path, help="where folders of faults are kept")
    parser.add_argument("--dry", action="store_true", help="do not append to results.jsonl")
    return parser.parse_args()


def _run(name: str, options: argparse.Namespace, keep: Path, console: Console) -> Iterator[str]:
    """Run one campaign, and yield what became of each trial."""
    count = COUNTS[name] if options.count is None else options.count
    if options.at is not None:
        count = options.at + 1
    trials: Iterator[Trial] = importlib.import_module(f"benchmarks.fuzz_{name}").campaign(
        options.seed, count
    )
    first = 0 if options.at is None else options.at
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as scratch:
        folder = Path(scratch).resolve()
        for number, trial, verdict in run_trials(
            islice(trials, first, None), folder, options.workers
        ):
            yield verdict.kind
            place = folder / str(number)
            if verdict.kind in FAULTS:
                fault = keep / f"{name}-{options.seed}-{first + number}"
                console.print(
                    f"[red]{verdict.kind}[/] {fault.name}: {escape(trial.name)}: "
                    f"{escape(verdict.why)}",
                    soft_wrap=True, highlight=False,
                )  # fmt: skip
                shutil.rmtree(fault, ignore_errors=True)
                shutil.move(place, fault)
                _describe(fault, trial, verdict)
            shutil.rmtree(place, ignore_errors=True)


def _describe(fault: Path, trial: Trial, verdict: Verdict) -> None:
    """Write commands, and what was said, beside the files of a fault."""
    lines = [shlex.join(("lastword", *command)) for command in trial.commands]
    (fault / "commands.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    texts = [f"{verdict.kind}: {trial.name}\n{verdict.why}\n"]
    for line, outcome in zip(lines, verdict.outcomes, strict=False):
        texts.append(f"\n$ {line}\nexit code {outcome.code}\n{outcome.stdout}{outcome.stderr}")
    text = "".join(texts)
    (fault / "verdict.txt").write_text(text, "utf-8", "backslashreplace")
    if trial.stdin:
        (fault / "stdin.txt").write_bytes(trial.stdin)


def _table(counts: dict[str, Counter[str]], seconds: dict[str, int]) -> Table:
    kinds = ("right", "one line", *FAULTS)
    table = Table("campaign", "trials", *kinds, "seconds", box=None)
    for name, counter in counts.items():
        numbers = [str(counter[kind]) for kind in kinds]
        table.add_row(name, str(counter.total()), *numbers, str(seconds[name]))
    return table


if __name__ == "__main__":
    main()
