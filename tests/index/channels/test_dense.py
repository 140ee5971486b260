"""Every dense index against ExactIndex: scores equal, recall bounded, nothing dead, no pads."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from index.base import NO_ROW
from index.channels.dense import DenseChannel, build_dense, open_dense
from tests.dense_rows import as_queries, brute_force, unit_rows
from tests.exact import ExactIndex
from tests.folders import ROOT

DIM = 32
VECTORS = unit_rows(2000, DIM)
VECTORS[[30, 31, 1500]] = VECTORS[7]  # equal vectors tie
QUERIES = np.concatenate([VECTORS[7:8], unit_rows(15, DIM, seed=1)])
LIVE = np.random.default_rng(3).random(len(VECTORS)) < 0.6
LEAST_RECALL = {
    "Flat": 1.0,
    "HNSW32": 0.95,
    "HNSW32,SQ8": 0.9,
    "IVF16,Flat": 0.9,
    "IVF16,PQ16x4fs": 0.4,
    "IVF16,PQ16x4fs,RFlat": 0.9,
    "PQ16x4fs,Refine(SQ8)": 0.9,
    "PQ16x4": 0.4,
    "SQ8": 0.95,
    "PCAR24,HNSW16,RFlat": 0.9,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each factory."""
    root = tmp_path_factory.mktemp("dense")
    for factory in LEAST_RECALL:
        (root / factory).mkdir()
        build_dense(VECTORS, factory, root / factory)
    return root


