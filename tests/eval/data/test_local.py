"""Files of documents and queries as they come: null texts, padded ids, links, what is missing."""

import json
import os
from pathlib import Path

import pytest

from eval.data.collections import open_collection
from eval.data.local import TextFolder
from index.documents import Document
from lastword.main import main
from tests.eval.data.test_datasets import QUERIES, folder, write_lines

__all__ = ["folder"]  # a fixture


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("corpus.jsonl", "{broken", r"corpus\.jsonl:4: expected one JSON object a line"),
        ("corpus.jsonl", '["d"]', r"corpus\.jsonl:4: expected a JSON object; got list"),
        ("corpus.jsonl", '{"text": "x"}', r"corpus\.jsonl:4: expected text in _id .* nothing"),
        ("corpus.jsonl", '{"_id": "", "text": "x"}', r"corpus\.jsonl:4: expected text in _id"),
        ("corpus.jsonl", '{"_id": "x\\u0000"}', r"corpus\.jsonl:4: expected text in _id"),
        ("corpus.jsonl", '{"_id": 1.0}', r"corpus\.jsonl:4: expected text in _id .* got 1\.0"),
        ("corpus.jsonl", '{"_id": true}', r"corpus\.jsonl:4: expected text in _id .* got True"),
        ("corpus.jsonl", '{"_id": " d1 "}', r"corpus\.jsonl:4: .*'d1' comes twice"),
        ("corpus.jsonl", '{"_id": "x", "text": ["a"]}', r"corpus\.jsonl:4: expected text in text"),
        ("corpus.jsonl", '{"_id": "x", "text": "",}', r"corpus\.jsonl:4: expected one JSON"),
        ("corpus.jsonl", f'{{"a": {"[" * 5000}', r"corpus\.jsonl:4: expected one JSON .* nested"),
        ("corpus.jsonl", f'{{"_id": "x", "n": {"9" * 5000}}}', r"corpus\.jsonl:4: .*digits"),
        ("corpus.jsonl", '{"_id": "x", "text": 1}', r"corpus\.jsonl:4: .* got 1"),
        ("corpus.jsonl", '{"_id": "x", "text": "", "title": 1}', r"corpus\.jsonl:4: .*title"),
        ("corpus.jsonl", '{"_id": "d1", "text": ""}', r"corpus\.jsonl:4: .*'d1' comes twice"),
        ("corpus.jsonl", r'{"_id": "x", "text": "\ud800"}', r"corpus\.jsonl:4: .*legal Unicode"),
        ("queries.jsonl", '{"_id": "q1", "text": ""}', r"queries\.jsonl:3: .*'q1' comes twice"),
        (
            "queries.jsonl",
            r'{"_id": "x", "text": "\ud83d"}',
            r"queries\.jsonl:3: query 'x': .*Unicode",
        ),
        ("queries.jsonl", '{"text": "x"}', r"queries\.jsonl:3: expected text in _id"),
        ("qrels/test.tsv", "q1 d1 1", r"test\.tsv:4: expected query id, .* 'q1 d1 1'"),
        ("qrels/test.tsv", "q1\td1\t1\t1", r"test\.tsv:4: expected query id"),
        ("qrels/test.tsv", "q1\td9\t0.5", r"test\.tsv:4: .*whole-number gain"),
        ("qrels/test.tsv", "q1\td1\t1", r"test\.tsv:4: .*'d1' of query 'q1' was judged 2, here 1"),
        ("qrels/test.tsv", "q7\td1\t1", r"queries\.jsonl lacks 1 judged queries .*'q7'"),
    ],
)
def test_a_broken_line_is_named(folder: Path, file: str, line: str, message: str) -> None:
    with (folder / file).open("a") as opened:
        opened.write(line + "\n")
    collection = open_collection(folder)
    with pytest.raises(ValueError, match=message):
        assert [*collection.documents(), *collection.queries()]


