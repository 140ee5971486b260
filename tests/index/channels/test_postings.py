"""Postings: the matrix comes back, and damage is noticed."""

from pathlib import Path

import numpy as np
import pytest

from index.channels.postings import build_inverted, open_inverted
from tests.sparse_rows import COLUMNS, counts, spread, stored

DOCUMENTS = counts(600, 120, 0.05, seed=1)
LIVE = np.random.default_rng(3).random(600) < 0.7


def test_the_matrix_comes_back(tmp_path: Path) -> None:
    postings = stored(DOCUMENTS, tmp_path)
    for keep, expected in [(None, DOCUMENTS), (LIVE, DOCUMENTS[LIVE])]:
        back = postings.to_csr(keep)
        assert back.shape == (expected.shape[0], COLUMNS)
        assert back.has_canonical_format and back.data.dtype == np.float32
        for name in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(back, name), getattr(spread(expected), name))


def test_more_entries_than_are_ranked_at_a_time_come_back(tmp_path: Path) -> None:
    many = counts(3000, 300, 0.1, seed=2)
    assert many.nnz > 2 * 2**15
    back = stored(many, tmp_path).to_csr()
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(back, name), getattr(spread(many), name))


@pytest.mark.parametrize("name", ["terms", "indptr", "rows", "weights"])
def test_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    build_inverted(spread(DOCUMENTS), tmp_path)
    path = tmp_path / f"{name}.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"{name}.npy is damaged"):
        open_inverted(tmp_path)
    np.save(path, np.zeros(3, np.int16))
    with pytest.raises(ValueError, match="expected"):
        open_inverted(tmp_path)
    path.write_bytes(whole)
    shorter = np.load(path)[:-1]
    np.save(path, shorter)
    with pytest.raises(ValueError, match="do not fit together"):
        open_inverted(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        open_inverted(tmp_path)
