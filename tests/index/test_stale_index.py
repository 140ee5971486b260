"""What an evaluation uses again must be of the same documents, queries and judgements.

An index was taken for a collection's if it held the first document's id: after an edit of the
corpus, or under another folder of the same name, figures were those of the old documents.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from embedder.encoders.bm25 import BM25Encoder
from eval.data.collections import Collection, open_collection
from eval.runs.collection_index import open_or_build
from eval.runs.record import Record
from eval.runs.run_folder import RunFolder
from eval.tasks.retrieval import JudgeOptions, judge
from index.documents import Document
from index.folder import Index
from lastword.main import main
from retrieval.build import add_documents, build_index
from retrieval.options import BuildOptions

LINES = ['{"_id": "a", "text": "rotate the key"}', '{"_id": "b", "text": "bake the bread"}']
KEEP = BuildOptions(on_empty="keep")


def write_beir(folder: Path, lines: list[str] = LINES) -> Path:
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "key"}\n')
    (folder / "qrels" / "test.tsv").write_text("q\ta\t1\n")
    return folder


def judged(collection: Collection, index: Path) -> Record:
    return judge(collection, {"bm25": BM25Encoder()}, index)


CHANGES: list[Callable[[list[str]], list[str]]] = [
    lambda lines: [lines[0].replace("key", "lock"), lines[1].replace("bread", "key")],
    lambda lines: [*lines, '{"_id": "c", "text": "key key key"}'],
    lambda lines: lines[:1],
    lambda lines: lines[::-1],
    lambda lines: [lines[0].replace('"a"', '"x"'), *lines[1:]],
    lambda lines: [lines[0].replace('"text": "', '"title": "rotate", "text": "'), *lines[1:]],
]


@pytest.mark.parametrize("change", CHANGES, ids=["edit", "append", "cut", "order", "id", "title"])
def test_documents_that_changed_are_indexed_again(
    tmp_path: Path, change: Callable[[list[str]], list[str]]
) -> None:
    collection = open_collection(write_beir(tmp_path / "demo"))
    first = judged(collection, tmp_path / "x.index")
    again = judged(collection, tmp_path / "x.index")
    assert (first.details["index_state"], again.details["index_state"]) == ("built", "reused")
    assert again.details["source"] == first.details["source"]
    write_beir(tmp_path / "demo", change(LINES))
    fresh = judged(collection, tmp_path / "fresh.index")
    changed = judged(collection, tmp_path / "x.index")
    assert changed.details["index_state"] == "rebuilt"
    assert (changed.values, changed.details["documents"]) == (
        fresh.values,
        fresh.details["documents"],
    )
    assert changed.details["source"] == fresh.details["source"] != first.details["source"]
    assert judged(collection, tmp_path / "x.index").details["index_state"] == "reused"


def test_what_was_not_built_here_is_refused_and_left_alone(tmp_path: Path) -> None:
    collection = open_collection(write_beir(tmp_path / "demo"))
    encoders = {"bm25": BM25Encoder()}
    build_index([Document("mine", "", "text")], encoders, tmp_path / "mine.index")
    judged(collection, tmp_path / "x.index")
    add_documents([Document("more", "", "text")], encoders, tmp_path / "x.index")
    for name, ids in (("mine", ["mine"]), ("x", ["a", "b", "more"])):
        with pytest.raises(ValueError, match=rf"{name}\.index is not an index of these documents"):
            judged(collection, tmp_path / f"{name}.index")
        with Index.open(tmp_path / f"{name}.index") as index:
            assert [document.id for document in index.stream()] == ids
    build_index(collection.documents(), encoders, tmp_path / "same.index", KEEP)
    assert judged(collection, tmp_path / "same.index").details["index_state"] == "reused"


def test_an_interrupted_build_of_other_documents_starts_over(tmp_path: Path) -> None:
    documents = [Document(str(at), "", f"text {at}") for at in range(6)]
    build = BuildOptions(segment_documents=2, window=1)

    def broken() -> "list[Document]":
        return [*documents[:5], Document("\0", "", "ends here")]

    def stops(done: int) -> None:
        if done > 4:
            raise KeyboardInterrupt

    encoders, path = {"bm25": BM25Encoder()}, tmp_path / "x.index"
    with pytest.raises(KeyboardInterrupt):
        open_or_build(broken, encoders, path, build, stops)
    made = open_or_build(lambda: documents[1:], encoders, path, build)
    with made.index as index:
        assert (made.state, list(index.stream())) == ("rebuilt", documents[1:])


def test_the_command_says_so_and_judges_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One name and index folder, other texts; and --resume after judgements changed."""
    monkeypatch.chdir(tmp_path)
    for name, lines in (("v1", LINES), ("v2", [*LINES, '{"_id": "c", "text": "key key key"}'])):
        write_beir(tmp_path / name / "demo", lines)
    options = ["--channels", "bm25", "--indexes", "ix"]

    def figures(version: str, *more: str) -> tuple[dict[str, float], str]:
        assert main(["eval", "retrieval", f"{version}/demo", "--out", "r", *options, *more]) == 0
        return Record.read(Path("r/demo.json")).measures, capsys.readouterr().err

    assert figures("v1")[0]["RR@10"] == 1.0
    measures, remarks = figures("v2")
    assert measures["RR@10"] == 0.5 and "documents have changed" in remarks
    measures, remarks = figures("v2", "--resume")
    assert measures["RR@10"] == 0.5 and "finished" in remarks
    (tmp_path / "v2" / "demo" / "qrels" / "test.tsv").write_text("q\tb\t1\n")
    measures, remarks = figures("v2", "--resume")
    assert measures["RR@10"] == 0.0 and "judged again" in remarks


