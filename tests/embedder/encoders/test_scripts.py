"""What BM25 finds in scripts with particles or without spaces, and of emoji, on an index."""

import json
from pathlib import Path

import pytest

from benchmarks.scripts import QUERIES, recall
from embedder.encoders.bm25 import ANALYSIS, BM25Encoder
from index.documents import Document
from index.folder import Index
from lastword.main import main
from retrieval.build import build_index


def test_every_sentence_is_found_first_whatever_its_query_is_dressed_in(tmp_path: Path) -> None:
    before, after = recall(1, tmp_path), recall(ANALYSIS, tmp_path)
    assert set(after.values()) == {(1.0, 1.0)}
    for name in QUERIES:  # whole words had to be written with the same particle
        assert before["Korean", name][0] < 0.1
        assert before["Korean, one syllable", name][0] == 0
        assert before["emoji", name][0] < 0.1
        for script in ("Chinese", "Japanese", "Thai", "Lao", "Khmer", "Myanmar"):
            assert before[script, name] == (1.0, 1.0)


def test_an_old_index_answers_as_it_did_and_says_what_it_cannot_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.index"
    old = json.dumps({"kind": "bm25", "language": "english"})  # as it was written
    monkeypatch.setattr("retrieval.options.stored_spec", lambda encoder: old)
    documents = [Document("d0", "", "한국어는 어렵다"), Document("d1", "", "rotate a key")]
    build_index(documents, {"bm25": BM25Encoder(analysis=1)}, path)
    assert main(["search", str(path), "keys"]) == 0
    said = capsys.readouterr()
    assert "d1" in said.out and "was made before" not in said.err
    assert main(["search", str(path), "한국어"]) == 0
    assert "was made before" in capsys.readouterr().err
    (tmp_path / "more.jsonl").write_text('{"_id": "d2", "text": "another key"}\n')
    assert main(["add", str(path), str(tmp_path / "more.jsonl"), "--quiet"]) == 0
    with Index.open(path) as index:
        assert index.documents == 3
