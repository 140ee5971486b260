"""Filters by columns against plain Python over the metadata of each document."""

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.random_filters import random_filter, random_metadata
from index.filters.column import Column, Columns
from index.filters.parse import parse_filter

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, 2.5, -0.0]),
    st.sampled_from(["", "a", "b", "ab"]), st.just(2**70),
)  # fmt: skip
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.just({"a": 1}), st.just([[1]]))


def columns_of(documents: list[dict[str, Any]]) -> Columns:
    return Columns(len(documents), None, lambda: enumerate(documents))


@given(st.integers(0, 10**9), st.integers(0, 30))
def test_random_filters_keep_what_plain_python_keeps(seed: int, count: int) -> None:
    random = Random(seed)
    documents = [random_metadata(random) for _ in range(count)]
    columns = columns_of(documents)
    for _ in range(5):
        text, meets = random_filter(random)
        chosen = parse_filter(text)
        columns.load(chosen.fields)
        assert chosen.expression.mask(columns).tolist() == list(map(meets, documents)), text


@given(st.lists(VALUES, max_size=12), SCALARS)
def test_equality_and_membership_are_those_of_json(values: list[Any], value: Any) -> None:  # noqa: ANN401
    def equal(found: object) -> bool:
        return (type(found) is bool) == (type(value) is bool) and found == value

    column = Column.of(values)
    assert column.compare("==", value).tolist() == [equal(found) for found in values]
    assert column.is_one_of([value]).tolist() == [equal(found) for found in values]
    held = [type(found) is list and any(map(equal, found)) for found in values]
    assert column.holds(value).tolist() == held


@given(st.lists(VALUES, max_size=60), st.lists(SCALARS, max_size=30))
def test_one_of_several_is_equal_to_any(values: list[Any], several: list[Any]) -> None:
    """Few and many values, in columns of few and many, are looked up in different ways."""
    column = Column.of([*values, *map(float, range(10, 50))])
    wanted = [*several, *range(20, 20 + len(several))]
    equal = [column.compare("==", each) for each in wanted]
    expected = np.any(equal, axis=0) if equal else np.zeros(len(column.codes), np.bool_)
    assert column.is_one_of(wanted).tolist() == expected.tolist()


def test_a_column_counts_documents_by_value_and_lists_by_item() -> None:
    column = Column.of(["de", None, ["de", "en", "de"], 1, True, 1.0, [], {"a": 2}])
    everything = np.ones(8, np.bool_)
    assert column.count(everything) == Counter(
        {(3, "de"): 2, (2, 1): 2, (0, 0): 2, (1, True): 1, (3, "en"): 1, (5, 0): 1}
    )
    assert column.count(np.arange(8) == 2) == {(3, "de"): 1, (3, "en"): 1}


def test_fields_are_read_once_and_deleted_documents_have_none() -> None:
    reads = []
    documents = [{"a": 1, "b": {"c": "x"}}, {"a": "y", "d": 2}]

    def read() -> Any:  # noqa: ANN401
        reads.append(1)
        return enumerate(documents)

    columns = Columns(2, np.array([True, False]), read)
    columns.load([("a",), ("b", "c"), ("a",)])
    assert len(reads) == 1 and len(columns) == 2
    assert columns.kinds(("a",)) == {2} and columns.kinds(("b", "c")) == {3}
    assert len(reads) == 1
    assert columns.kinds(("d",)) == {0}
    assert columns.names() == {("a",), ("b",), ("b", "c")}


def test_dots_lead_through_objects_only() -> None:
    columns = columns_of([{"a": {"b": 1}}, {"a": [{"b": 1}]}, {"a.b": 1}, {"a": "b"}])
    assert parse_filter("a.b == 1").expression.mask(columns).tolist() == [True] + [False] * 3
    assert parse_filter("`a.b` == 1").expression.mask(columns).tolist() == [
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("text", ['day >= "2020-01-31"', '"2020-01-31" <= day'])
def test_dates_are_compared_as_texts(text: str) -> None:
    days = ["2020-01-31", "2019-12-31", "2020-02-01T00:00:00Z", 2021]
    columns = columns_of([{"day": day} for day in days])
    assert parse_filter(text).expression.mask(columns).tolist() == [True, False, True, False]
