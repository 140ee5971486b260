"""Rows of queries in files of other programs, where a prompt reads several of a text."""

from pathlib import Path

import pytest

from retrieval.exchange.formats import export_index
from retrieval.exchange.options import ExportOptions
from tests.exchanged import SEVERAL_ROWS, contents, make_index


@pytest.mark.parametrize("name", ["faiss", "npy"])
def test_rows_of_queries_are_no_rows_of_documents(name: str, tmp_path: Path) -> None:
    """Their names were compared with documents' ids, and they were counted as documents."""
    index = make_index(tmp_path / "index", rows="several")
    parted = {doc: rows for doc, (rows,) in contents(index, ["dense"]).items() if len(rows) > 1}
    asked = {"d1": "alpha beta", "q": "alpha"}
    options = ExportOptions(("dense",), queries=asked, encoders=SEVERAL_ROWS)
    report = export_index(index, name, tmp_path / "out", options)
    names = (tmp_path / "out" / "query.docid").read_text(encoding="utf-8").split()
    assert names == ["d1#0", "d1#1", "q"]
    assert report.counts == {"parted_documents": len(parted), "parted_queries": 1}


def test_a_row_is_not_called_as_another_query(tmp_path: Path) -> None:
    index = make_index(tmp_path / "index", rows="several")
    asked = {"q": "alpha beta", "q#1": "gamma"}
    options = ExportOptions(("dense",), queries=asked, encoders=SEVERAL_ROWS)
    with pytest.raises(ValueError, match=r"'q' has several rows, .* 'q#1', as another query is"):
        export_index(index, "faiss", tmp_path / "out", options)