def test_a_report_reads_no_texts_of_other_documents(tmp_path: Path) -> None:
    collection, out = open_collection(write_beir(tmp_path / "demo")), tmp_path / "out"
    judge(collection, {"bm25": BM25Encoder()}, tmp_path / "x.index", JudgeOptions(out=out))
    (out / "config.json").write_text("{}")
    assert RunFolder.open(out).index_path("demo") == tmp_path / "x.index"
    write_beir(tmp_path / "demo", LINES[::-1])
    judged(collection, tmp_path / "x.index")
    assert RunFolder.open(out).index_path("demo") is None


def test_empty_judged_queries_count_0_and_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty query among the judged ended the run after the index was built."""
    folder = write_beir(tmp_path / "demo")
    with (folder / "queries.jsonl").open("a") as queries:
        queries.write('{"_id": "e", "text": " "}\n{"_id": "n", "text": null}\n')
    (folder / "qrels" / "test.tsv").write_text("q\ta\t1\ne\ta\t1.0\nn\tb\t1\n")
    asked = ["eval", "retrieval", str(folder), "--channels", "bm25", "--out", str(tmp_path / "r")]
    assert main([*asked, "--indexes", str(tmp_path / "ix")]) == 0
    record = Record.read(tmp_path / "r" / "demo.json")
    assert record.measures["RR@10"] == pytest.approx(1 / 3)
    assert record.details["empty_queries"] == 2
    assert "2 judged queries without text" in capsys.readouterr().err


def test_an_index_for_mteb_is_of_the_same_documents(tmp_path: Path) -> None:
    """Only their number was compared."""
    pytest.importorskip("mteb")
    from eval.tasks.mteb_tasks import retrieval_task
    from tests.eval.tasks.test_mteb import hybrid

    model, task = hybrid(tmp_path), {"hf_split": "test", "hf_subset": "default"}
    about = retrieval_task(open_collection(write_beir(tmp_path / "demo"))).metadata
    for lines, rebuilt in ((LINES, []), (LINES, []), (LINES[::-1], [about.name])):
        local = retrieval_task(open_collection(write_beir(tmp_path / "demo", lines)))
        local.load_data()
        corpus = local.dataset["default"]["test"]["corpus"]
        model.index(corpus, task_metadata=about, **task)
        assert model.rebuilt == rebuilt
    with Index.open(next(tmp_path.rglob("*.index"))) as index:
        assert [document.id for document in index.stream()] == ["b", "a"]
