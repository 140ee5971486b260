"""Measures against trec_eval itself, asked directly through pytrec_eval, on 200 random runs.

Documents of equal score: trec_eval ranks the id that sorts last first, in every measure. So does
`evaluate`, whatever order a run lists them in. Equal means equal as float32: trec_eval keeps no
more of a score.
"""

import math
from typing import Any

import numpy as np
import pytest

from eval.data.qrels import Qrels
from eval.measures.measures import evaluate
from retrieval.run import Run

RUNS = 200
CLOSE = 1e-9
NAMES = {
    "nDCG@10": "ndcg_cut_10",
    "nDCG": "ndcg",
    "R@100": "recall_100",
    "R@1000": "recall_1000",
    "AP": "map",
    "RR": "recip_rank",
    "P@10": "P_10",
}


def random_case(seed: int) -> tuple[Run, Qrels]:
    """Twelve judged queries with everything that happens to runs.

    Scores come from few values in some queries, so that nearly all documents are tied, and from
    many in others; gains go from -2 to 3, and most of what is returned was never judged.
    """
    generator = np.random.default_rng(seed)
    documents = [f"d{number}" for number in range(int(generator.integers(20, 1500)))]
    run: Run = {}
    qrels: Qrels = {}
    for query in range(12):
        judged = generator.choice(documents, size=int(generator.integers(1, 20)), replace=False)
        highest = 0 if query % 6 == 5 else 3  # a query without a relevant document
        gains = [0, *generator.integers(-2, highest + 1, size=len(judged) - 1).tolist()]
        qrels[f"q{query}"] = dict(zip(judged.tolist(), gains, strict=True))
        if query % 6 == 4:  # missing from the run
            continue
        size = 1 if query % 6 == 3 else int(generator.integers(1, len(documents)))
        returned = generator.choice(documents, size=size, replace=False).tolist()
        values = int(generator.choice([1, 3, 10_000]))
        scores = (generator.integers(0, values, size=size) / 7 - 100).tolist()
        run[f"q{query}"] = dict(zip(returned, scores, strict=True))
    run["extra"] = {"d0": 1.0, "never seen": 0.5}
    return run, qrels


def differences(seed: int) -> list[float]:
    """Differ from trec_eval in every query and measure; what it leaves out counts 0."""
    pytrec_eval: Any = pytest.importorskip("pytrec_eval")
    run, qrels = random_case(seed)
    ours = evaluate(run, qrels, [*NAMES, "RR@10"])
    theirs = pytrec_eval.RelevanceEvaluator(qrels, set(NAMES.values())).evaluate(run)
    assert "extra" not in theirs and not theirs.keys() & {"q4", "q10"}
    found = []
    for query in qrels:
        by_name = theirs.get(query, dict.fromkeys(NAMES.values(), 0.0))
        found += [abs(ours[name][query] - by_name[their]) for name, their in NAMES.items()]
        first = first_relevant(run.get(query, {}), qrels[query])
        found.append(abs(ours["RR@10"][query] - (1 / first if first <= 10 else 0.0)))
    return found


def first_relevant(scores: dict[str, float], gains: dict[str, int]) -> float:
    """Return the rank of the first relevant document, ties as trec_eval breaks them."""
    order = sorted(scores, key=lambda doc: (scores[doc], doc), reverse=True)
    ranks = (rank for rank, doc in enumerate(order, start=1) if gains.get(doc, 0) > 0)
    return next(ranks, math.inf)


def test_values_are_those_of_trec_eval_on_200_random_runs() -> None:
    found = [difference for seed in range(RUNS) for difference in differences(seed)]
    assert len(found) == RUNS * 12 * (len(NAMES) + 1)
    assert max(found) < CLOSE


def test_ndcg_at_10_with_graded_gains_by_hand() -> None:
    """A gain counts as it is, not as 2^gain - 1; below 0 it counts 0, and so does none."""
    gains = {"a": 3, "b": 2, "c": 1, "d": 0, "e": -1, "deep": 3}
    run = {f"x{rank}": 90.0 - rank for rank in range(7)}  # seven documents that nobody judged
    run |= {"c": 100.0, "e": 99.0, "a": 98.0, "deep": 1.0}  # "deep" comes eleventh
    found = evaluate({"q": run}, {"q": gains}, ["nDCG@10"])["nDCG@10"]["q"]
    ideal = 3 / math.log2(2) + 3 / math.log2(3) + 2 / math.log2(4) + 1 / math.log2(5)
    assert found == pytest.approx((1 / math.log2(2) + 3 / math.log2(4)) / ideal, abs=CLOSE)


def test_of_equal_scores_the_id_that_sorts_last_comes_first() -> None:
    """Ids are compared as text: "d9" comes before "d10"."""
    tied = {"d10": 1.0, "d9": 1.0, "d1": 1.0}
    for run in (tied, dict(reversed(tied.items()))):
        values = evaluate({"q": run}, {"q": {"d10": 1}}, ["RR", "RR@10", "AP", "P@1", "nDCG@10"])
        expected = [1 / 2, 1 / 2, 1 / 2, 0.0, 1 / math.log2(3)]
        assert [by_query["q"] for by_query in values.values()] == pytest.approx(expected, abs=CLOSE)


def test_scores_are_compared_as_float32_and_not_rounded() -> None:
    """A tool that rounds scores to 4 digits would see a tie in the first and rank "b" first."""
    gains = {"q": {"a": 1}}
    close = {"q": {"a": 0.123_456_2, "b": 0.123_456_1}}
    assert evaluate(close, gains, ["RR"]) == {"RR": {"q": 1.0}}
    closer = {"q": {"a": 1 + 1e-8, "b": 1.0}}  # one float32
    assert evaluate(closer, gains, ["RR"]) == {"RR": {"q": 0.5}}


@pytest.mark.parametrize("gains", [{}, {"d1": -1}, {"d1": -2}, {"d1": -3, "d2": -2}])
def test_a_query_without_a_gain_of_0_or_more_never_reaches_trec_eval(gains: dict[str, int]) -> None:
    """trec_eval clears an array whose size is the highest gain plus 1: -2 crashed the process."""
    documents = {f"d{number}": float(number) for number in range(300)}
    qrels = {"first": gains, "q": {"d299": 1}, "last": gains}
    for _ in range(20):
        values = evaluate(dict.fromkeys(qrels, documents), qrels)
        for by_query in values.values():
            assert by_query == {"first": 0.0, "q": 1.0, "last": 0.0}
