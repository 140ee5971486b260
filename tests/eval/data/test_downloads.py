"""Data sets of ir_datasets: small ones of its own classes, and what is said without a network."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from eval.data.asked import load_qrels, load_queries, qrels_name
from eval.data.beir import holds_queries
from eval.data.collections import open_collection, open_collections
from eval.data.downloads import BeirDownload, IrDataset
from eval.data.sources import open_sources
from eval.runs.reported_splits import check_judgements
from eval.runs.systems import FileSystem
from index.documents import Document

ir_datasets: Any = pytest.importorskip("ir_datasets")


class Article(NamedTuple):
    doc_id: str
    title: str | None
    body: str
    url: str
    year: int
    marked_up: bytes

    def default_text(self) -> str:
        return f"{self.title} {self.body}"


class Trial(NamedTuple):
    doc_id: str
    title: str
    summary: str
    details: str


class Topic(NamedTuple):
    query_id: str
    query: str
    narrative: str


ARTICLES = [
    Article("a1", "Keys", "  Rotate them.", "http://k", 2020, b"<b>"),
    Article("a2", None, "No title.", "", 0, b""),
]
TRIALS = [Trial("t1", "A trial", "Short.", "Long.")]
TOPICS = [Topic("1", "rotate", "Long."), Topic("2", "unjudged", "")]


class Held(ir_datasets.formats.BaseDocs, ir_datasets.formats.BaseQueries):  # type: ignore[misc]
    def __init__(self, docs: list[Any]) -> None:
        self._docs = docs

    def docs_iter(self) -> Iterator[Any]:
        return iter(self._docs)

    def docs_cls(self) -> type[Any]:
        return type(self._docs[0])

    def queries_iter(self) -> Iterator[Topic]:
        return iter(TOPICS)

    def queries_cls(self) -> type[Any]:
        return Topic


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two data sets of our own, one of them with judgements of two subtopics."""
    (tmp_path / "qrels").write_text("1 0 a1 1\n1 0 a1 2\n1 0 a2 0\n")
    local = ir_datasets.util.LocalDownload(tmp_path / "qrels")
    qrels = ir_datasets.formats.TrecQrels(local, {})
    documents = Held(ARTICLES)
    registry = dict(ir_datasets.registry._registered)
    registry["own"] = ir_datasets.Dataset(documents)
    registry["own/judged"] = ir_datasets.Dataset(documents, qrels)
    registry["trials"] = ir_datasets.Dataset(Held(TRIALS))
    for name in ("own", "own/judged", "trials"):
        metadata = type("Metadata", (), {"docs_metadata": lambda self: {"count": 2}})()
        registry[name]._constituents.append(metadata)
    monkeypatch.setattr(ir_datasets.registry, "_registered", registry)


def test_fields_are_joined_as_stated(held: None) -> None:
    collection = open_collection("ir:own/judged")
    assert isinstance(collection, IrDataset)
    assert collection.name == "own/judged"
    assert (collection.documents_name, collection.documents_count) == ("own", 2)
    assert list(collection.documents()) == [
        Document("a1", "Keys", "  Rotate them.", {"url": "http://k", "year": 2020}),
        Document("a2", "", "No title.", {"year": 0}),
    ]
    assert collection.queries() == {"1": "rotate"}
    assert collection.qrels() == {"1": {"a1": 2, "a2": 0}}
    (trial,) = open_sources("ir:trials").documents()
    assert trial == Document("t1", "A trial", "Short.\nLong.")
    assert open_collection("ir:own", "judged").name == "own/judged"


def test_queries_and_judgements_are_taken_of_a_name(held: None, tmp_path: Path) -> None:
    assert load_queries("ir:own/judged") == {"1": "rotate"}
    assert load_qrels(Path("ir:own/judged")) == {"1": {"a1": 2, "a2": 0}}
    assert qrels_name("ir:own/judged") == "own/judged"
    (tmp_path / "scifact").write_text("1 0 d 1")
    assert load_qrels(tmp_path / "scifact") == {"1": {"d": 1}}
    run = tmp_path / "run.trec"
    run.write_text("1 Q0 a1 1 2.0 x\n1 Q0 a2 2 1.0 x\n")
    system = FileSystem.read("run", run, Path("ir:own/judged"), ["RR@10"])
    assert (system.dataset, system.judged["RR@10"]) == ("own/judged", {"1": 1.0})
    for name in ("nanobeir/scifact", "ir:beir/scifact/test", "scifact"):
        with pytest.raises(ValueError, match="figures are reported on"):
            check_judgements(Path(name))
    assert check_judgements(Path("ir:own/judged")) == ""


def test_a_data_set_without_judgements_names_those_below(held: None) -> None:
    with pytest.raises(ValueError, match=r"ir:own has no judgements; .* below it: ir:own/judged$"):
        open_collection("ir:own").qrels()
    with pytest.raises(ValueError, match="nano-beir is thirteen collections; name one"):
        open_collection("nanobeir")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("ir:msmarco-pasage/trec-dl-2019", "did you mean ir:msmarco-passage/trec-dl-2019 or"),
        ("ir:vaswani", "^$"),
        ("nanobeir/scifcat", "no data set 'nano-beir/scifcat'; did you mean ir:nano-beir/scifact"),
        ("ir:xyzzy", "https://ir-datasets.com lists them"),
        ("ir:", "no data set ''"),
        ("ir:clinicaltrials", "holds no documents; those with judgements below it: ir:clinical"),
    ],
)
def test_an_unknown_id_gives_near_ones(source: str, message: str) -> None:
    if message == "^$":
        assert open_collection(source).name == "vaswani"
        return
    with pytest.raises(ValueError, match=message):
        open_collection(source)


def test_one_data_set_has_one_name() -> None:
    """Self matches are dropped, and results filed, as of the BEIR name."""
    for source in ("ir:beir/quora/test", "ir:beir/quora", "beir/quora"):
        collection = open_collection(source)
        assert isinstance(collection, BeirDownload)
        assert collection.name == "quora"
    assert open_collection("ir:beir/quora", "dev").name == "quora/dev"
    assert open_collection("NanoBEIR/SciFact").name == "nano-beir/scifact"
    assert len(open_collections(["nanobeir"])) == 13
    assert holds_queries("nano-beir/arguana")
    assert not holds_queries("nano-beir/scifact")


def test_a_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nanobeir").mkdir()
    (tmp_path / "nanobeir" / "scifact").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert [document.text for document in open_collection("nanobeir/scifact").documents()] == [
        "mine"
    ]


_ASK = """
from eval.data.asked import load_queries
from eval.data.collections import open_collection
for name in {names}:
    try:
        next(open_collection(name).documents())
    except OSError as error:
        print(error)
try:
    load_queries("ir:trec-robust04")
except OSError as error:
    print(error)
"""


def test_without_a_network_one_line_says_so(tmp_path: Path) -> None:
    """A proxy that nobody answers at is no network; retries must not take minutes."""
    names = ["ir:msmarco-passage/trec-dl-2019/judged", "nanobeir/scifact", "scifact", "ir:wapo/v2"]
    none = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment = none | {"IR_DATASETS_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", _ASK.format(names=names)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(names) + 1
    for line in (*lines[:3], lines[4]):
        assert "could not be fetched: " in line and " cannot be reached; with a copy" in line
    assert "WashingtonPost.v2.tar.gz is not there; such files are given out by" in lines[3]
    assert "ir-datasets.com/wapo.html" in lines[3]
