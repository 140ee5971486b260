"""Data files: documents, queries, judgements, runs, pairs, labels and training texts, spoilt.

Every command that reads data is tried with one of its files changed in its bytes, lines or values,
missing, a folder, a link to nothing or to itself. A third of the changes are harmless (marks, line
ends, blank lines): these must end with the very figures of the file as it was.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.fuzz_inputs_changes import CHANGES, HARMLESS, Rng, changed
from benchmarks.fuzz_trial import Outcome, Trial

_CORPUS = (
    b'{"_id": "a b", "title": "Tea", "text": "green tea from the hills"}\n'
    b'{"_id": "b", "title": "Lava", "text": "hot lava and green glass", "metadata": {"n": 1}}\n'
    b'{"_id": 3, "title": null, "text": "caf\xc3\xa9 and tea and lava"}\n'
)
_QUERIES = b'{"_id": "q1", "text": "green tea"}\n{"_id": "q 2", "text": "caf\xc3\xa9 lava"}\n'
_TABLE = b"query-id\tcorpus-id\tscore\nq1\ta b\t1\nq1\tb\t0\nq 2\tb\t2\n"
_RUN = b"q1 Q0 a%20b 1 2.5 t\nq1 Q0 b 2 1.5 t\nq%202 Q0 3 1 .5 t\nq%202 Q0 b 2 0.25 t\n"
_OTHER = _RUN.replace(b"2.5", b"1.0")
_QRELS = b"q1 0 a%20b 1\nq1 0 b 0\nq%202 0 b 2\n"
_PAIRS = b"score\tsentence1\tsentence2\n5\tgreen tea\ttea\n1.5\tlava\ttea\n0\tcaf\xc3\xa9\tglass\n"
_LABELS = b"label\ttext\n" + b"".join(
    b"%d\t%s %d\n" % (at % 2, (b"tea", b"lava")[at % 2], at) for at in range(24)
)
_TRAINING = b'{"id": 1, "title": "T", "text": "green tea from the hills"}\n' + (
    b'{"query": "lava", "positive": {"text": "hot lava"}, "negatives": ["tea"]}\n'
)
_BEIR = {"c/corpus.jsonl": _CORPUS, "c/queries.jsonl": _QUERIES, "c/qrels/test.tsv": _TABLE}
_EVAL = ("eval", "retrieval", "c", "--channels", "bm25", "--out", "r", "--indexes", "ix", "-q")
_INDEX = ("index", "c/corpus.jsonl", "-o", "x", "--channels", "bm25", "-q")
_COMPARE = ("compare", "a.trec", "b.trec", "--qrels", "j.qrels", "--measures", "RR@10", "--json")


@dataclass(frozen=True)
class Subject:
    """Commands, the files they read, and what they give where these are as they should be.

    Attributes:
        files: names -> bytes.
        spoilt: those of the files of which one is changed.
        commands: in their order.
        figure: JSON file, or "" for the last command's output, and the path to a number in it.
        expected: that number.
    """

    files: Mapping[str, bytes]
    spoilt: Sequence[str]
    commands: tuple[tuple[str, ...], ...]
    figure: tuple[str, tuple[str | int, ...]] | None = None
    expected: float = 0.0


_SUBJECTS = (
    Subject(_BEIR, list(_BEIR), (_EVAL,), ("r/c.json", ("measures", "RR@10")), 0.75),
    Subject(_BEIR, list(_BEIR), (_EVAL,), ("r/c.json", ("documents",)), 3),
    Subject(_BEIR, ["c/corpus.jsonl"], (_INDEX, ("info", "x", "--json")), ("", ("documents",)), 3),
    Subject(
        {
            **_BEIR,
            "n.jsonl": _CORPUS.replace(b'"b"', b'"n"').replace(b"a b", b"m").replace(b"3", b"4"),
        },
        ["n.jsonl"],
        (_INDEX, ("add", "x", "n.jsonl", "-q"), ("info", "x", "--json")),
        ("", ("documents",)),
        6,
    ),
    Subject(
        {"a.trec": _RUN, "b.trec": _OTHER, "j.qrels": _QRELS},
        ["a.trec", "b.trec", "j.qrels"],
        (_COMPARE,),
    ),
    Subject(
        {"a.trec": _RUN, "b.trec": _OTHER},
        ["a.trec", "b.trec"],
        (("fuse", "a.trec", "b.trec", "-o", "f.trec", "--json"),),
        ("", ("queries",)),
        2,
    ),
    Subject(
        {**_BEIR, "q.jsonl": _QUERIES},
        ["q.jsonl"],
        (_INDEX, ("search", "x", "--queries", "q.jsonl", "--run", "o.trec", "--json")),
        ("", ("queries",)),
        2,
    ),
    Subject(
        {**_BEIR, "q.tsv": b"q1\tgreen tea\nq 2\tcaf\xc3\xa9 lava\n"},
        ["q.tsv"],
        (_INDEX, ("search", "x", "--queries", "q.tsv", "--run", "o.trec", "--json")),
        ("", ("queries",)),
        2,
    ),
    Subject(
        {**_BEIR, "t.jsonl": _TRAINING},
        ["t.jsonl", *_BEIR],
        (("train", "overlap", "t.jsonl", "--against", "c", "--json"),),
        ("", ("training_texts",)),
        4,
    ),
    Subject(
        {"s.tsv": _PAIRS}, ["s.tsv"], (("eval", "sts", "s.tsv", "--json"),), ("", (0, "pairs")), 3
    ),
    Subject(
        {"l.tsv": _LABELS},
        ["l.tsv"],
        (("eval", "transfer", "l.tsv", "--folds", "2", "--json"),),
        ("", (0, "items")),
        24,
    ),
    Subject(
        {"e.jsonl": _CORPUS},
        ["e.jsonl"],
        (("embed", "--role", "document", "--input", "e.jsonl", "--out", "e.npz", "--json"),),
        ("", ("texts",)),
        3,
    ),
    Subject(
        {"d/x y.txt": b"green tea\n", "d/b/\xc3\xa9.md".encode("latin-1").decode(): b"# Lava\n"},
        ["d/x y.txt"],
        (("index", "d", "-o", "x", "--channels", "bm25", "-q"), ("info", "x", "--json")),
        ("", ("documents",)),
        2,
    ),
)


def campaign(seed: int, count: int) -> Iterator[Trial]:
    """Yield trials of commands with one data file spoilt."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        subject = _SUBJECTS[number % len(_SUBJECTS)]
        name = subject.spoilt[int(rng.integers(len(subject.spoilt)))]
        if rng.random() < 0.08:
            yield _elsewhere(rng, subject, name)
            continue
        harmless = rng.random() < 0.3
        data, change = changed(rng, subject.files[name], HARMLESS if harmless else CHANGES)
        yield Trial(
            name=f"{subject.commands[-1][:2]} {name}: {change}"[:200],
            commands=subject.commands,
            files={**subject.files, name: data},
            names=_names(name),
            judge=partial(judge_figure, subject) if harmless and subject.figure else None,
        )


