"""`lastword recall`: a table, JSON, queries of a file, and what is refused."""

import json
from pathlib import Path

import pytest

from lastword.main import main

pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of 60 documents, and queries."""
    place = tmp_path_factory.mktemp("recall")
    words = "lava magma bridge arch bread yeast star orbit".split()
    lines = [
        json.dumps({"_id": f"d{at}", "text": f"{words[at % 8]} {words[3 * at % 7]} {at}"})
        for at in range(60)
    ]
    (place / "corpus.jsonl").write_text("\n".join(lines))
    (place / "queries.jsonl").write_text('{"_id": "q", "text": "bread and yeast"}\n')
    source, index = str(place / "corpus.jsonl"), str(place / "i")
    assert main(["index", source, "-o", index, "--channels", "dense,bm25", "-q"]) == 0
    return place


def test_a_table_begins_with_exact_search(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called = ["recall", str(place / "i"), "--factory", "IVF4,Flat", "--factory", "SQ8"]
    assert main(called) == 0
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines() if line.strip()]
    assert lines[0] == ["factory", "setting", "recall@10", "queries/s", "bytes", "a", "vector"]
    assert [lines[2][0], lines[2][1]] == ["Flat", "1.000"]
    assert lines[3][:4] == ["IVF4,Flat", "nprobe", "4", "*"]
    remarks = " ".join(said.err.split())
    assert "45 of 60 rows, 15 rows of the index that stood for queries" in remarks


def test_queries_of_a_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called = ["recall", str(place / "i"), "--factory", "HNSW8", "-k", "3", "--json"]
    assert main([*called, "--queries", str(place / "queries.jsonl")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["queries"], facts["rows"], facts["drawn"], facts["k"]) == (1, 60, False, 3)
    assert facts["figures"][0]["recall"] == 1
    assert facts["advice"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--factory", "Flat", "--channel", "bm25"], "of dense channels; 'bm25' is inverted"),
        (["--factory", "Flat", "--channel", "x"], "has no channel 'x'; it has dense, bm25"),
        (["--factory", "PQ7"], "makes no index of 512-d vectors"),
        (["--factory", "Flat", "-k", "99"], "k = 99 is more"),
    ],
)
def test_what_cannot_be_is_one_line(
    options: list[str], message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recall", str(place / "i"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
