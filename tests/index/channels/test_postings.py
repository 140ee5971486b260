"""Postings: the matrix comes back, whatever its blocks and weights, and damage is noticed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, vstack

import index.channels.postings as postings_module
from index.channels.inversion import build_inverted, invert
from index.channels.parts import BLOCK
from index.channels.postings import Postings
from index.channels.postings_files import arrays_of, open_inverted, write_postings
from index.channels.weight_codes import encode_weights, find_values
from index.merge.postings import KeptRows, merge_postings
from tests.sparse_rows import COLUMNS, counts, spread, stored

DOCUMENTS = counts(600, 120, 0.05, seed=1)
LIVE = np.random.default_rng(3).random(600) < 0.7
DISTANT = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 3 * BLOCK]


def assert_same(back: csr_matrix, expected: csr_matrix) -> None:
    assert back.shape == (expected.shape[0], COLUMNS)
    assert back.has_canonical_format and back.data.dtype == np.float32
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(back, name), getattr(spread(expected), name))


def distant(
    rows: int, places: list[tuple[int, int]], values: list[float], columns: int = 9
) -> csr_matrix:
    """A matrix of many rows, most of which are empty; of entries in one place the last stays."""
    entries = {
        (row % rows, column): value for (row, column), value in zip(places, values, strict=False)
    }
    at = np.array(list(entries), np.int64).reshape(-1, 2)
    data = np.array(list(entries.values()), np.float32)
    return csr_matrix((data, (at[:, 0], at[:, 1])), shape=(rows, columns))


MATRICES = st.builds(
    distant,
    st.sampled_from([1, 2, 5, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3]),
    st.lists(st.tuples(st.sampled_from(DISTANT) | st.integers(0, 99), st.integers(0, 8))),
    st.lists(st.sampled_from([1.0, 2.0, 300.0, 1e-45, 0.1, 3e37]), min_size=200, max_size=200),
)


def test_the_matrix_comes_back(tmp_path: Path) -> None:
    postings = stored(DOCUMENTS, tmp_path)
    for keep, expected in [(None, DOCUMENTS), (LIVE, DOCUMENTS[LIVE])]:
        assert_same(postings.to_csr(keep), expected)


def test_more_entries_than_are_ranked_at_a_time_come_back(tmp_path: Path) -> None:
    many = counts(3000, 300, 0.1, seed=2)
    assert many.nnz > 2 * 2**15
    assert_same(stored(many, tmp_path).to_csr(), many)


@settings(max_examples=60, deadline=None)
@given(MATRICES, st.sampled_from([1, 3, 1 << 20]), st.data())
def test_any_matrix_comes_back_from_files(
    tmp_path_factory: pytest.TempPathFactory, matrix: csr_matrix, chunk: int, data: st.DataObject
) -> None:
    """All of it, live rows, single entries and bands of rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings_module, "CHUNK", chunk)
        postings = stored(matrix, tmp_path_factory.mktemp("postings"))
        assert_same(postings.to_csr(), matrix)
        keep = np.ones(matrix.shape[0], np.bool_)
        keep[data.draw(st.lists(st.integers(0, matrix.shape[0] - 1)))] = False
        assert_same(postings.to_csr(keep), matrix[keep])
        held = np.bincount(matrix[keep].indices, minlength=9)[np.unique(matrix.indices)]
        assert postings.document_frequency(keep).tolist() == held.tolist()
        assert_same(postings.read(np.array([0, 0])), matrix[[0, 0]])
        check_entries(postings, matrix)


def check_entries(postings: Postings, matrix: csr_matrix) -> None:
    """Compare entries by number, by place and by row with those of the matrix by columns."""
    by_term = matrix.tocsc()
    by_term.sort_indices()
    rows, weights = by_term.indices, by_term.data
    for start, end in [(0, len(rows)), (1, len(rows)), (2, 5), (3, 3)]:
        np.testing.assert_array_equal(postings.holders(start, end), rows[start:end])
        np.testing.assert_array_equal(postings.weights(slice(start, end)), weights[start:end])
    for term in range(len(postings.terms)):
        entries = range(*postings.indptr[term : term + 2].tolist())
        places = {int(rows[entry]): entry for entry in entries}
        for row in {*DISTANT, *places}:
            assert postings.find(term, row) == places.get(row)
    for start, stop in [(0, 1), (1, BLOCK), (BLOCK - 1, BLOCK + 1), (BLOCK, 3 * BLOCK + 1)]:
        found, held = postings.within(start, stop)
        expected = np.flatnonzero((rows >= start) & (rows < stop))
        assert found.tolist() == expected.tolist()
        assert held.tolist() == rows[expected].tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(MATRICES, min_size=1, max_size=3), st.data())
