"""Run a part of the study: python -m benchmarks.smollm2 PART --data path/to/data.

Every part is one `lastword bench prompts`, which is printed, goes on where it was interrupted, and
leaves run folders for `lastword compare`. --record keeps what the tables of docs/smollm2.md show.
"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from benchmarks.smollm2.cells import record_cells
from benchmarks.smollm2.parts import PARTS
from benchmarks.smollm2.prompts import write_prompts
from benchmarks.smollm2.tables import print_tables

OUT = Path("runs/smollm2")


def main() -> None:
    """Parse, run, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=[*PARTS, "tables"])
    parser.add_argument("--data", type=Path, help="folder of retrieval/NAME and sts/NAME.tsv")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--record", action="store_true", help="add the figures to cells.jsonl")
    given = parser.parse_args()
    if given.part == "tables":
        print_tables()
        return
    if given.data is None:
        parser.error("--data is missing")
    out = OUT / given.part
    command = _command(given, out)
    print(shlex.join(command), flush=True)
    subprocess.run([sys.executable, "-m", *command], check=True)
    if given.record:
        record_cells(given.part, out, given.dtype)


def _command(given: argparse.Namespace, out: Path) -> list[str]:
    part = PARTS[given.part]
    prompts = [
        *part.library,
        *(write_prompts(part.prompts(), OUT / "prompts" / given.part) if part.prompts else ()),
    ]
    datasets = [str(given.data / name) for name in part.datasets]
    return [
        "lastword", "bench", "prompts", "--prompts", ",".join(prompts),
        "--datasets", ",".join(datasets), "--models", given.model, "--side", part.side,
        "--channels", part.channels, "--dtype", given.dtype, "--device", given.device,
        "--out", str(out),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
