"""Run a part of the study: python -m benchmarks.smollm2 PART --data path/to/data.

Every part is one `lastword bench prompts`, which is printed, goes on where it was interrupted, and
leaves run folders for `lastword compare`. --record keeps what the tables of docs/smollm2.md show;
without --data it does no more than that.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.smollm2.cells import record_cells
from benchmarks.smollm2.parts import PARTS
from benchmarks.smollm2.prompts import write_prompts
from benchmarks.smollm2.tables import print_tables


def main() -> None:
    """Parse, run, show."""
    given = _arguments()
    if given.part == "tables":
        print_tables()
        return
    if given.data:
        command = _command(given)
        print(shlex.join(command), flush=True)
        subprocess.run([sys.executable, "-m", *command], check=True)
    if given.record:
        record_cells(given.part, given.out / given.part)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=[*PARTS, "tables"])
    parser.add_argument("--data", type=Path, help="folder of retrieval/NAME and sts/NAME.tsv")
    parser.add_argument("--datasets", default="", help="some of the part's, by name, with commas")
    parser.add_argument("--prompts", default="", help="some of the part's; its first is always run")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--out", type=Path, default=Path("runs/smollm2"), help="has OUT/PART")
    parser.add_argument("--record", action="store_true", help="add the figures to cells.jsonl")
    given = parser.parse_args()
    if given.part != "tables" and not (given.data or given.record):
        parser.error("--data is missing")
    return given


def _command(given: argparse.Namespace) -> list[str]:
    part, out = PARTS[given.part], given.out / given.part
    datasets = _some({Path(name).stem: name for name in part.datasets}, given.datasets)
    made = {prompt.name: prompt for prompt in part.made()}
    some = f"{part.baseline},{given.prompts}" if given.prompts else ""
    names = _some({name: name for name in (*part.library, *made)}, some)
    files = write_prompts((made[name] for name in names if name in made), given.out / "prompts")
    prompts = [*(name for name in names if name not in made), *files]
    return [
        "lastword", "bench", "prompts", "--prompts", ",".join(prompts),
        "--datasets", ",".join(str(given.data / name) for name in datasets.values()),
        "--models", given.model, "--side", part.side, "--channels", part.channels,
        "--dtype", given.dtype, "--device", given.device, "--out", str(out),
    ]  # fmt: skip


def _some(known: dict[str, str], names: str) -> dict[str, str]:
    """Keep the entries that are named, in their order; all where nothing is."""
    wanted: Iterable[str] = names.split(",") if names else known
    if missing := sorted(set(wanted) - known.keys()):
        raise SystemExit(f"{', '.join(missing)}: expected some of {', '.join(known)}")
    return {name: value for name, value in known.items() if name in set(wanted)}


if __name__ == "__main__":
    main()
