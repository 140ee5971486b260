"""Sweeps against evaluate: whatever a setting is worth there, a sweep says so."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.data.qrels import Qrels
from eval.fusion.sweep import METHODS, Setting, grid, sweep
from eval.measures.measures import evaluate
from retrieval.fusion import fusion_by_name
from retrieval.run import Run

NAMES = ("a", "bm25", "sparse")
MEASURES = ("nDCG@10", "nDCG@3", "nDCG", "AP", "AP@4", "RR", "RR@2", "R@5", "P@5")


def test_a_sweep_by_hand() -> None:
    """The first of two has 1, the other .5: at weight .5, tied, d2 sorts last and leads."""
    a, b = {"q": {"d1": 9.0, "d2": 1.0}}, {"q": {"d2": 5.0, "d1": 4.0}}
    tried = [Setting("minmax", (weight, 1 - weight)) for weight in (0.25, 0.5, 0.75)]
    got = sweep({"a": a, "b": b}, {"q": {"d1": 2}, "none": {"d1": 1}}, "nDCG@10", tried)
    second = 1 / math.log2(3)
    assert got.tolist() == [[second, 0.0], [second, 0.0], [1.0, 0.0]]


def test_a_run_of_weight_0_finds_nothing() -> None:
    a, b = {"q": {"d1": 1.0}}, {"q": {"d2": 1.0}}
    tried = [Setting("dbsf", (1.0, 0.0)), Setting("dbsf", (0.0, 1.0)), Setting("dbsf", (0.5, 0.5))]
    got = sweep({"a": a, "b": b}, {"q": {"d1": 1}}, "AP", tried)
    assert got[:, 0].tolist() == [1.0, 0.0, 0.5]


def random_runs(seed: int) -> tuple[list[Run], Qrels]:
    """Three runs of eight queries: ties, gaps, missing queries, negative gains, extra queries."""
    generator = np.random.default_rng(seed)
    docs = [f"d{number}" for number in range(30)]
    runs: list[Run] = [{"extra": {"d0": 1.0}}, {}, {}]
    qrels: Qrels = {}
    for query in (f"q{number}" for number in range(8)):
        judged = generator.choice(docs, int(generator.integers(1, 12)), replace=False).tolist()
        gains = generator.integers(-1, 4, len(judged)).tolist()
        qrels[query] = dict(zip(judged, gains, strict=True))
        for run in runs:
            if generator.random() < 0.8:
                found = generator.choice(docs, int(generator.integers(0, 25)), replace=False)
                scores = generator.integers(0, int(generator.choice([2, 50])), len(found)) / 7
                run[query] = dict(zip(found.tolist(), scores.tolist(), strict=True))
    return runs, qrels


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), measure=st.sampled_from(MEASURES))
def test_a_sweep_says_what_evaluate_says(seed: int, measure: str) -> None:
    runs, qrels = random_runs(seed)
    weights = tuple(np.random.default_rng(seed).integers(0, 4, 3).tolist())
    tried = [Setting("zscore", (0.1, 0.2, 0.7)), Setting("minmax", (1.0, 1.0, 1.0))]
    tried += [
        Setting(method, (*weights[:2], weights[2] + 1)) for method in (*METHODS, "promptreps")
    ]
    got = sweep(dict(zip(NAMES, runs, strict=True)), qrels, measure, tried)
    for one, values in zip(tried, got, strict=True):
        fused = fusion_by_name(one.text(NAMES), NAMES)(runs)
        want = evaluate(fused, qrels, [measure])[measure]
        assert list(want.values()) == pytest.approx(values.tolist(), abs=1e-9, rel=0)


def test_a_grid_holds_every_weighting_once_and_equal_weights() -> None:
    tried = grid(3, ("minmax", "rrf:k=20"), 0.5)
    weights = [one.weights for one in tried if one.method == "minmax"]
    assert weights[0] == (1.0, 1.0, 1.0) and tried[0].is_equal
    assert sorted(weights[1:]) == [
        *((0.0, 0.0, 1.0), (0.0, 0.5, 0.5), (0.0, 1.0, 0.0)),
        *((0.5, 0.0, 0.5), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0)),
    ]
    assert [one.weights for one in tried if one.method == "rrf:k=20"] == weights
    assert len(grid(2, ("minmax",))) == 11 and len(grid(3, ("minmax",))) == 67
    assert len(grid(4, ("minmax",))) == 287
    assert all(sum(one.shares) == pytest.approx(1) for one in grid(5, ("minmax",)))


def test_a_setting_is_written_as_fusions_are_read() -> None:
    assert Setting("rrf:k=10", (0.3, 0.7)).text("ab") == "rrf:k=10,a=0.3,b=0.7"
    assert Setting("minmax", (1.0, 1.0)).text("ab") == "minmax:a=1,b=1"


def test_what_cannot_be_swept_is_refused() -> None:
    for step in (0.3, 0.0, -0.1, 2.0):
        with pytest.raises(ValueError, match="a step divides 1 evenly"):
            grid(3, METHODS, step)
    with pytest.raises(ValueError, match="take a larger step or fewer methods"):
        grid(5, METHODS, 0.05)
    with pytest.raises(ValueError, match="at least 2 runs"):
        grid(1, METHODS)
    for measure in ("R", "P", "ndcg", "nDCG@0", "Bpref"):
        with pytest.raises(ValueError, match="a sweep is judged by nDCG@10"):
            sweep({"a": {}}, {"q": {"d": 1}}, measure, [Setting("minmax", (1.0,))])