def test_null_and_missing_texts_are_empty_and_ids_are_not_padded(tmp_path: Path) -> None:
    """A document with a title and a null text was refused, whatever --on-empty said."""
    lines = [
        '{"_id": " a ", "title": "T", "text": null}',
        '{"id": 7, "title": null}',
        '{"docid": "c"}',
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    documents = [Document("a", "T", ""), Document("7", "", ""), Document("c", "", "")]
    assert list(open_collection(tmp_path / "x.jsonl").documents()) == documents


def test_a_judged_query_may_be_empty_and_not_all_of_them(folder: Path) -> None:
    write_lines(folder / "queries.jsonl", [{"_id": "q1", "text": None}, {"_id": "q2", "text": "x"}])
    with pytest.raises(ValueError, match=r"queries\.jsonl: every judged query is empty"):
        open_collection(folder).queries()
    (folder / "qrels" / "test.tsv").write_text("q1\td1\t1\nq2\td1\t1\n")
    assert open_collection(folder).queries() == {"q1": "", "q2": "x"}


def test_links_to_folders_are_followed_and_do_not_go_round(tmp_path: Path) -> None:
    """What lay behind a linked folder was left out without a word; a link upwards never ended."""
    root, real = tmp_path / "d", tmp_path / "real"
    for name in (root / "sub", real / "deep"):
        name.mkdir(parents=True)
    for file in (root / "a.txt", root / "sub" / "b.txt", real / "deep" / "c.txt"):
        file.write_text("text")
    (root / "alias").symlink_to("sub")  # sorts before sub, which keeps its own name all the same
    (root / "link").symlink_to(real)
    (root / "link2").symlink_to(real / "deep")
    (root / "sub" / "round").symlink_to(root)
    (root / "self").symlink_to("self")
    (root / "gone.txt").symlink_to("nowhere")
    (root / "file.txt").symlink_to(real / "deep" / "c.txt")
    os.mkfifo(root / "pipe.txt")
    collection = TextFolder(root)
    ids = [document.id for document in collection.documents()]
    assert ids == ["a.txt", "file.txt", "link/deep/c.txt", "sub/b.txt"]
    assert dict(collection.counts) == {"ignored": 1, "broken": 2, "repeated": 3}
    (root / "sub" / "up").symlink_to(tmp_path)
    ids = [document.id for document in TextFolder(root).documents()]
    assert ids == ["a.txt", "file.txt", "link/deep/c.txt", "sub/b.txt"]


def test_what_is_not_there_is_called_that(tmp_path: Path) -> None:
    for source in (tmp_path / "docs", "missing.jsonl", "./nowhere"):
        with pytest.raises(FileNotFoundError):
            open_collection(source)
    (tmp_path / "corpus.jsonl").symlink_to("nowhere")  # else queries would be read as documents
    write_lines(tmp_path / "queries.jsonl", QUERIES)
    with pytest.raises(FileNotFoundError, match=r"corpus\.jsonl"):
        list(open_collection(tmp_path).documents())


def test_what_is_passed_over_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.txt").write_text("lava")
    (tmp_path / "d" / "a.png").write_bytes(b"\x89PNG")
    for name, target in (("round", "../d"), ("gone", "nowhere"), ("here", ".")):
        (tmp_path / "d" / name).symlink_to(target)
    asked = ["index", str(tmp_path / "d"), "--channels", "bm25", "-o"]
    assert main([*asked, str(tmp_path / "x.index")]) == 0
    told = capsys.readouterr().err
    assert "Skipped 1 file of other kinds" in told and "Skipped 1 link to nothing" in told
    assert "Skipped 2 links to what is read under another name" in told
    assert main([*asked, str(tmp_path / "y.index"), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)["passed_over"]
    assert counts == {"ignored": 1, "broken": 1, "repeated": 2}


def test_embed_of_nothing_and_to_nowhere_ends_before_a_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty file ended in "need at least one array to concatenate", after loading."""
    source = tmp_path / "none.jsonl"
    source.touch()
    asked = ["embed", "--role", "query", "--model", "no/such", "--input", str(source), "--out"]
    assert main([*asked, str(tmp_path / "e.npz")]) == 2
    assert "none.jsonl: it is empty" in capsys.readouterr().err
    assert main([*asked, str(tmp_path / "nowhere" / "e.npz")]) == 2
    assert "nowhere is no folder; make it first" in capsys.readouterr().err


def test_a_file_whose_name_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("text")
    with pytest.raises(ValueError, match=r"caf\\udce9\.txt.*rename the file"):
        list(open_collection(tmp_path).documents())
