"""Rows kept as float16 or int8, against all products in float64 of what is to be ranked."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from index.channels import dense
from index.channels.dense import DenseChannel, build_dense, open_dense
from index.channels.exact import int8_codes, row_scores, scan
from index.channels.exact.int8_codes import open_codes
from index.channels.exact.row_scores import Float16Scores, Int8Scores
from index.storage.layout import CODES, OWNER, SCALES, DenseDtype, required_files
from tests.dense_rows import as_queries, brute_force, unit_rows

ROWS, DIM = 9001, 40
RANDOM = np.random.default_rng(5)
VECTORS = unit_rows(ROWS, DIM)
VECTORS[RANDOM.integers(ROWS, size=2000)] = VECTORS[RANDOM.integers(ROWS, size=2000)]
VECTORS[17] = 0
VECTORS[18] = np.eye(DIM)[3]
QUERIES = np.concatenate([VECTORS[:3], VECTORS[17:19], unit_rows(20, DIM, seed=1)])
HALF = RANDOM.random(ROWS) < 0.6
FIFTH = RANDOM.random(ROWS) < 0.2
NARROW: list[DenseDtype] = ["float16", "int8"]


@pytest.fixture(params=[False, True], ids=["numpy", "compiled"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Blocks of few rows, in three threads, by numpy or by compiled code."""
    monkeypatch.setattr(scan, "_WORTH_THREADS", 0)
    monkeypatch.setattr(scan, "_WORTH_A_TURN", 600)
    monkeypatch.setattr(scan, "cores", lambda: 3)
    monkeypatch.setattr(row_scores, "_WIDENED", 256)
    monkeypatch.setattr(dense, "_SMALL", 1000)
    monkeypatch.setattr(dense, "_WORTH_COMPILING", 0 if request.param else 1 << 62)
    return bool(request.param)


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, DenseChannel]]:
    """One channel of each dtype, of the same rows."""
    opened: dict[str, DenseChannel] = {}
    for dtype in NARROW:
        folder = tmp_path_factory.mktemp(dtype)
        build_dense(VECTORS, "Flat", folder, dtype)
        opened[dtype] = open_dense(folder, "Flat", (ROWS, DIM), dtype=dtype)
    yield opened


def ranked(dtype: str) -> NDArray[np.float32]:
    """Return the rows by which a dtype ranks."""
    return VECTORS.astype(np.float16).astype(np.float32) if dtype == "float16" else VECTORS


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("live", [None, HALF, FIFTH], ids=["all", "most", "fifth"])
@pytest.mark.parametrize("k", [1, 10, 400])
@pytest.mark.parametrize("queries", [1, 5, 25])
@pytest.mark.usefixtures("compiled")
def test_rows_scores_and_ties(
    channels: dict[str, DenseChannel],
    dtype: str,
    queries: int,
    k: int,
    live: NDArray[np.bool_] | None,
) -> None:
    asked, rows = QUERIES[:queries], ranked(dtype)
    hits = channels[dtype].search(as_queries(asked), k, live)
    exact = (asked.astype(np.float64) @ rows.astype(np.float64).T).astype(np.float32)
    for found, scores, query, expected in zip(hits.rows, hits.scores, asked, exact, strict=True):
        assert found.tolist() == brute_force(rows, query, k, live)
        np.testing.assert_array_equal(scores, expected[found])


@pytest.mark.parametrize("dtype", NARROW)
def test_rows_are_read_as_float32(channels: dict[str, DenseChannel], dtype: str) -> None:
    channel, some = channels[dtype], np.array([5, 0, 5])
    for choice in (slice(3, 9), some):
        read = channel.read(choice)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, ranked(dtype)[choice])


def test_scores_of_codes_are_as_near_as_their_slack_says(
    channels: dict[str, DenseChannel], compiled: bool
) -> None:
    codes = channels["int8"]._codes
    assert codes is not None
    wide = VECTORS.astype(np.float64)
    for asked in (QUERIES[:7], QUERIES):
        scores = Int8Scores(codes, asked, compiled)
        out = scan.all_scores(scores)
        error = np.abs(out - asked.astype(np.float64) @ wide.T).max(axis=1)
        assert (error <= scores.slack / 2).all()
        assert scores.slack.max() < 0.05


def test_scores_of_halves_are_those_of_float32(compiled: bool) -> None:
    halves = VECTORS.astype(np.float16)
    halves[0, :3] = [6e-8, -3e-6, 60_000]  # two that are subnormal as float16
    for asked in (QUERIES[:7], QUERIES):
        out = scan.all_scores(Float16Scores(halves, asked, compiled))
        exact = asked.astype(np.float64) @ halves.astype(np.float64).T
        np.testing.assert_allclose(out[:, 1:], exact[:, 1:], atol=1e-6)
        np.testing.assert_allclose(out[:, 0], exact[:, 0], rtol=1e-5, atol=1e-6)


