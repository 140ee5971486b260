"""Sources that are no files, and folders that hold an index already: one line, nothing replaced."""

import os
from functools import partial
from pathlib import Path

import pytest

from retrieval.build import build_index
from retrieval.exchange.formats import export_index, import_index
from retrieval.exchange.options import ExportOptions, ImportOptions
from retrieval.options import BuildOptions
from tests.exchanged import ENCODERS
from tests.one_line import check_one_line
from tests.synthetic import documents


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("faiss", "index"),
        ("npy", "vectors.npy"),
        ("npz", "vectors.npz"),
        ("parquet", "documents.parquet"),
        ("ciff", "index.ciff"),
        ("jsonvector", "corpus.jsonl"),
    ],
)
def test_a_pipe_among_the_files_is_not_waited_for(tmp_path: Path, name: str, file: str) -> None:
    """Those of NumPy, FAISS and Arrow were opened, in calls that Ctrl-C does not always reach."""
    if name == "parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / "docid").write_text("a\n")
    os.mkfifo(tmp_path / file)
    source = tmp_path / file if name == "jsonvector" else tmp_path
    call = partial(import_index, name, source, tmp_path / "made")
    check_one_line(call, ValueError, f"{tmp_path / file}: expected a file; it is a device, a pipe")


def test_an_index_is_replaced_only_when_told(tmp_path: Path) -> None:
    """A build that was interrupted, and could have gone on, was replaced untold."""

    def fall_over(count: int) -> None:
        if count >= 40:
            raise RuntimeError("interrupted")

    index = tmp_path / "index"
    options = BuildOptions(segment_documents=20)
    with pytest.raises(RuntimeError, match="interrupted"):
        build_index(documents(60), ENCODERS, index, options, fall_over)
    source = tmp_path / "rows.jsonl"
    source.write_text('{"id": "a", "vector": {"tea": 3}}')
    call = partial(import_index, "jsonvector", source, index)
    check_one_line(call, ValueError, "holds an unfinished index; give another folder, or have it")
    build_index(documents(60), ENCODERS, index, options)
    check_one_line(call, ValueError, "holds a complete index; give another folder, or have it")
    assert call(options=ImportOptions(overwrite=True)).documents == 1


def test_an_export_into_an_index_is_refused(tmp_path: Path) -> None:
    """--overwrite put the files of an export among the segments of the index itself."""
    index = tmp_path / "index"
    build_index(documents(5), ENCODERS, index)
    call = partial(export_index, index, "beir", index, ExportOptions(overwrite=True))
    check_one_line(call, ValueError, f"{index} is an index, which an export must not be mixed with")
