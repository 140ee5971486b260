"""Order and ties of documents against trec_eval, and by hand."""

import math

import numpy as np

from eval.measures.measures import evaluate
from eval.measures.ranking import cut_run, rank_columns, rank_documents, sort_ties


def test_the_order_is_the_one_that_measures_take() -> None:
    """Each document alone is judged relevant: 1 / RR is the rank that trec_eval gives it."""
    rng = np.random.default_rng(0)
    near = 1 + np.array([0, 1e-12, 1e-6, -1e-9])  # equal in single precision, but for one
    documents = [f"d{at}" for at in range(60)] + ["Z", "é", "D0"]
    scores = {document: float(rng.choice(near)) for document in documents}
    for rank, document in enumerate(rank_documents(scores, len(scores)), start=1):
        value = evaluate({"q": scores}, {"q": {document: 1}}, ["RR"])["RR"]["q"]
        assert round(1 / value) == rank


def test_a_cut_falls_between_ties_as_in_trec_eval() -> None:
    scores = {"a": 1 + 1e-12, "b": 1.0, "c": 0.5, "d": 1.0}
    assert cut_run({"q": scores}, 2) == {"q": {"d": 1.0, "b": 1.0}}


def test_columns_are_ranked_as_documents_are() -> None:
    rng = np.random.default_rng(1)
    documents = sort_ties({f"d{at}" for at in range(30)} | {"Z", "é", "D0"})
    scores = rng.choice([1.0, 1 + 1e-12, 1 + 1e-6, 3e38, 1e39, -np.inf], (20, len(documents)))
    ranks = rank_columns(scores, range(len(documents)))
    for row, column in zip(scores.tolist(), ranks.T.tolist(), strict=True):
        returned = {
            name: score for name, score in zip(documents, row, strict=True) if score > -math.inf
        }
        order = list(rank_documents(returned, len(returned)))
        expected = [order.index(name) + 1 if name in order else math.inf for name in documents]
        assert column == expected
