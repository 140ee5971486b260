"""Recall measured on rows of an index, and what is advised."""

from pathlib import Path

import pytest

from embedder.types import Role
from index.folder import Index
from retrieval.build import build_index
from retrieval.options import BuildOptions
from retrieval.planning.recall import RecallOptions, measure_recall
from tests.synthetic import SignEncoder, documents

pytest.importorskip("faiss")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of 600 documents in three segments."""
    path = tmp_path_factory.mktemp("recall") / "i"
    build_index(documents(600), {"dense": SignEncoder()}, path, BuildOptions(segment_documents=250))
    return path


def test_rows_that_stand_for_queries_are_not_searched(path: Path) -> None:
    with Index.open(path) as index:
        report = measure_recall(
            index, ["IVF16,Flat", "PQ8x4"], options=RecallOptions(k=5, queries=50)
        )
        part = measure_recall(index, ["SQ8"], options=RecallOptions(rows=100, queries=50))
    assert (report.rows, report.total, report.queries, report.drawn) == (550, 600, 50, True)
    assert (part.rows, part.total) == (100, 600)
    assert report.figures[0].factory == "Flat" and report.figures[0].recall == 1
    assert {each.factory for each in report.figures} == {"Flat", "IVF16,Flat", "PQ8x4"}
    assert all(0 < each.recall <= 1 and each.queries_per_second > 0 for each in report.figures)
    assert "IVF16,Flat" in report.advice
    assert report.to_json()["figures"][0]["bytes_per_vector"] == 256


def test_queries_of_ones_own(path: Path) -> None:
    rows = SignEncoder().encode(["amber basalt", "violet"], Role.QUERY)
    with Index.open(path) as index:
        report = measure_recall(index, ["Flat"], queries=rows)
    assert (report.rows, report.queries, report.drawn) == (600, 2, False)


def test_what_cannot_be_measured_is_refused(path: Path) -> None:
    with Index.open(path) as index:
        with pytest.raises(ValueError, match="of which 150 stand for queries and 450 are"):
            measure_recall(index, ["Flat"], options=RecallOptions(k=451, queries=595))
        with pytest.raises(ValueError, match="and 9 are searched; k = 10 is more"):
            measure_recall(index, ["Flat"], options=RecallOptions(rows=9))
        with pytest.raises(ValueError, match="'nonsense' makes no index of 64-d vectors"):
            measure_recall(index, ["nonsense"])
        with pytest.raises(ValueError, match="at least 1; got 0"):
            RecallOptions(k=0)
