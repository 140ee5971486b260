"""Keep an index in step through random edits and kills, and compare it with a fresh one.

python -m benchmarks.sync [--edits 1000] [--syncs 25] [--kills 10] [--files 400] [--seed 0] [--dry]

Edits change, add, delete, move, copy, touch and swap files, and change records of tables. At the
end documents and the scores of all of them, in every channel, must be those of a fresh index; the
encoded texts of each sync must be those that are another and were nowhere before.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.record import append
from tests.synced import (
    ChangingFolder,
    build,
    documents_of,
    expected_texts,
    held,
    killed_sync,
    run_of,
    sync,
)


def main() -> None:
    """Edit, sync, kill, compare, and append the figures to the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--syncs", type=int, default=25)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry", action="store_true", help="do not append to results.jsonl")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        facts = _measure(Path(name), options)
    sys.stdout.write("\n".join(f"{key}: {value}" for key, value in facts.items()) + "\n")
    if not options.dry:
        append({"name": "sync", "seed": options.seed, **facts})
    right = facts["same_documents"] and facts["same_scores"] and not facts["problems"]
    sys.exit(0 if right and facts["encoded_texts"] == facts["changed_texts"] else 1)


def _measure(work: Path, options: argparse.Namespace) -> dict[str, object]:
    rng = np.random.default_rng(options.seed)
    folder, index = ChangingFolder(work / "files", rng), work / "index"
    folder.fill(options.files)
    build(folder.path, index)
    killed = set(rng.choice(options.syncs, size=options.kills, replace=False).tolist())
    encoded, changed, seconds, problems = 0, 0, 0.0, list[str]()
    for number in range(options.syncs):
        folder.edit(options.edits // options.syncs)
        if number in killed:
            problems += killed_sync(folder, index, float(rng.uniform(0, 0.4)))
        changed += expected_texts(held(index), folder.texts())
        started = time.perf_counter()
        encoded += sync(index).encoded
        seconds += time.perf_counter() - started
    build(folder.path, work / "fresh")
    same = documents_of(index) == documents_of(work / "fresh")
    scores = run_of(index) == run_of(work / "fresh")
    shutil.rmtree(folder.path)
    return {
        "edits": dict(sorted(folder.done.items())),
        "syncs": options.syncs,
        "kills": len(killed),
        "documents": len(held(index)),
        "encoded_texts": encoded,
        "changed_texts": changed,
        "same_documents": same,
        "same_scores": scores,
        "problems": problems,
        "ms_per_sync": round(1000 * seconds / options.syncs, 1),
    }


if __name__ == "__main__":
    main()
