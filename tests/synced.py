"""A folder that changes at random, an index that is kept in step with it, and kills in between.

Run as a program it is the process that gets killed: `python -m tests.synced INDEX`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder, Representation, Role
from index.documents import Document
from index.folder import Index, check
from retrieval.build import build_index
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever
from retrieval.run import Run
from retrieval.sources.collection import FileSource
from retrieval.sync.report import SyncReport
from retrieval.sync.synchronise import sync_index
from tests.folders import ROOT
from tests.synthetic import WORDS, SignEncoder, queries

_KINDS = (
    *("change", "change", "add", "add", "delete", "move", "move", "copy", "touch", "swap"),
    "change_record",
)
_SLOW = 0.002  # seconds that the process which gets killed takes for a text


class SlowSigns(SignEncoder):
    """Takes its time, so that a kill falls into the encoding."""

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        time.sleep(_SLOW * len(texts))
        return super().encode(texts, role)


@dataclass
class ChangingFolder:
    """A folder of text files, and tables of records, that edits change at random.

    Attributes:
        path: of it.
        rng: draws the edits.
        done: kind of edit -> how often.
    """

    path: Path
    rng: np.random.Generator
    done: dict[str, int] = field(default_factory=dict)
    _names: int = 0

    def fill(self, files: int) -> None:
        """Make files, and two tables of records."""
        for _ in range(files):
            self._write(self._new_name())
        for number in range(2):
            records = [json.dumps(self._record()) for _ in range(files // 4 + 2)]
            (self.path / f"table{number}.jsonl").write_text("\n".join(records) + "\n")

    def edit(self, count: int) -> None:
        """Do some edits."""
        for _ in range(count):
            kind = _KINDS[int(self.rng.integers(len(_KINDS)))]
            getattr(self, f"_{kind}")()
            self.done[kind] = self.done.get(kind, 0) + 1

    def texts(self) -> dict[str, str]:
        """Return what a fresh reading gives: id -> text."""
        return {one.id: one.content for one in FileSource([self.path]).documents()}

    def _files(self) -> list[Path]:
        return sorted(self.path.rglob("*.txt"))

    def _any(self) -> Path:
        files = self._files()
        return files[int(self.rng.integers(len(files)))]

    def _new_name(self) -> Path:
        self._names += 1
        folder = self.path / "abc"[int(self.rng.integers(3))]
        return folder / f"{self._names}.txt"

    def _text(self) -> str:
        words = self.rng.choice(WORDS, size=int(self.rng.integers(3, 13)))
        return f"{' '.join(words)} number{int(self.rng.integers(1 << 40))}"

    def _record(self) -> dict[str, str]:
        self._names += 1
        return {"id": f"r{self._names}", "text": self._text()}

    def _write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._text() + "\n")

    def _change(self) -> None:
        self._write(self._any())

    def _add(self) -> None:
        self._write(self._new_name())

    def _delete(self) -> None:
        if len(self._files()) > 3:
            self._any().unlink()

    def _move(self) -> None:
        place = self._new_name()
        place.parent.mkdir(exist_ok=True)
        self._any().rename(place)

    def _copy(self) -> None:
        place = self._new_name()
        place.parent.mkdir(exist_ok=True)
        shutil.copy2(self._any(), place)

    def _touch(self) -> None:
        self._any().touch()

    def _swap(self) -> None:
        one, two = self._any(), self._any()
        texts = one.read_text(), two.read_text()
        one.write_text(texts[1])
        two.write_text(texts[0])

    def _change_record(self) -> None:
        """Take a record out of a table, put one in, or change one."""
        path = self.path / f"table{int(self.rng.integers(2))}.jsonl"
        lines = path.read_text().splitlines()
        at, what = int(self.rng.integers(len(lines))), int(self.rng.integers(3))
        if what == 0 and len(lines) > 2:
            del lines[at]
        elif what == 1:
            lines.insert(at, json.dumps(self._record()))
        else:
            lines[at] = json.dumps({**json.loads(lines[at]), "text": self._text()})
        path.write_text("\n".join(lines) + "\n")


def encoders(slow: bool = False) -> dict[str, Encoder]:
    """Return fast encoders with exact scores."""
    return {"dense": SlowSigns() if slow else SignEncoder(), "bm25": BM25Encoder()}


def build(folder: Path, index: Path) -> None:
    """Make an index that remembers the folder."""
    options = BuildOptions(segment_documents=40)
    build_index(FileSource([folder]), encoders(), index, options)


def held(index: Path) -> dict[str, str]:
    """Return id -> text of the documents of an index."""
    with Index.open(index) as opened:
        return {one.id: one.content for one in opened.stream()}


def run_of(index: Path) -> Run:
    """Return the scores of all documents in each channel and fused."""
    with Index.open(index) as opened:
        return Retriever(opened, encoders()).search(queries(8), 100_000)


def expected_texts(before: Mapping[str, str], after: Mapping[str, str]) -> int:
    """Count documents whose text is another, and was nowhere before."""
    known = set(before.values())
    return sum(before.get(name) != text and text not in known for name, text in after.items())


def sync(index: Path) -> SyncReport:
    """Bring an index in step with what it remembers."""
    return sync_index(index, (), encoders)


def killed_sync(folder: ChangingFolder, index: Path, seconds: float) -> list[str]:
    """Kill a sync after some seconds of work; return what is wrong then, in words."""
    before, after = held(index), folder.texts()
    command = [sys.executable, "-m", "tests.synced", str(index)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"begun\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    problems = check(index)
    if held(index) not in (before, after):
        problems.append("the documents are neither those before nor those after")
    return problems


def documents_of(index: Path) -> list[Document]:
    """Return the documents of an index by their ids."""
    with Index.open(index) as opened:
        return sorted(opened.stream(), key=lambda one: one.id)


if __name__ == "__main__":
    os.write(1, b"begun\n")
    sync_index(sys.argv[1], (), lambda: encoders(slow=True))