def test_codes_by_hand(tmp_path: Path) -> None:
    rows = np.array([[1.27, -0.01, 0.634], [0, 0, 0]], np.float32)
    build_dense(rows, "Flat", tmp_path, "int8")
    codes = open_codes(tmp_path, (2, 3))
    assert codes.codes.tolist() == [[127, -1, 63], [0, 0, 0]]
    assert codes.scales.tolist() == pytest.approx([0.01, 0])
    assert codes.errors.row == pytest.approx(0.004, rel=1e-3)
    assert codes.errors.length == pytest.approx(1.27 * np.sqrt(3))


def test_sums_of_products_fit_int32() -> None:
    """The worst there is: every number of row and query the largest."""
    width = 5000
    rows = np.full((2, width), 1 / np.sqrt(width), np.float32)
    codes = int8_codes.Int8Codes(
        np.full((2, width), 127, np.int8), np.full((2, 2), rows[0, 0] / 127, np.float32)
    )
    out = scan.all_scores(Int8Scores(codes, rows[:1], True))
    assert out.tolist() == [pytest.approx([1, 1], abs=1e-3)]


@pytest.mark.parametrize("dtype", NARROW)
def test_vectors_that_are_no_numbers_are_noticed(
    dtype: DenseDtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "_SMALL", 1000)
    vectors = VECTORS.copy()
    vectors[8000, 3] = np.nan
    build_dense(vectors, "Flat", tmp_path, dtype)
    with pytest.raises(ValueError, match=r"\.npy is damaged: (vectors|scales) are not finite"):
        open_dense(tmp_path, "Flat", dtype=dtype).search(as_queries(QUERIES[:2]), 3)


def test_damaged_scales_lead_to_all_rows_or_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "_SMALL", 1000)
    build_dense(VECTORS, "Flat", tmp_path, "int8")
    scales = np.load(tmp_path / SCALES)
    for at, wrong, message in ((1, 3e38, ""), (1, -1, "scales"), (0, np.inf, "scales")):
        broken = scales.copy()
        broken[at, 5] = wrong
        np.save(tmp_path / SCALES, broken)
        channel = open_dense(tmp_path, "Flat", dtype="int8")
        if message:
            with pytest.raises(ValueError, match=r"scales\.npy is damaged"):
                channel.search(as_queries(QUERIES[:2]), 3)
        else:
            hits = channel.search(as_queries(QUERIES[:2]), 3)
            assert hits.rows[0].tolist() == brute_force(VECTORS, QUERIES[0], 3)
    np.save(tmp_path / CODES, np.zeros((ROWS, DIM - 1), np.int8))
    with pytest.raises(ValueError, match=r"codes\.npy is damaged: expected int8 of shape"):
        open_dense(tmp_path, "Flat", dtype="int8")


def test_a_factory_rescores_by_rounded_rows(tmp_path: Path) -> None:
    build_dense(VECTORS, "HNSW16", tmp_path, "float16")
    channel = open_dense(tmp_path, "HNSW16", dtype="float16")
    hits = channel.search(as_queries(QUERIES), 10)
    rows = ranked("float16").astype(np.float64)
    for query, found, scores in zip(QUERIES, hits.rows, hits.scores, strict=True):
        np.testing.assert_array_equal(scores, (rows[found] @ query).astype(np.float32))


def test_files_and_their_sizes(tmp_path: Path) -> None:
    sizes: dict[str, dict[str, int]] = {}
    for dtype in NARROW:
        (tmp_path / dtype).mkdir()
        build_dense(VECTORS, "Flat", tmp_path / dtype, dtype)
        sizes[dtype] = {path.name: path.stat().st_size for path in (tmp_path / dtype).iterdir()}
    assert sizes["float16"] == {"vectors.npy": 128 + 2 * ROWS * DIM}
    wide, narrow = 128 + 4 * ROWS * DIM, 128 + ROWS * DIM
    assert sizes["int8"] == {"vectors.npy": wide, CODES: narrow, SCALES: 128 + 8 * ROWS}
    assert {f"d/{name}" for name in (OWNER, *sizes["int8"])} < required_files({"d": "int8"})
    saved = tmp_path / "saved.npy"
    np.save(saved, VECTORS.astype(np.float16))
    assert saved.read_bytes() == (tmp_path / "float16" / "vectors.npy").read_bytes()