@pytest.mark.parametrize("factory", LEAST_RECALL)
@pytest.mark.parametrize("live", [None, LIVE], ids=["all", "live"])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_rows_and_scores_against_brute_force(
    built: Path, factory: str, live: np.ndarray | None, k: int
) -> None:
    hits = open_dense(built / factory, factory).search(as_queries(QUERIES), k, live)
    oracle = ExactIndex(VECTORS).search(as_queries(QUERIES), k, live)
    assert (hits.rows != NO_ROW).all()
    found = 0
    for query, rows, scores, best in zip(
        QUERIES, hits.rows, hits.scores, oracle.scores, strict=True
    ):
        assert len(set(rows)) == k
        assert live is None or live[rows].all()
        exact = (VECTORS[rows].astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
        np.testing.assert_array_equal(scores, exact)
        order = sorted(range(k), key=lambda at: (-scores[at], rows[at]))
        assert order == list(range(k))
        found += int((scores >= best[-1]).sum())  # of equal vectors any will do
    assert found / oracle.rows.size >= LEAST_RECALL[factory]


@pytest.mark.parametrize("live", [None, LIVE], ids=["all", "live"])
@pytest.mark.parametrize("k", [1, 2, 10, 2500])
def test_flat_breaks_ties_exactly_also_at_the_cut(
    built: Path, live: np.ndarray | None, k: int
) -> None:
    hits = open_dense(built / "Flat", "Flat").search(as_queries(QUERIES), k, live)
    for query, rows in zip(QUERIES, hits.rows, strict=True):
        expected = brute_force(VECTORS, query, k, live)
        assert rows.tolist() == expected + [NO_ROW] * (k - len(expected))


@pytest.mark.parametrize("factory", ["Flat", "HNSW32", "IVF16,PQ16x4fs"])
def test_a_query_alone_equals_one_among_others(built: Path, factory: str) -> None:
    channel = open_dense(built / factory, factory)
    together = channel.search(as_queries(QUERIES), 20)
    for at in range(len(QUERIES)):
        alone = channel.search(as_queries(QUERIES[at : at + 1]), 20)
        np.testing.assert_array_equal(alone.rows[0], together.rows[at])
        np.testing.assert_array_equal(alone.scores[0], together.scores[at])


@pytest.mark.parametrize("factory", LEAST_RECALL)
@pytest.mark.parametrize("kept", [0, 1, 5])
def test_few_live_rows_are_all_found_and_padded(built: Path, factory: str, kept: int) -> None:
    live = np.zeros(len(VECTORS), np.bool_)
    live[[1999, 3, 700, 31, 1000][:kept]] = True
    hits = open_dense(built / factory, factory).search(as_queries(QUERIES), 8, live)
    for rows in hits.rows:
        assert set(rows[:kept]) == set(np.flatnonzero(live))
        assert (rows[kept:] == NO_ROW).all()


def test_files_are_named_and_flat_needs_no_faiss(tmp_path: Path) -> None:
    build_dense(VECTORS, "HNSW8", tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["index.faiss", "vectors.npy"]
    (tmp_path / "flat").mkdir()
    build_dense(VECTORS, "Flat", tmp_path / "flat")
    assert [file.name for file in (tmp_path / "flat").iterdir()] == ["vectors.npy"]
    code = (
        "import sys; sys.modules['faiss'] = None; from pathlib import Path; import numpy as np;"
        "from index.channels.dense import open_dense; from embedder.types import Representation;"
        f"channel = open_dense(Path({str(tmp_path / 'flat')!r}), 'Flat');"
        "hits = channel.search(Representation(channel.read(slice(1)), None, np.arange(1)), 1);"
        "assert hits.rows.tolist() == [[0]] and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_without_faiss_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ValueError, match=r'pip install "lastword\[cpu\]"'):
        build_dense(VECTORS, "HNSW8", tmp_path)


def test_an_index_outlives_the_names_of_its_files(built: Path, tmp_path: Path) -> None:
    """A merge removes the files of a generation that somebody may still be reading."""
    shutil.copytree(built / "HNSW32", tmp_path / "copy")
    channel = open_dense(tmp_path / "copy", "HNSW32")
    shutil.rmtree(tmp_path / "copy")
    assert channel.search(as_queries(QUERIES), 4).rows[0].tolist() == [7, 30, 31, 1500]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="tells what is mapped")
@pytest.mark.parametrize("mapped", [True, False])
def test_a_faiss_file_is_mapped_where_that_can_be(
    built: Path, mapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was copied into the memory of every process that searched it."""
    if not mapped:
        monkeypatch.delattr("faiss.IO_FLAG_MMAP_IFC")
    path = built / "HNSW32" / "index.faiss"
    channel = open_dense(built / "HNSW32", "HNSW32")
    assert str(path) not in Path("/proc/self/maps").read_text()
    assert channel.search(as_queries(QUERIES), 4).rows[0].tolist() == [7, 30, 31, 1500]
    assert (str(path) in Path("/proc/self/maps").read_text()) == mapped
    del channel
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_no_rows_answer_with_pads(tmp_path: Path) -> None:
    build_dense(np.zeros((0, 1), np.float32), "IVF16,Flat", tmp_path)
    channel = open_dense(tmp_path, "IVF16,Flat")
    assert (channel.search(as_queries(QUERIES), 3).rows == NO_ROW).all()


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("nonsense", "'nonsense' makes no index of 32-d vectors: could not parse"),
        ("PQ7", "makes no index of 32-d vectors"),
        ("IVF256,Flat", "needs at least 256 rows to train on; got 100"),
        ("PQ8", "needs at least 256 rows to train on; got 100"),
    ],
)
def test_a_factory_that_cannot_be_is_refused(factory: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        build_dense(VECTORS[:100], factory, tmp_path)


@pytest.mark.parametrize("factory", ["IVF8,Flat", "OPQ2,PQ2x4", "PQ2x4fs"])
def test_few_rows_train_without_a_word(
    factory: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """FAISS used to fill stderr with a warning for every clustering of every iteration."""
    build_dense(np.ascontiguousarray(unit_rows(300, 4)), factory, tmp_path)
    assert capfd.readouterr() == ("", "")


def test_damaged_files_are_refused(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(built / "SQ8", folder)
    whole = (folder / "index.faiss").read_bytes()
    (folder / "index.faiss").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"index\.faiss is damaged"):
        open_dense(folder, "SQ8").search(as_queries(QUERIES), 1)
    build_dense(VECTORS[:50], "SQ8", tmp_path)
    shutil.copy(tmp_path / "index.faiss", folder)
    with pytest.raises(ValueError, match=r"holds 50 32-d vectors; expected 2000 32-d"):
        open_dense(folder, "SQ8").search(as_queries(QUERIES), 1)
    for broken in (b"", (folder / "vectors.npy").read_bytes()[:1000]):
        (folder / "vectors.npy").write_bytes(broken)
        with pytest.raises(ValueError, match=r"vectors\.npy is damaged"):
            open_dense(folder, "SQ8")
    np.save(folder / "vectors.npy", np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"expected float32 of shape \(n, n\)"):
        open_dense(folder, "SQ8")
    (folder / "vectors.npy").unlink()
    with pytest.raises(FileNotFoundError):
        open_dense(folder, "SQ8")


def test_wrong_queries_are_refused() -> None:
    channel = DenseChannel(VECTORS)
    with pytest.raises(ValueError, match="index holds 32-d vectors; query has 8-d"):
        channel.search(as_queries(unit_rows(1, 8)), 1)
    with pytest.raises(ValueError, match="k must be at least 1"):
        channel.search(as_queries(QUERIES), 0)
    with pytest.raises(ValueError, match="live must be"):
        channel.search(as_queries(QUERIES), 1, LIVE[:5])
    broken = QUERIES.copy()
    queries = as_queries(broken)
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        channel.search(queries, 1)


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        build_dense(VECTORS, "IVF16,PQ16x4fs", tmp_path / name)
    for name in ("index.faiss", "vectors.npy"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
