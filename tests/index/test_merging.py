"""A merge that streams gives the bytes of one that holds everything in memory."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from embedder.encoders.bm25 import BM25Encoder
from index.channels.inversion import invert
from index.channels.postings import Postings
from index.channels.postings_files import arrays_of
from index.merge.postings import KeptRows, merge_postings
from index.writer import IndexWriter
from retrieval.build import build_index
from retrieval.options import BuildOptions
from tests.synthetic import documents

COLUMNS = 1 << 61
WORDS = np.array([0, 3, 4, 900, COLUMNS - 1])
MATRIX = arrays(np.float32, st.tuples(st.integers(0, 6), st.just(5)), elements=st.integers(0, 3))


def matrix(counts: NDArray[np.float32]) -> csr_matrix:
    """A matrix of few columns out of very many."""
    small = csr_matrix(counts)
    shape = (len(counts), COLUMNS)
    return csr_matrix((small.data, WORDS[small.indices], small.indptr), shape=shape)


def same(one: Postings, other: Postings) -> None:
    for (name, mine), wanted in zip(arrays_of(one).items(), arrays_of(other).values(), strict=True):
        assert mine.dtype == wanted.dtype, name
        assert mine.tobytes() == wanted.tobytes(), name
    one.check()


@settings(max_examples=60, deadline=None)
@given(st.lists(MATRIX, min_size=1, max_size=4), st.data())
def test_merged_postings_are_those_of_the_joined_matrix(
    tmp_path_factory: pytest.TempPathFactory,
    counts: list[NDArray[np.float32]],
    data: st.DataObject,
) -> None:
    kept = [
        np.array(data.draw(st.lists(st.booleans(), min_size=len(one), max_size=len(one))), bool)
        for one in counts
    ]
    wanted = vstack([matrix(one[keep]) for one, keep in zip(counts, kept, strict=True)], "csr")
    parts = [KeptRows(invert(matrix(one)), keep) for one, keep in zip(counts, kept, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("index.merge.postings._ENTRIES", data.draw(st.sampled_from([1, 3, 1 << 20])))
        merged = merge_postings(parts, tmp_path_factory.mktemp("merge"))
    same(merged, invert(wanted))


def test_a_merge_leaves_nothing_but_the_files_of_a_segment(tmp_path: Path) -> None:
    """And those are what a new index of the same documents has, to the byte."""
    docs = list(documents(100))
    encoders = {"bm25": BM25Encoder()}
    build_index(docs, encoders, tmp_path / "small", BuildOptions(segment_documents=15))
    with IndexWriter(tmp_path / "small") as writer:
        writer.delete([docs[at].id for at in (3, 50, 99)])
        writer.merge()
        writer.commit()
        writer.compact()
    rest = [doc for at, doc in enumerate(docs) if at not in (3, 50, 99)]
    build_index(rest, encoders, tmp_path / "whole")
    (merged,) = (tmp_path / "small" / "segments").iterdir()
    (whole,) = (tmp_path / "whole" / "segments").iterdir()
    names = sorted(str(path.relative_to(whole)) for path in whole.rglob("*"))
    assert names == sorted(str(path.relative_to(merged)) for path in merged.rglob("*"))
    for name in names:
        if (whole / name).is_file():
            assert (merged / name).read_bytes() == (whole / name).read_bytes(), name
