"""Indexes whose dense rows are float16 or int8, through all that an index goes through."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedder.types import Encoder, Representation, Role, unit_rows
from index.channels import dense
from index.channels.weighting import Weighting
from index.documents import Passages
from index.folder import Index
from index.manifest import ChannelSpec
from index.manifest_file import MANIFEST
from index.storage.layout import DenseDtype
from index.writer import IndexWriter
from retrieval.build import add_documents, build_index
from retrieval.exchange.formats import export_index, import_index
from retrieval.exchange.options import ImportOptions
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.retriever import Retriever
from tests.synthetic import SignEncoder, documents, queries

NARROW: list[DenseDtype] = ["float16", "int8"]
TURN = np.linalg.qr(np.random.default_rng(0).standard_normal((64, 64)))[0].astype(np.float32)


class TurnedSigns(SignEncoder):
    """Rows that neither float16 nor int8 holds exactly."""

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        rows = super().encode(texts, role)
        assert rows.dense is not None
        return Representation(unit_rows(rows.dense @ TURN), None, rows.owner)


class Interrupted(TurnedSigns):
    """Fails at the second window of documents."""

    calls = 0

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        self.calls += role is Role.DOCUMENT
        if self.calls > 1:
            raise KeyboardInterrupt
        return super().encode(texts, role)


DENSE: dict[str, Encoder] = {"dense": TurnedSigns()}


@pytest.fixture(autouse=True)
def as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search segments as large ones are searched."""
    monkeypatch.setattr(dense, "_SMALL", 0)
    monkeypatch.setattr(dense, "_cheaper_exactly", lambda *sizes: False)


def options(dtype: DenseDtype, factory: str = "Flat") -> BuildOptions:
    """Return options of segments of 100 documents."""
    channels = {"dense": ChannelOptions("dense", factory=factory, dtype=dtype)}
    return BuildOptions(channels, segment_documents=100, passages=Passages(3, 1))


def grown(path: Path, dtype: DenseDtype) -> Path:
    """Make an index, add to it, replace in it, and delete from it."""
    kept = options(dtype)
    build_index(documents(230), DENSE, path, kept)
    add_documents(documents(40, start=1000), DENSE, path, replace(kept, on_empty="keep"))
    add_documents(documents(9, start=50), DENSE, path, replace(kept, on_known="replace"))
    with IndexWriter(path) as writer:
        writer.delete([f"d{at}" for at in range(0, 200, 7)])
        writer.commit()
    return path


def searched(path: Path) -> dict[str, dict[str, float]]:
    """Search an index, filtered and not, and explain one hit."""
    with Index.open(path) as index, Retriever(index, DENSE) as retriever:
        found = {**retriever.search(queries(), 30)}
        name, hits = next(iter(found.items()))
        best = next(iter(hits))
        explained = retriever.explain(queries()[name], best)
        found["explained"] = {best: explained.channels[0].score or 0.0}
        assert index.check() == []
    return found


def vectors(path: Path) -> np.ndarray:
    """Return all live rows in order."""
    with Index.open(path) as index:
        return np.concatenate([index.vectors("dense", name) for name in index.ids()])


@pytest.mark.parametrize("dtype", NARROW)
def test_an_index_is_searched_explained_and_merged(tmp_path: Path, dtype: DenseDtype) -> None:
    exact, narrow = grown(tmp_path / "exact", "float32"), grown(tmp_path / "narrow", dtype)
    expected, before = searched(exact), searched(narrow)
    rows = vectors(exact)
    if dtype == "int8":
        assert before == expected
        np.testing.assert_array_equal(vectors(narrow), rows)
    else:
        np.testing.assert_array_equal(vectors(narrow), rows.astype(np.float16).astype(np.float32))
        for name, hits in expected.items():
            ours = sorted(before[name].values())
            np.testing.assert_allclose(ours, sorted(hits.values()), atol=1e-3)
    with IndexWriter(narrow) as writer:
        writer.merge()
        writer.commit()
        writer.compact()
    assert searched(narrow) == before
    with Index.open(narrow) as index:
        assert index.segments == 1 and index.channels["dense"].dtype == dtype


@pytest.mark.parametrize("dtype", NARROW)
def test_exported_rows_make_the_same_index_again(tmp_path: Path, dtype: DenseDtype) -> None:
    path = grown(tmp_path / "i", dtype)
    export_index(path, "npz", tmp_path / "arrays")
    report = import_index(
        "npz", tmp_path / "arrays", tmp_path / "again", ImportOptions(dtype=dtype)
    )
    assert report.rows["dense"] == len(vectors(path))
    np.testing.assert_array_equal(vectors(tmp_path / "again"), vectors(path))
    with Index.open(tmp_path / "again") as index:
        assert index.channels["dense"].dtype == dtype


def test_manifests_of_float32_are_as_they_were(tmp_path: Path) -> None:
    for dtype in (*NARROW, "float32"):
        build_index(documents(9), DENSE, tmp_path / dtype, options(dtype))
        manifest = json.loads((tmp_path / dtype / MANIFEST).read_text())
        [channel] = (manifest["content"] if "content" in manifest else manifest)["channels"]
        assert channel.get("dtype", "float32") == dtype
        assert ("dtype" in channel) == (dtype != "float32")


def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^channel 'dense': int8 is for exact search, factory"):
        build_index(documents(9), DENSE, tmp_path / "i", options("int8", "HNSW32"))
    with pytest.raises(ValueError, match=r"got 'float16' of inverted rows$"):
        ChannelSpec("words", "inverted", "{}", weighting=Weighting("bm25"), dtype="float16")
    with pytest.raises(ValueError, match=r"got 'int4' of dense rows$"):
        ChannelSpec("d", "dense", "{}", factory="Flat", dtype="int4")  # type: ignore[arg-type]


def test_a_build_goes_on_with_the_dtype_that_it_began_with(tmp_path: Path) -> None:
    kept = replace(options("float16"), window=100, passages=None)
    with pytest.raises(KeyboardInterrupt):
        build_index(documents(230), {"dense": Interrupted()}, tmp_path / "i", kept)
    with pytest.raises(ValueError, match="keeps channel 'dense' as float16; now it is float32"):
        plain = replace(options("float32"), window=100, passages=None)
        build_index(documents(230), DENSE, tmp_path / "i", plain)
    build_index(documents(230), DENSE, tmp_path / "i", kept)
    build_index(documents(230), DENSE, tmp_path / "whole", kept)
    np.testing.assert_array_equal(vectors(tmp_path / "i"), vectors(tmp_path / "whole"))
