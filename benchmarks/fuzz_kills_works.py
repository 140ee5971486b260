"""The works that are killed: what each begins with, what it is, and what it must leave."""

import json
import lzma
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TOPICS = (
    "volcano lava magma|bread dough yeast|bridge arch stone|heart blood pulse|planet orbit star"
)
_NAMES = [words.split() for words in _TOPICS.split("|")]
_TINY = """
tokenizer_every = 1
checkpoint_every = 2
[shape]
vocabulary = 300
width = 32
intermediate = 16
heads = 2
[bag]
steps = 5
batch = 4
[decoder]
steps = 4
batch = 4
"""
_CONTRAST = """
model = "llama"
pairs = ["pairs.jsonl"]
prompts = ["promptreps"]
batch = 4
group_size = 2
checkpoint_every = 2
[lora]
r = 2
"""


@dataclass(frozen=True)
class Work:
    """A piece of work in a folder.

    Attributes:
        prepare: makes what it begins with.
        command: arguments after "lastword"; () runs `prepare`.
        index: name of the index that it changes.
        had_index: whether the index is there from the beginning.
        volatile: names of files that hold times, or numbers of tries.
    """

    prepare: Callable[[Path], None]
    command: tuple[str, ...] = ()
    index: str | None = None
    had_index: bool = False
    volatile: str = "(?!)"

    def run(self, place: Path) -> int:
        """Do it; return the exit code."""
        from lastword.main import main

        if not self.command:
            self.prepare(place)
            return 0
        return main(list(self.command))


def state_of(work: Work, place: Path) -> dict[str, bytes]:
    """Return name and content of everything in a folder, but the lock; times are left out.

    The order of metadata in a checkpoint is another in every process. A merge that is given again
    makes a segment of another number, and another generation.
    """
    state = {}
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        known = re.sub(r"segments/\d+", "segments/N", name) if "merge" in work.command else name
        if path.is_file() and path.name != "lock":
            silent = re.fullmatch(work.volatile, name)
            state[known] = b"" if silent else path.read_bytes()
        elif path.is_dir():
            state.setdefault(known + "/", b"")
    return state


def _lines(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _documents(place: Path, count: int = 300) -> None:
    import numpy as np

    rng, lines = np.random.default_rng(0), []
    for at in range(count):
        words = [*_NAMES[at % 5], *rng.choice(_NAMES[at % 5], 4), f"number{at}"]
        lines.append({"_id": f"d{at}", "title": "", "text": " ".join(rng.permutation(words))})
    _lines(place / "corpus.jsonl", lines[: count - 40])
    _lines(place / "more.jsonl", lines[count - 40 :])


def _command(*arguments: str) -> None:
    from lastword.main import main

    if main([*arguments, "-q"]):
        raise RuntimeError(f"lastword {' '.join(arguments)} failed")


def _small(place: Path) -> None:
    """Make an index of words in three segments, some documents deleted."""
    _documents(place)
    _command("index", str(place / "corpus.jsonl"), "-o", str(place / "i"), "--channels", "bm25")
    for part in range(2):
        lines = [{"_id": f"p{part}-{at}", "text": f"lava number{at}"} for at in range(30)]
        _lines(place / "part.jsonl", lines)
        _command("add", str(place / "i"), str(place / "part.jsonl"))
    _command("delete", str(place / "i"), "d3", "p0-5")


def _full(place: Path) -> None:
    """Make an index of all channels with the bundled model, and judgements."""
    _documents(place, 100)
    _command("index", str(place / "corpus.jsonl"), "-o", str(place / "i"))
    _judgements(place, "queries.jsonl", "dev.tsv")


def _judgements(place: Path, queries: str, qrels: str) -> None:
    records = [
        {"_id": f"q{at}", "text": f"{_NAMES[at % 5][at % 3]} number{at}"} for at in range(60)
    ]
    _lines(place / queries, records)
    judged = "".join(f"q{at}\td{at}\t1\n" for at in range(60))
    (place / qrels).write_text(f"query-id\tcorpus-id\tscore\n{judged}")


def _collection(place: Path) -> None:
    folder = place / "tea"
    (folder / "qrels").mkdir(parents=True)
    _documents(folder, 140)
    (folder / "more.jsonl").unlink()
    _judgements(folder, "queries.jsonl", "qrels/test.tsv")


def _pretraining(place: Path) -> None:
    from tests.embedder.train.test_train import TOPICS

    (place / "tiny.toml").write_text(_TINY)
    (place / "corpus").mkdir()
    passages, pairs = [], []
    for at in range(120):
        topic, other = TOPICS[at % 10], TOPICS[at // 12]
        text = f"The {topic} number {at} is old. People saw the {topic} near the {other}."
        facts = {"id": f"p{at}", "source": topic, "licence": "CC0", "title": f"On {topic}s"}
        passages.append(facts | {"text": text})
        pairs.append(
            {"query": f"where is the {topic}", "positive_id": f"p{at}", "kind": "question"}
        )
    for name, lines in (("passages", passages), ("pairs", pairs)):
        with lzma.open(place / "corpus" / f"{name}.jsonl.xz", "wt") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


def _contrast(place: Path) -> None:
    from tests.embedder.train.test_pair_files import write_pairs
    from tests.models import save_llama

    (place / "contrast.toml").write_text(_CONTRAST)
    write_pairs(place / "pairs.jsonl")
    (place / "llama").mkdir()
    save_llama(place / "llama")


WORKS = {
    "index": Work(_documents, ("index", "corpus.jsonl", "-o", "i", "-q"), "i"),
    "index bm25": Work(
        _documents, ("index", "corpus.jsonl", "-o", "i", "--channels", "bm25", "-q"), "i"
    ),
    "add": Work(_small, ("add", "i", "more.jsonl", "-q"), "i", had_index=True),
    "add full": Work(_full, ("add", "i", "more.jsonl", "-q"), "i", had_index=True),
    "delete": Work(_small, ("delete", "i", "d7", "p0-7", "p1-7"), "i", had_index=True),
    "merge": Work(_small, ("merge", "i"), "i", had_index=True, volatile=r"i/manifest\.json"),
    "eval": Work(
        _collection,
        (*("eval", "retrieval", "tea", "--out", "run", "--indexes", "ix", "--resume", "-q"),),
        volatile=r"run/.*\.json|run/report.*|ix/.*\.build\.json|ix/[^/]*\.json",
    ),
    "tune": Work(
        _full,
        (
            *("tune", "i", "--queries", "queries.jsonl", "--qrels", "dev.tsv", "--out", "t"),
            *("--budget", "20k-tokens", "-q"),
        ),
        "i",
        had_index=True,
        volatile=r"t/(report\.html|seconds\.txt|outcome\.json)",
    ),
    "contrast": Work(
        _contrast,
        ("train", "contrast", "-c", "contrast.toml", "--out", "m", "-q"),
        volatile=r"m\.work/.*\.(jsonl|safetensors)",
    ),
    "pretrain": Work(
        _pretraining,
        ("train", "pretrain", "--corpus", "corpus", "-c", "tiny.toml", "--out", "m", "-q"),
        volatile=r"m\.work/.*\.(jsonl|safetensors)",
    ),
}
ORDER = (
    *("index bm25", "add", "delete", "merge", "index", "add", "delete", "merge", "eval"),
    *("index bm25", "add full", "delete", "merge", "contrast", "add", "index bm25", "tune"),
    *("delete", "merge", "pretrain"),
)
"""Works in the order of their kills: the quick ones, which write most, more often."""
