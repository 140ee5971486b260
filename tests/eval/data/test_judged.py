"""Folders in the layouts of MS MARCO, TREC, SMART and Tevatron, made by hand: one collection."""

import json
from pathlib import Path

import pytest

from eval.data.collections import open_collection
from eval.data.judged import JudgedFolder
from eval.data.sources import open_sources
from lastword.main import main

TOPICS = """<top>
<num> Number: 7
<title> Topic: how to
rotate
<desc> Description:
Long.
</top>
<top><num>8</num><title>unjudged</title></top>
"""
TREC = "<DOC><DOCNO>1</DOCNO><TEXT>Rotate keys.</TEXT></DOC>\n<DOC><DOCNO>2</DOCNO>Tea.</DOC>\n"
PASSAGES = [{"docid": "1", "title": "", "text": "Rotate keys."}]
FOLDERS = {
    "msmarco": {
        "collection.tsv": "1\tRotate keys.\n2\tTea.\n",
        "queries.dev.tsv": "7\thow to rotate\n8\tunjudged\n",
        "qrels.dev.small.tsv": "7\t0\t1\t1\n",
    },
    "trec": {"docs": TREC, "topics.1-2.txt": TOPICS, "qrels.txt": "7 0 1 1\n"},
    "smart": {
        "CISI.ALL": ".I 1\n.W\nRotate keys.\n.I 2\n.W\nTea.\n.X\n1\t5\t1\n",
        "CISI.QRY": ".I 7\n.W\nhow to rotate\n.I 8\n.W\nunjudged\n",
        "CISI.REL": "     7      1\t0\t0.000000\n",
    },
    "tevatron": {
        "corpus.jsonl": json.dumps(PASSAGES[0]) + '\n{"docid": "2", "title": "", "text": "Tea."}\n',
        "dev.jsonl": json.dumps(
            {"query_id": "7", "query": "how to rotate", "positive_passages": PASSAGES}
        ),
    },
}


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / str(request.param)
    folder.mkdir()
    for name, text in FOLDERS[request.param].items():
        (folder / name).write_text(text)
    return folder


def test_a_folder_is_one_collection(folder: Path) -> None:
    collection = open_collection(folder)
    assert isinstance(collection, JudgedFolder)
    assert collection.name == folder.name
    documents = {document.id: document.text for document in collection.documents()}
    assert documents == {"1": "Rotate keys.", "2": "Tea."}
    assert collection.qrels() == {"7": {"1": 1}}
    assert collection.queries() == {"7": "how to rotate"}
    assert [document.id for document in open_sources(folder)] == ["1", "2"]


def test_it_is_indexed_and_judged_by_the_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--channels", "bm25", "--out", str(tmp_path / "out"), "--json"]
    assert main(["eval", "retrieval", str(folder), *arguments]) == 0
    assert folder.name in capsys.readouterr().out


def test_splits_are_names_of_files(tmp_path: Path) -> None:
    for name, text in FOLDERS["trec"].items():
        (tmp_path / name).write_text(text)
    (tmp_path / "qrels.txt").rename(tmp_path / "qrels.dev")
    (tmp_path / "qrels.test").write_text("7 0 2 1\n")
    assert open_collection(tmp_path).qrels() == {"7": {"2": 1}}
    assert open_collection(tmp_path, "dev").qrels() == {"7": {"1": 1}}
    with pytest.raises(ValueError, match=r"no split 'train'; there is qrels\.dev, qrels\.test"):
        open_collection(tmp_path, "train").qrels()
    (tmp_path / "qrels.test").write_text("9 0 2 1\n")
    with pytest.raises(ValueError, match=r"lacks 1 judged queries, e\.g\. '9'"):
        open_collection(tmp_path).queries()
