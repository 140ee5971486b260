"""Other programs that `benchmarks.search` asks find what an exact search finds, or say how much."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from benchmarks.search import synthetic
from benchmarks.search_rivals import (
    LuceneSearch,
    SearchRival,
    SeismicSearch,
    measure_rival,
    recall,
    weighted_rows,
)
from embedder.types import Representation
from index.base import NO_ROW
from index.channels.inversion import build_inverted
from index.channels.inverted import InvertedChannel
from index.channels.postings_files import open_inverted
from index.channels.weighting import Weighting, statistics


@pytest.mark.parametrize("program", ["Lucene", "Seismic"])
def test_a_program_on_the_same_rows_is_held_against_the_exact_best(
    program: str, tmp_path: Path
) -> None:
    if find_spec("jnius" if program == "Lucene" else "seismic") is None:
        pytest.skip(f"{program} is not installed")
    counts, queries = synthetic(60, 8, np.random.default_rng(3))
    (tmp_path / "ours").mkdir()
    build_inverted(counts, tmp_path / "ours")
    postings, weighting = open_inverted(tmp_path / "ours"), Weighting("bm25")
    channel = InvertedChannel(postings, weighting, statistics([postings], [None]))
    rows = weighted_rows(channel, postings, counts.shape[1])
    exact = channel.search(Representation(None, queries, np.arange(8)), 5)
    scores = (rows @ queries.T).toarray().T
    best = np.where(exact.rows == NO_ROW, 0, exact.scores)
    np.testing.assert_allclose(best, -np.sort(-scores)[:, :5], rtol=1e-5)
    rival: SearchRival
    if program == "Lucene":
        rival = LuceneSearch(counts, queries, weighting, tmp_path / "lucene")
    else:
        rival = SeismicSearch(rows, queries).with_heap_factor(1.0)
    figures = measure_rival(rival, rows, queries, exact)
    assert figures.queries_per_second > 0 and 0.9 <= figures.recall <= 1
    worst = [np.argsort(each)[:5].tolist() for each in scores]
    assert recall(worst, rows, csr_matrix(queries), exact) == 0
