"""Measure what a search costs that starts, asks one query of the bundled model, and ends.

python -m benchmarks.cold_start [--rounds 7] [--dry]

Whole processes in turns, seconds of processor time. Beside it: the same search by BM25 alone, the
same through torch and transformers (`lastword.open`), `import torch`, and as the floor `import
numpy, scipy.sparse`. A first round, which is not counted, writes bytecode into a folder of the
benchmark's own, so that all have it.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.record import append

QUERY = "how do I rotate a key"
TEXTS = ("green tea is steeped for three minutes", "rotate the key at night", "black rock")
_SEARCH = "import sys; from lastword.main import main; sys.exit(main(['search', sys.argv[1], {}]))"
PROGRAMS = {
    "search": _SEARCH.format(f"'{QUERY}'"),
    "search_bm25": _SEARCH.format(f"'{QUERY}', '--channels', 'bm25'"),
    "search_with_torch": f"import sys, lastword; lastword.open(sys.argv[1]).search('{QUERY}')",
    "import_torch": "import torch",
    "floor": "import numpy, scipy.sparse",
}


def main() -> None:
    """Run the programs in turns, print a table, and append the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        index = make_index(Path(name) / "a.index")
        cache = {"PYTHONPYCACHEPREFIX": f"{name}/bytecode", "PYTHONDONTWRITEBYTECODE": ""}
        seconds: dict[str, list[float]] = {program: [] for program in PROGRAMS}
        for _ in range(options.rounds + 1):
            for program, spent in seconds.items():
                spent.append(run(program, index, cache))
    kept = {program: spent[1:] for program, spent in seconds.items()}
    Console().print(_table(kept))
    if not options.dry:
        append(_record(kept))


def make_index(path: Path) -> Path:
    """Make an index of a few texts by the bundled model."""
    import lastword

    lastword.build(path, TEXTS).close()
    return path


def run(program: str, index: Path, environment: Mapping[str, str]) -> float:
    """Run one program to its end in a process of its own; return its processor time in seconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAMS[program], str(index)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        sys.exit(f"{program} failed: {told.decode(errors='replace')[-2000:]}")
    return usage.ru_utime + usage.ru_stime


def ratios(seconds: Mapping[str, list[float]], program: str) -> list[float]:
    """Return how many times `import torch` a program took in each round."""
    beside = seconds["import_torch"]
    return [spent / torch for spent, torch in zip(seconds[program], beside, strict=True)]


def _record(seconds: Mapping[str, list[float]]) -> dict[str, object]:
    medians = {f"{name}_cpu_s": statistics.median(spent) for name, spent in seconds.items()}
    over = {
        f"{name}_to_import_torch_median_least_most": [
            round(value, 3) for value in (statistics.median(of), min(of), max(of))
        ]
        for name in seconds
        if name != "import_torch" and (of := ratios(seconds, name))
    }
    rounds = len(seconds["search"])
    rounded = {name: round(value, 3) for name, value in medians.items()}
    return {"name": "cold_start", "rounds": rounds, **rounded, **over}


def _table(seconds: Mapping[str, list[float]]) -> Table:
    columns = ("process", "CPU s, median", "least", "most", "times import torch")
    table = Table(*columns, title="cold start of a search with the bundled model")
    for name, spent in seconds.items():
        figures = (statistics.median(spent), min(spent), max(spent))
        beside = statistics.median(ratios(seconds, name))
        table.add_row(name, *(f"{figure:.2f}" for figure in figures), f"{beside:.2f}")
    return table


if __name__ == "__main__":
    main()
