"""Fusion: arithmetic by hand, laws, and PromptReps' own hybrid runs."""

import copy
import json
import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.fusion import (
    FUSIONS,
    Weighted,
    distribution_based,
    fusion_by_name,
    min_max,
    promptreps,
    reciprocal_rank,
    z_score,
)
from retrieval.run import Run, drop_self, read_trec
from tests.folders import GOLDENS

IDS = st.sampled_from("abcdef")
RUN = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3"]),
    st.dictionaries(IDS, st.integers(-1000, 1000).map(float), max_size=6),
)
RUNS = st.lists(RUN, min_size=1, max_size=4)
EVERY = pytest.mark.parametrize("fuse", FUSIONS.values(), ids=FUSIONS.keys())


def close(one: Run, other: Run) -> bool:
    return one.keys() == other.keys() and all(
        one[query] == pytest.approx(other[query], rel=1e-9, abs=1e-12) for query in one
    )


def test_reciprocal_rank_by_hand() -> None:
    dense = {"q1": {"a": 3.0, "b": 2.0}}
    sparse = {"q1": {"b": 9.0}, "q2": {"c": 1.0}}
    assert reciprocal_rank([dense, sparse]) == {
        "q1": {"a": 1 / 61, "b": 1 / 62 + 1 / 61},
        "q2": {"c": 1 / 61},
    }
    weighted = reciprocal_rank([dense, sparse], k=0, weights=[1, 3])
    assert weighted == {"q1": {"a": 1.0, "b": 3.5}, "q2": {"c": 3.0}}


def test_reciprocal_rank_ranks_ties_by_id() -> None:
    assert reciprocal_rank([{"q": {"b": 1.0, "a": 1.0}}]) == {"q": {"a": 1 / 61, "b": 1 / 62}}


def test_promptreps_by_hand() -> None:
    dense = {"q": {"a": 1.0, "b": 3.0, "c": 5.0}}
    sparse = {"q": {"b": 10.0, "d": 20.0}}
    assert promptreps([dense, sparse]) == {"q": {"a": 0.0, "b": 0.25, "c": 0.5, "d": 0.5}}
    assert promptreps([dense, sparse], weights=[2, 1]) == {
        "q": {"a": 0.0, "b": 1.0, "c": 2.0, "d": 1.0}
    }


def test_min_max_by_hand() -> None:
    """Dense: gaps of 2, floor -1. Words: 10 and 20 have a gap of 10; 10 / 301 is above it, 0."""
    dense = {"q": {"a": 1.0, "b": 3.0, "c": 5.0}}
    words = {"q": {"b": 10.0, "d": 20.0}}
    assert close(min_max([dense]), {"q": {"a": 1 / 3, "b": 2 / 3, "c": 1.0}})
    assert close(min_max([words]), {"q": {"b": 1 / 2, "d": 1.0}})
    near = {"q": {"b": 19.0, "d": 20.0}}  # a gap of 1 would make the floor 18
    floor = 19 / 301
    assert close(min_max([near]), {"q": {"b": 1 / 2, "d": 1.0}})
    expected = {"q": {"b": (19 - floor) / (20 - floor), "d": 1.0}}
    assert close(min_max([near], lexical=[True]), expected)
    assert close(
        min_max([dense, near], weights=[2, 1], lexical=[False, True]),
        {"q": {"a": 2 / 3, "b": 4 / 3 + expected["q"]["b"], "c": 2.0, "d": 1.0}},
    )