def judge_figure(subject: Subject, folder: Path, outcomes: Sequence[Outcome]) -> str:
    """Say what differs from the file as it was; the change is one that must not matter."""
    assert subject.figure is not None
    failed = next((outcome.stderr for outcome in outcomes if outcome.code), "")
    if failed:
        return f"a harmless change was refused: {failed.strip()[-300:]}"
    file, keys = subject.figure
    text = (folder / file).read_text(encoding="utf-8") if file else outcomes[-1].stdout
    value = json.loads(text)
    for key in keys:
        value = value[key]
    return "" if value == subject.expected else f"{keys}: expected {subject.expected}, got {value}"


def _names(name: str) -> tuple[str, ...]:
    """Return what an error may name: the file, or the folder of a collection."""
    return (
        name.rpartition("/")[2],
        name.partition("/")[0] + "/",
        "'a b'",
        "no index at x",
        "c has no",
        "l: ",
        "s: ",
    )


def _elsewhere(rng: Rng, subject: Subject, name: str) -> Trial:
    """Take the file away: nothing, a folder, or a link to nothing or to itself is in its place."""
    files = {key: data for key, data in subject.files.items() if key != name}
    kind = ("missing", "a folder", "a link to nothing", "a link to itself")[rng.integers(4)]
    if kind == "a folder":
        files[f"{name}/x"] = b""
    links = {"a link to nothing": "nowhere", "a link to itself": name.rpartition("/")[2]}
    return Trial(
        name=f"{subject.commands[-1][:2]} {name}: {kind}",
        commands=subject.commands,
        files=files,
        links={name: links[kind]} if kind in links else {},
        names=_names(name),
    )
