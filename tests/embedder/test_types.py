"""Rows of several calls, of one text, and in files."""

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from embedder.types import Representation, unit_rows


def rows_of(owner: list[int], first: int = 0, dense: bool = True) -> Representation:
    """Make rows of which each can be told from the others."""
    n = len(owner)
    units = np.eye(8, dtype=np.float32)[first : first + n]
    words = csr_matrix(np.eye(8, dtype=np.float32)[first : first + n] * (first + 2))
    return Representation(units if dense else None, words, np.array(owner, np.int64))


def equal(got: Representation, want: Representation) -> bool:
    """Compare owners and the values of every channel."""
    one, other = got.to_arrays(), want.to_arrays()
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name]) for name in one
    )


def test_rows_of_several_calls_count_their_texts_on() -> None:
    parts = [rows_of([0, 0, 2]), rows_of([1, 1], first=3), rows_of([0], first=5)]
    # Text 1 of the first call and text 0 of the second gave no row: the texts of a call are
    # counted, not its rows.
    whole = Representation.concatenate(parts, 3)
    assert whole.owner.tolist() == [0, 0, 2, 4, 4, 6]
    assert whole.dense is not None and whole.sparse is not None
    assert np.array_equal(whole.dense, np.eye(8, dtype=np.float32)[:6])
    assert whole.sparse.diagonal().tolist() == [2, 2, 2, 5, 5, 7]
    assert Representation.concatenate([rows_of([0], dense=False)], 1).dense is None


def test_the_rows_of_one_text_are_those_that_it_owns() -> None:
    rows = rows_of([0, 2, 2, 3])
    assert rows.dense is not None and rows.sparse is not None
    mine = Representation(rows.dense[1:3], rows.sparse[1:3], np.zeros(2, np.int64))
    assert equal(rows.of_text(2), mine)
    assert len(rows.of_text(1)) == 0 and len(rows.of_text(9)) == 0
    assert equal(rows.of_row(3), rows.of_text(3)) and not equal(rows.of_row(1), mine)


@pytest.mark.parametrize("dense", [True, False])
def test_a_file_gives_back_the_rows_and_needs_no_pickle(tmp_path: Path, dense: bool) -> None:
    rows, path = rows_of([0, 0, 2], dense=dense), tmp_path / "rows.npz"
    rows.save(path, ids=np.array(["a", "b", "c"]))
    assert equal(Representation.load(path), rows)
    with np.load(path, allow_pickle=False) as arrays:
        # An older NumPy stores every keyword of savez as an array of that name.
        names = ["owner", *["dense"] * dense, "sparse_data", "sparse_indices", "sparse_indptr"]
        assert arrays.files == [*names, "sparse_shape", "ids"]


def test_rows_get_unit_length_and_zeros_stay() -> None:
    rows = np.array([[[3, 4], [0, 0]], [[0, -2], [1, 0]]], np.float32)
    want = np.array([[[0.6, 0.8], [0, 0]], [[0, -1], [1, 0]]], np.float32)
    assert np.array_equal(unit_rows(rows), want) and unit_rows(rows).dtype == np.float32