def test_the_floor_of_words_goes_from_0_to_the_lowest_as_a_list_grows() -> None:
    """Few were found: what was not has no word in common. A full list was cut."""

    def lowest(found: int) -> float:
        scores = {f"d{at}": 6.0 + 4.0 * at / (found - 1) for at in range(found)}
        return min_max([{"q": scores}], lexical=[True])["q"]["d0"]

    shares = [lowest(found) for found in (2, 10, 100, 301, 1000, 100_000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(0.6, abs=0.01) and shares[-1] < 0.02
    assert shares[3] == pytest.approx(3 / 7)  # the floor is half of the lowest


def test_z_score_by_hand() -> None:
    run = {"q": {"a": 1.0, "b": 3.0}}
    assert z_score([run]) == {"q": {"a": 2.0, "b": 4.0}}


def test_distribution_based_by_hand() -> None:
    run = {"q": {"a": 1.0, "b": 3.0}}
    assert close(distribution_based([run]), {"q": {"a": 1 / 2 - 1 / 6, "b": 1 / 2 + 1 / 6}})


@pytest.mark.parametrize(
    ("fuse", "expected"),
    [(min_max, 1.0), (promptreps, 0.0), (z_score, math.sqrt(12)), (distribution_based, 0.5)],
)
def test_equal_scores_are_numbers(fuse: Weighted, expected: float) -> None:
    """The mean of three 0.1 is not 0.1 in floating point: their deviation must still be 0."""
    run = {"q": {"a": 0.1, "b": 0.1, "c": 0.1}, "one": {"a": -7.0}}
    assert fuse([run]) == {"q": dict.fromkeys("abc", expected), "one": {"a": expected}}


@EVERY
def test_a_query_is_neither_invented_nor_borrowed_nor_lost(fuse: Weighted) -> None:
    dense = {"q1": {"a": 3.0, "b": 2.0}, "q3": {}}
    sparse = {"q2": {"c": 5.0, "d": 4.0}}
    fused = fuse([dense, sparse], weights=[1, 1])
    alone = fuse([dense], weights=[1]) | fuse([sparse], weights=[1])
    assert fused == alone
    assert fused["q3"] == {}


@EVERY
@given(runs=RUNS)
def test_laws_of_every_fusion(fuse: Weighted, runs: list[Run]) -> None:
    before = copy.deepcopy(runs)
    fused = fuse(runs)
    assert runs == before
    assert fused.keys() == {query for run in runs for query in run}
    for query, scores in fused.items():
        assert scores.keys() == {doc for run in runs for doc in run.get(query, {})}
        assert all(map(math.isfinite, scores.values()))
    assert close(fuse(runs[::-1]), fused)


@EVERY
@given(run=RUN, other=RUN)
def test_weight_zero_removes_a_channel(fuse: Weighted, run: Run, other: Run) -> None:
    fused = fuse([run, other], weights=[1, 0])
    alone = fuse([run], weights=[1])
    assert {query: fused[query] for query in run} == alone
    assert all(fused[query] == {} for query in other.keys() - run.keys())


@pytest.mark.parametrize("fuse", [min_max, promptreps, z_score, distribution_based])
@given(run=RUN, other=RUN, scale=st.integers(1, 50), shift=st.integers(-50, 50))
def test_scores_may_be_scaled_and_shifted(
    fuse: Weighted, run: Run, other: Run, scale: int, shift: int
) -> None:
    moved = {
        query: {doc: scale * score + shift for doc, score in scores.items()}
        for query, scores in run.items()
    }
    assert close(fuse([moved, other]), fuse([run, other]))


@given(run=RUN)
def test_reciprocal_rank_keeps_the_order_of_one_run(run: Run) -> None:
    for query, scores in reciprocal_rank([run]).items():
        assert sorted(scores, key=lambda doc: -scores[doc]) == sorted(
            run[query], key=lambda doc: (-run[query][doc], doc)
        )


@EVERY
def test_what_cannot_be_fused_is_refused(fuse: Weighted) -> None:
    run = {"q": {"a": 1.0}}
    with pytest.raises(ValueError, match="at least one run"):
        fuse([])
    for weights in ([1.0], [1.0, -1.0], [1.0, math.nan], [1.0, math.inf]):
        with pytest.raises(ValueError, match="2 finite weights"):
            fuse([run, run], weights=weights)
    for score in (math.nan, -math.inf):
        with pytest.raises(ValueError, match="'q' hold NaN or infinity"):
            fuse([{"q": {"a": 1.0, "b": score}}])
    with pytest.raises(ValueError, match=r"or one beyond 1e\+100"):  # its square is infinite
        fuse([{"q": {"a": 1e200, "b": -1e200}}])


def test_fusions_are_found_by_name() -> None:
    runs = [{"q": {"a": 1.0, "b": 2.0}}, {"q": {"b": 3.0, "c": 1.0}}]
    channels = ["dense", "sparse"]
    expected: list[tuple[str, Callable[[Sequence[Run]], Run]]] = [
        ("rrf", reciprocal_rank),
        ("rrf:k=20", lambda runs: reciprocal_rank(runs, k=20)),
        ("rrf:sparse=2, dense=1,k=3", lambda runs: reciprocal_rank(runs, 3, [1, 2])),
        ("minmax", lambda runs: min_max(runs, lexical=[False, True])),
        ("minmax:sparse=0.3,dense=0.7", lambda runs: min_max(runs, [0.7, 0.3], [False, True])),
        ("promptreps", promptreps),
        ("zscore", z_score),
        ("dbsf:dense=0,sparse=1", lambda runs: distribution_based(runs, [0, 1])),
    ]
    for text, fuse in expected:
        assert fusion_by_name(text, channels)(runs) == fuse(runs)
    assert fusion_by_name("minmax", channels, lexical=())(runs) == min_max(runs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mean", "no fusion is called 'mean'; there is rrf, minmax, promptreps, zscore, dbsf"),
        ("minmax:dense=1", "every channel or to none; the channels are dense, sparse"),
        ("minmax:dense=1,sparse=1,bm25=1", "every channel or to none"),
        ("minmax:k=3", "every channel or to none"),
        ("minmax:dense", "expected settings like .* got 'dense'"),
        ("minmax:dense=x,sparse=1", "got 'dense=x'"),
        ("minmax:dense=-1,sparse=1", "weights of at least 0"),
    ],
)
def test_a_fusion_that_cannot_be_read_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fusion_by_name(text, ["dense", "sparse"])


def test_hybrid_runs_are_those_of_promptreps() -> None:
    """Where a query's own id is removed, min and max were taken before.

    Except where a query has several representations: their lists are added up first, and the
    reference removes the own id while it adds.
    """
    compared = 0
    for case in (path for golden in GOLDENS for path in golden.glob("cases/promptreps_search/*")):
        settings = json.loads((case / "input.json").read_text(encoding="utf-8"))["runs"]
        whole = {entry["depth"]: entry for entry in settings if not entry["remove_query"]}
        for entry in settings:
            alpha = float(entry["alpha"])
            held = entry if case.name.endswith("-multi") else whole[entry["depth"]]
            files = [case / held[channel] for channel in ("dense", "sparse")]
            fused = promptreps([read_trec(file) for file in files], [alpha, 1 - alpha])
            if entry["remove_query"]:
                fused = drop_self(fused)
            expected = read_trec(case / entry["hybrid"])
            for query, scores in expected.items():
                assert fused[query] == pytest.approx(scores, abs=1e-5), (case.name, query)
                compared += len(scores)
            assert not any(fused[query] for query in fused.keys() - expected.keys())
    assert compared > 400
