"""Kill -9 a process that builds, adds to or merges an index, many times.

python -m benchmarks.crash [--kills 30] [--seed 0] [--engine native|lucene] [--dry]

After each kill the index must open at its last commit, every checksum must fit, and resuming must
end with the files and the results of an uninterrupted run. Of Lucene's files the names are
compared, since it writes ids and times into them.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.record import append
from index.manifest import Engine
from tests.killed import WORKS, Kill, finished, kill


def main() -> None:
    """Kill, print a table, and append the count to the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=get_args(Engine), default="native", help="of bm25")
    parser.add_argument("--dry", action="store_true", help="do not append to results.jsonl")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = {work: finished(work, folder / work, options.engine) for work in WORKS}
        kills = []
        for number in range(options.kills):
            work = WORKS[number % len(WORKS)]
            kills.append(kill(work, folder / "killed", whole[work], rng, options.engine))
            shutil.rmtree(folder / "killed")
    Console().print(_table(kills))
    bad = [result for result in kills if result.problems]
    if not options.dry:
        append(
            {
                "name": "kill_9",
                "engine": options.engine,
                "kills": len(kills),
                "kills_before_the_end": sum(not result.ended for result in kills),
                "kills_with_problems": len(bad),
                "seed": options.seed,
                "kills_per_work": {work: sum(k.work == work for k in kills) for work in WORKS},
                "work_ms": {work: 1000 * whole[work].seconds for work in WORKS},
                "checked": "opens at a commit, checksums, resumed files and results are equal",
            }
        )
    sys.exit(1 if bad else 0)


def _table(kills: list[Kill]) -> Table:
    table = Table("work", "killed after ms", "ended", "generation", "documents", "problems")
    for result in kills:
        table.add_row(
            result.work,
            f"{1000 * result.seconds:.0f}",
            "yes" if result.ended else "no",
            str(result.generation),
            str(result.documents),
            "; ".join(result.problems) or "none",
        )
    return table


if __name__ == "__main__":
    main()
