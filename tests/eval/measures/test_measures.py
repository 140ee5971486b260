"""Measures: by hand, and against trec_eval through pytrec_eval on random runs with ties."""

import math
from typing import Any

import numpy as np
import pytest

from eval.data.qrels import Qrels
from eval.measures.measures import STANDARD, evaluate, means
from retrieval.run import Run


def test_measures_by_hand() -> None:
    qrels = {"q": {"a": 2, "b": 1, "c": 0, "never": 1}}
    run = {"q": {"c": 4.0, "b": 3.0, "x": 2.0, "a": 1.0}}
    values = evaluate(run, qrels, ["nDCG@10", "nDCG@2", "R@2", "RR@10", "AP"])
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    expected = {
        "nDCG@10": (1 / math.log2(3) + 2 / math.log2(5)) / ideal,
        "nDCG@2": (1 / math.log2(3)) / (2 / math.log2(2) + 1 / math.log2(3)),
        "R@2": 1 / 3,
        "RR@10": 1 / 2,
        "AP": (1 / 2 + 2 / 4) / 3,
    }
    assert {name: values[name]["q"] for name in values} == pytest.approx(expected, abs=1e-9)


def test_an_unanswered_query_is_zero_and_an_unjudged_one_is_ignored() -> None:
    """BEIR's own evaluation averages over the returned queries and gives 1.0 here."""
    qrels = {"q1": {"a": 1}, "q2": {"b": 1}, "q3": {"c": 1}}
    run = {"extra": {"a": 1.0}, "q1": {"a": 1.0}, "q3": {}}
    values = evaluate(run, qrels)
    assert tuple(values) == STANDARD
    for by_query in values.values():
        assert by_query == {"q1": 1.0, "q2": 0.0, "q3": 0.0}
    assert means(values) == dict.fromkeys(STANDARD, 1 / 3)
    assert evaluate({}, qrels, ["AP"]) == {"AP": {"q1": 0.0, "q2": 0.0, "q3": 0.0}}


def test_a_query_without_relevant_documents_is_zero() -> None:
    qrels = {"q1": {"a": 0}, "q2": {"a": -1}, "q3": {}, "q4": {"a": 1}}
    run = {query: {"a": 1.0} for query in qrels}
    for by_query in evaluate(run, qrels).values():
        assert by_query == {"q1": 0.0, "q2": 0.0, "q3": 0.0, "q4": 1.0}


def test_ties_are_judged_as_trec_eval_orders_them_in_every_measure() -> None:
    """ir_measures breaks ties in RR@10 by ascending id and in RR by descending id."""
    run = {"q": {"a": 1.0, "b": 1.0, "c": 1.0}}
    values = evaluate(run, {"q": {"a": 1}}, ["RR", "RR@10", "RR@3", "RR@2", "AP", "nDCG@10"])
    assert [by_query["q"] for by_query in values.values()] == pytest.approx(
        [1 / 3, 1 / 3, 1 / 3, 0, 1 / 3, 1 / 2]
    )


def random_judged_run(generator: np.random.Generator) -> tuple[Run, Qrels]:
    """Scores from five values, so that nearly every document is tied."""
    doc_ids = [f"d{number}" for number in range(60)]
    run: Run = {}
    qrels: Qrels = {}
    for query in range(30):
        judged = generator.choice(doc_ids, size=12, replace=False)
        qrels[f"q{query}"] = {str(doc): int(generator.integers(0, 4)) for doc in judged}
        returned = generator.choice(doc_ids, size=int(generator.integers(1, 40)), replace=False)
        run[f"q{query}"] = {str(doc): float(generator.integers(0, 5)) / 3 for doc in returned}
    return run, qrels


def test_values_are_those_of_trec_eval_on_random_runs_with_ties() -> None:
    pytrec_eval: Any = pytest.importorskip("pytrec_eval")
    names = {
        "nDCG@10": "ndcg_cut_10",
        "R@100": "recall_100",
        "R@5": "recall_5",
        "AP": "map",
        "RR": "recip_rank",
        "P@10": "P_10",
    }
    for seed in range(5):
        run, qrels = random_judged_run(np.random.default_rng(seed))
        values = evaluate(run, qrels, [*names, "RR@10"])
        expected = pytrec_eval.RelevanceEvaluator(qrels, set(names.values())).evaluate(run)
        for name, theirs in names.items():
            for query, by_name in expected.items():
                assert values[name][query] == pytest.approx(by_name[theirs], abs=1e-9)
        for query, by_name in expected.items():
            first = by_name["recip_rank"]
            assert values["RR@10"][query] == (first if first >= 0.1 else 0.0)


def test_nothing_is_changed_and_numpy_scores_are_taken() -> None:
    run = {"q": {"a": np.float32(0.1), "b": 1}}
    qrels = {"q": {"a": 1}}
    assert evaluate(run, qrels, ["RR@10"]) == {"RR@10": {"q": 0.5}}  # type: ignore[arg-type]
    assert run == {"q": {"a": np.float32(0.1), "b": 1}}


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ("ndcg@10", r"no measure is called 'ndcg@10'.* nDCG@10"),
        ("Recal@5", r"no measure is called 'Recal@5'.* Recall@5"),
        ("nDCG@", "no measure is called 'nDCG@'"),
        ("", "no measure is called ''.* nDCG@10, R@100"),
        ("__import__('os')", "no measure is called"),
        ("R", r"'R' needs a cutoff \(R@10\)"),
        ("nDCG@0", "has cutoff 0"),  # trec_eval aborted the process
        ("AP(rel=0)", "has rel 0; expected 1 to 2,147,483,647"),
    ],
)
def test_an_unknown_measure_is_refused(measure: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate({}, {"q": {"a": 1}}, [measure])


def test_no_judgements_and_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="no judgements"):
        evaluate({}, {})
    with pytest.raises(ValueError, match="'q' hold NaN"):
        evaluate({"q": {"a": math.nan}}, {"q": {"a": 1}})
