"""Runs of rows become runs of texts, by hand."""

from retrieval.rows import best_of, sum_of


def test_the_best_row_counts_and_never_less_than_nothing() -> None:
    assert best_of([{"q": {"a": 1.0, "b": -2.0}}, {"q": {"a": 3.0}, "p": {"c": 0.5}}]) == {
        "q": {"a": 3.0, "b": 0.0},
        "p": {"c": 0.5},
    }


def test_query_rows_add_up() -> None:
    assert sum_of([{"q": {"a": 1.0}}, {"q": {"a": 2.0, "b": 4.0}}, {"q": {}}]) == {
        "q": {"a": 3.0, "b": 4.0}
    }
