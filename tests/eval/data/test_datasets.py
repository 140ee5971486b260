"""Collections: BEIR folders, plain files, BEIR names through ir_datasets' own classes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.data.beir import BEIR, BEIR13, CQADUPSTACK_PARTS, holds_queries, whole_sets
from eval.data.collections import Collection, open_collection, open_collections
from eval.data.downloads import BeirDownload
from eval.data.local import TextFolder
from index.documents import Document
from tests.folders import DATA

SHARED = DATA
CORPUS = [
    {"_id": "d1", "title": "Keys", "text": "Rotate\u2028them."},
    {"_id": "d2", "title": None, "text": ""},
    {"_id": 3, "text": "No title"},
]
QUERIES = [{"_id": "q1", "text": "how"}, {"_id": "q2", "text": "other split"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n"


def write_lines(path: Path, records: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_lines(tmp_path / "tiny" / "corpus.jsonl", CORPUS)
    write_lines(tmp_path / "tiny" / "queries.jsonl", QUERIES)
    (tmp_path / "tiny" / "qrels").mkdir()
    (tmp_path / "tiny" / "qrels" / "test.tsv").write_text(QRELS)
    (tmp_path / "tiny" / "qrels" / "train.tsv").write_text(QRELS.replace("q1", "q2"))
    return tmp_path / "tiny"


def test_a_beir_folder_by_hand(folder: Path) -> None:
    collection: Collection = open_collection(folder)
    assert collection.name == "tiny"
    assert list(collection.documents()) == [
        Document("d1", "Keys", "Rotate\u2028them."),
        Document("d2", "", ""),
        Document("3", "", "No title"),
    ]
    assert collection.queries() == {"q1": "how"}
    assert collection.qrels() == {"q1": {"d1": 2, "d2": 0}}
    other = open_collection(str(folder), "train")
    assert other.name == "tiny/train"
    assert other.queries() == {"q2": "other split"}


def test_an_unknown_split_lists_what_there_is(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"no split 'dev'; there is test, train"):
        open_collection(folder, "dev").qrels()


def test_bytes_that_are_no_text_are_named(folder: Path) -> None:
    with (folder / "corpus.jsonl").open("ab") as file:
        file.write(b'{"_id": "\xff"}\n')
    with pytest.raises(ValueError, match=r"corpus\.jsonl:4: expected UTF-8"):
        list(open_collection(folder).documents())


def test_marks_and_blank_lines_of_other_systems_are_harmless(folder: Path) -> None:
    """A byte-order mark, CRLF, blank lines, a qrels file without its header."""
    corpus = folder / "corpus.jsonl"
    corpus.write_bytes(b"\xef\xbb\xbf" + corpus.read_bytes().replace(b"\n", b"\r\n\r\n"))
    (folder / "qrels" / "test.tsv").write_bytes(b"q1\td1\t2\r\n\r\nq1\td1\t2\r\n")
    assert [document.id for document in open_collection(folder).documents()] == ["d1", "d2", "3"]
    assert open_collection(folder).qrels() == {"q1": {"d1": 2}}


def test_a_folder_of_texts_by_hand(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.md").write_text("# One\nbody")
    (tmp_path / "a file.TXT").write_text("text")
    (tmp_path / "picture.png").write_bytes(b"\x89")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.txt").write_text("no")
    write_lines(
        tmp_path / "c.jsonl",
        [{"id": "x", "contents": "c", "title": "t"}, {"docid": "y", "text": ""}],
    )
    collection = open_collection(tmp_path)
    assert list(collection.documents()) == [
        Document("a file.TXT", "", "text"),
        Document("b/one.md", "One", "body"),
        Document("x", "t", "c"),
        Document("y", "", ""),
    ]
    assert isinstance(collection, TextFolder)
    assert dict(collection.counts) == {"ignored": 1, "hidden": 1}
    for ask in (collection.queries, collection.qrels):
        with pytest.raises(ValueError, match="documents only"):
            ask()


def test_one_file_is_a_collection(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("text")
    write_lines(tmp_path / "y.jsonl", [{"_id": "a", "text": "b"}])
    assert list(open_collection(tmp_path / "x.txt").documents()) == [Document("x.txt", "", "text")]
    assert list(open_collection(tmp_path / "y.jsonl").documents()) == [Document("a", "", "b")]


def test_texts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"holds no documents .* skipped 1 file of other kinds"):
        list(open_collection(tmp_path).documents())
    (tmp_path / "x.txt").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match=r"x\.txt: it is no text"):
        list(open_collection(tmp_path).documents())
    (tmp_path / "x.txt").unlink()
    for name in ("a.jsonl", "b.jsonl"):
        write_lines(tmp_path / name, [{"id": "same", "text": ""}])
    with pytest.raises(ValueError, match=r"b\.jsonl:1: document 'same' comes twice"):
        list(open_collection(tmp_path).documents())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("scifcat", "'scifcat' is neither .* did you mean scifact"),
        ("beir/quorra", "did you mean quora"),
        ("xyzzy", "the names are msmarco, trec-covid"),
        ("cqadupstack", "twelve collections, .* name one, e.g. cqadupstack/android"),
        ("robust04", r"robust04 cannot be downloaded \(ask NIST\); .* give its path"),
    ],
)
def test_an_unknown_name_gives_near_ones(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_collection(source)


def test_the_table_agrees_with_ir_datasets() -> None:
    ir_datasets: Any = pytest.importorskip("ir_datasets")
    etc = Path(ir_datasets.__file__).parent / "etc" / "downloads.json"
    files = json.loads(etc.read_text())["beir"]
    closed = {"bioasq", "signal1m", "trec-news", "robust04"}
    for held in [BEIR[name] for name in BEIR if name not in closed]:
        for split in held.splits:
            dataset = ir_datasets.registry[held.ir_dataset(split)]
            assert dataset.has_docs() and dataset.has_queries() and dataset.has_qrels()
            assert held.documents == dataset.docs_metadata()["count"]
        reported = ir_datasets.registry[held.ir_dataset(held.reported)]
        assert held.queries == reported.queries_metadata()["count"]
        file = files[held.hub_name or held.name.partition("/")[0]]
        assert held.megabytes == round(file["size_hint"] / 1e6)
    assert {name for name, held in BEIR.items() if held.megabytes is None} == closed
    assert len(BEIR13) == 13
    assert [name for name in BEIR if holds_queries(name)] == ["arguana", "quora"]
    assert holds_queries("quora/dev")
    assert not holds_queries("my collection")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the evaluation data (LASTWORD_DATA)")
def test_bm25_figures_are_the_published_ones() -> None:
    lines = (SHARED / "reference" / "beir_ndcg10.tsv").read_text().splitlines()
    header, *rows = [line.split("\t") for line in lines]
    published = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}
    for name, held in BEIR.items():
        theirs = published.pop(name.replace("/", "-"), None)
        if theirs is None:
            assert name == "msmarco" and held.flat is held.multifield is None
        else:
            assert (held.flat, held.multifield) == (
                float(theirs["flat"]),
                float(theirs["multifield"]),
            )
    assert not published


def test_cqadupstack_is_its_twelve_parts() -> None:
    opened = open_collections(["scifact", "beir/cqadupstack", "quora"])
    assert [held.name for held in opened] == ["scifact", *CQADUPSTACK_PARTS, "quora"]
    assert len(CQADUPSTACK_PARTS) == 12
    with pytest.raises(ValueError, match="two of the data sets are called 'cqadupstack/tex'"):
        open_collections(["cqadupstack", "cqadupstack/tex"])


def test_a_local_cqadupstack_is_its_twelve_parts(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "cqadupstack"
    for name in CQADUPSTACK_PARTS:
        shutil.copytree(folder, home / name.partition("/")[2])
    opened = open_collections([home])
    assert [held.name for held in opened] == list(CQADUPSTACK_PARTS)
    assert opened[3].queries() == {"q1": "how"}
    assert open_collection(home / "tex").name == "cqadupstack/tex"
    shutil.rmtree(home / "gis")
    with pytest.raises(ValueError, match=r"lacks gis/corpus\.jsonl: .* twelve parts"):
        open_collections([home])


def test_a_mean_over_beir_counts_cqadupstack_once() -> None:
    parts = list(CQADUPSTACK_PARTS)
    assert whole_sets(["scifact", *parts, "quora"]) == {
        "scifact": ["scifact"],
        "cqadupstack": parts,
        "quora": ["quora"],
    }
    assert whole_sets(["a", *parts[1:]]) == {name: [name] for name in ["a", *parts[1:]]}


def test_splits_by_name() -> None:
    downloads = [open_collection(name) for name in ("beir/msmarco", "arguana", "scifact")]
    assert [held.ir_dataset for held in downloads if isinstance(held, BeirDownload)] == [
        "beir/msmarco/dev",
        "beir/arguana",
        "beir/scifact/test",
    ]
    assert [open_collection("scifact", split).name for split in ("train", "test")] == [
        "scifact/train",
        "scifact",
    ]
    with pytest.raises(ValueError, match="scifact has no split 'dev'; there is train, test"):
        open_collection("scifact", "dev")


def test_a_beir_name_through_ir_datasets(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ir_datasets' own BEIR classes, on files that need no download."""
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "home"))
    ir_datasets: Any = pytest.importorskip("ir_datasets")
    beir: Any = pytest.importorskip("ir_datasets.datasets.beir")
    write_lines(folder / "corpus.jsonl", [CORPUS[0], {"_id": "d2", "title": None, "text": ""}])
    local: Callable[[Path], Any] = ir_datasets.util.LocalDownload
    dataset = ir_datasets.Dataset(
        beir.BeirDocs("tiny", local(folder / "corpus.jsonl"), beir.BeirTitleDoc),
        beir.BeirQueries("tiny", local(folder / "queries.jsonl"), beir.GenericQuery),
        beir.BeirQrels(local(folder / "qrels" / "test.tsv"), {}),
    )
    monkeypatch.setattr(ir_datasets, "load", {"beir/scifact/test": dataset}.__getitem__)
    collection = open_collection("scifact")
    assert collection.name == "scifact"
    assert [document.title for document in collection.documents()] == ["Keys", ""]
    assert collection.queries() == {"q1": "how"}
    assert collection.qrels() == {"q1": {"d1": 2, "d2": 0}}


@pytest.mark.parametrize("error", [RuntimeError, ConnectionError])
def test_a_failed_download_says_what_else_can_be_done(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    ir_datasets: Any = pytest.importorskip("ir_datasets")

    class Unreachable:
        def qrels_iter(self) -> None:
            raise error("all download attempts failed")

    monkeypatch.setattr(ir_datasets, "load", lambda name: Unreachable())
    with pytest.raises(OSError, match=r"beir/quora/test could not be fetched: all .* its path"):
        open_collection("quora").qrels()


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the evaluation data (LASTWORD_DATA)")
@pytest.mark.parametrize(
    ("name", "documents", "queries"),
    [("scifact", 5183, 300), ("cranfield", 1400, 225), ("cisi", 1460, 76), ("vaswani", 11429, 93)],
)
def test_real_collections_are_read_whole(name: str, documents: int, queries: int) -> None:
    collection = open_collection(SHARED / "retrieval" / name)
    assert sum(1 for _ in collection.documents()) == documents
    assert len(collection.queries()) == len(collection.qrels()) == queries
