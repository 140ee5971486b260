"""What is found of people's files: 80 of all kinds, and PDFs and web pages of known text.

python -m benchmarks.sources [--seconds 300]

The first figure is of a folder that is made anew: texts that a query on their words finds, and
what is named with its reason. The second is the share of the words of `tests/data/sources/*.txt`
that are read in their order out of the PDFs and pages beside them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import lastword as lw
from benchmarks.sources_folder import FIXTURES, make_folder
from retrieval.sources.collection import FileSource
from retrieval.sources.options import SourceOptions

WANTED = 0.98  # of the words of each PDF and page


@dataclass(frozen=True)
class Found:
    """What became of the folder.

    Attributes:
        files: in it.
        readable: texts that must be found.
        lost: of them, those that their word does not find first.
        faulty: what must be named.
        unnamed: of it, what is not, or not with its reason.
        seconds: that the command took.
    """

    files: int
    readable: int
    lost: Sequence[str]
    faulty: int
    unnamed: Sequence[str]
    seconds: float


def main() -> None:
    """Print both figures; fail where they are not reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="longest time of the command")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = index_folder(Path(place), options.seconds)
    print(
        f"{found.files} files in {found.seconds:.1f} s: "
        f"{found.readable - len(found.lost)} of {found.readable} texts found, "
        f"{found.faulty - len(found.unnamed)} of {found.faulty} others named"
    )
    for name in (*found.lost, *found.unnamed):
        print(f"  missing: {name}")
    shares = known_words()
    for name, share in shares.items():
        print(f"  {share:7.2%} of the words of {name}")
    if found.lost or found.unnamed or min(shares.values()) < WANTED:
        sys.exit(1)


def index_folder(place: Path, seconds: int) -> Found:
    """Make the folder, index it by the command, and look for everything in it."""
    folder = make_folder(place / "files")
    index = place / "x.index"
    command = [sys.executable, "-m", "lastword", "index", str(folder.root), "-o", str(index)]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--channels", "bm25", "--json"],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=True,
    )
    seconds_taken = time.perf_counter() - started
    named = {each["name"]: each["reason"] for each in json.loads(done.stdout)["skipped"]}
    with lw.open(index) as engine:
        lost = [
            doc_id
            for doc_id, word in folder.words.items()
            if not (hits := engine.search(word, k=1)) or hits[0].id != doc_id
        ]
    unnamed = [
        f"{name}: {named.get(f'{folder.root}/{name}', 'not named')}"
        for name, reason in folder.faults.items()
        if reason not in named.get(f"{folder.root}/{name}", "\0")
    ]
    files = sum(path.is_symlink() or not path.is_dir() for path in folder.root.rglob("*"))
    return Found(files, len(folder.words), lost, len(folder.faults), unnamed, seconds_taken)


def known_words() -> dict[str, float]:
    """Return file -> share of its known words that are read in their order."""
    source = FileSource([FIXTURES], SourceOptions(exclude=("*.txt", "locked.pdf", "scan.pdf")))
    return {
        document.id: in_order(
            words((FIXTURES / document.id).with_suffix(".txt").read_text(encoding="utf-8")),
            words(document.text),
        )
        for document in source
    }


def words(text: str) -> list[str]:
    """Return words as they are compared: apostrophes are all alike."""
    return text.replace("\u2019", "'").split()


def in_order(known: Sequence[str], read: Sequence[str]) -> float:
    """Return the share of known words among those that are read, in their order."""
    blocks = SequenceMatcher(None, known, read, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / max(len(known), len(read))


if __name__ == "__main__":
    main()