def test_merged_blocks_are_those_of_the_joined_matrix(
    tmp_path_factory: pytest.TempPathFactory, matrices: list[csr_matrix], data: st.DataObject
) -> None:
    """To the byte; rows of a block move into others, and weights lose their last entry."""
    kept = []
    for matrix in matrices:
        keep = np.ones(matrix.shape[0], np.bool_)
        keep[data.draw(st.lists(st.integers(0, matrix.shape[0] - 1)))] = False
        kept.append(keep)
    parts = [
        KeptRows(invert(spread(matrix)), keep) for matrix, keep in zip(matrices, kept, strict=True)
    ]
    merged = merge_postings(parts, tmp_path_factory.mktemp("merge"))
    joined = vstack([matrix[keep] for matrix, keep in zip(matrices, kept, strict=True)], "csr")
    anew = arrays_of(invert(spread(csr_matrix(joined))))
    for name, array in arrays_of(merged).items():
        assert array.dtype == anew[name].dtype, name
        assert array.tobytes() == anew[name].tobytes(), name
    merged.check()


@pytest.mark.parametrize(
    ("different", "copies", "dtype"),
    [
        (1, 2, np.uint8),
        (1, 1, np.float32),  # a table would take as much
        (256, 2, np.uint8),
        (257, 2, np.float32),
        (257, 3, np.uint16),
        (65_536, 3, np.uint16),
        (65_537, 3, np.float32),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_codes_take_as_few_bytes_as_weights_allow(
    different: int, copies: int, dtype: type, whole: bool, tmp_path: Path
) -> None:
    random = np.random.default_rng(different)
    values = np.arange(1, different + 1, dtype=np.float32) / (1 if whole else 7)
    data = random.permutation(np.repeat(values, copies))
    matrix = csr_matrix((data, np.zeros(len(data), np.int64), np.arange(len(data) + 1)))
    postings = stored(matrix, tmp_path)
    assert postings.codes.dtype == dtype
    assert len(postings.values) == (0 if dtype is np.float32 else different)
    np.testing.assert_array_equal(postings.weights(slice(None)), data)


def test_values_are_found_in_parts_as_at_once() -> None:
    random = np.random.default_rng(0)
    weights = random.integers(1, 9, 100_000).astype(np.float32)
    weights[70_000] = 0.5
    values = find_values(np.array_split(weights, 7))
    assert values.tolist() == [0.5, 1, 2, 3, 4, 5, 6, 7, 8]
    np.testing.assert_array_equal(values[encode_weights(weights, values)], weights)


def test_a_rare_term_takes_few_bytes(tmp_path: Path) -> None:
    """10 of its own beside the 6 of its entry in one block, 12 in many."""
    for rows, of_term in ((BLOCK, 8 + 2), (BLOCK + 1, 8 + 2 + 1 + 1)):
        matrix = csr_matrix(
            (np.ones(500, np.float32), np.arange(500), np.minimum(np.arange(rows + 1), 500))
        )
        folder = tmp_path / str(rows)
        folder.mkdir()
        postings = stored(matrix, folder)
        size = sum(array.nbytes for array in arrays_of(postings).values())
        assert size == 500 * (of_term + 2 + 1) + 4 * rows + 4 + 8


@pytest.mark.parametrize("name", ["terms", "sizes", "rows", "codes", "lengths", "values"])
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


@pytest.mark.parametrize(
    ("name", "place", "number", "message"),
    [
        ("rows", -1, BLOCK - 1, "entries must be of rows 0 to 131074; one is of row"),
        ("rows", 0, 60_000, "the rows of a term must rise"),
        ("codes", 3, 4, "codes of weights must be below 4; got 4"),
        ("values", 3, np.nan, "weights must be finite"),
        ("values", 0, 0, "weights must be above 0"),
        ("values", 1, 1, "values of weights must rise"),
        ("lengths", 9, -1, "lengths must be finite and not below 0"),
        ("terms", 0, -1, "terms must rise from 0"),
        ("blocks", 0, 3, "parts must be in blocks of 131075 rows"),
        ("blocks", 1, 0, "the blocks of a term must rise"),
        ("counts", 0, 3, "do not fit"),
        ("sizes", 0, 60_000, "do not fit"),
    ],
)
def test_numbers_out_of_place_are_refused(
    name: str, place: int, number: float, message: str, tmp_path: Path
) -> None:
    """Whoever made the files: checksums are no defence, and compiled code follows numbers."""
    tail = distant(2 * BLOCK + 3 - 601, [], [], DOCUMENTS.shape[1])
    last = csr_matrix(np.ones((1, DOCUMENTS.shape[1]), np.float32))
    matrix = csr_matrix(vstack([DOCUMENTS[:500], tail, DOCUMENTS[500:], last]))
    write_postings(invert(spread(matrix)), tmp_path)
    open_inverted(tmp_path)
    array = np.load(tmp_path / f"{name}.npy")
    array[place] = number
    np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(ValueError, match=message) as raised:
        open_inverted(tmp_path)
    assert "\n" not in str(raised.value)


def test_entries_of_no_rows_are_refused(tmp_path: Path) -> None:
    build_inverted(spread(DOCUMENTS), tmp_path)
    np.save(tmp_path / "lengths.npy", np.zeros(0, np.float32))
    with pytest.raises(ValueError, match="entries must be of rows 0 to -1; one is of row 599"):
        open_inverted(tmp_path)
