"""Places, columns and expressions of Milvus, by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from index.channels.weighting import Statistics, Weighting, weigh_rows
from index.filters.parse import parse_filter
from retrieval.milvus.columns import ColumnMap
from retrieval.milvus.expressions import write_expression
from retrieval.milvus.facts import list_facts
from retrieval.milvus.place import MilvusPlace


@pytest.mark.parametrize(
    ("text", "uri", "collection"),
    [
        ("milvus:http://h:19530/docs", "http://h:19530", "docs"),
        ("milvus:http:/h:19530/docs", "http://h:19530", "docs"),  # as a Path has it
        ("milvus:https://h", "https://h", "lastword"),
        ("milvus:a/b.db", "a/b.db", "lastword"),
        ("milvus:a/b.db/docs", "a/b.db", "docs"),
    ],
)
def test_places(text: str, uri: str, collection: str) -> None:
    assert MilvusPlace.parse(text) == MilvusPlace(uri, collection)


@pytest.mark.parametrize("text", ["milvus:", "milvus:h", "milvus:http://h/a b", "http://h/a"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="collection"):
        MilvusPlace.parse(text)


def test_passwords_are_refused_and_not_repeated() -> None:
    for text in ("milvus:http://me:pass@h/docs", "milvus:me:pass@h"):
        with pytest.raises(ValueError) as caught:
            MilvusPlace.parse(text)
        assert "pass@" not in str(caught.value) and "me:pass" not in str(caught.value)


def test_terms_of_a_collection_never_share_a_column() -> None:
    terms = np.array([3, 4, 1 << 30, (1 << 30) + 7, 5 << 30], np.int64)
    columns = ColumnMap.of(1 << 62, terms)
    assert columns.places(terms).tolist() == [0, 2, 1, 3, 5]  # 4 would be 0, then 1 is taken
    assert ColumnMap.of(30_000, terms).places(terms).tolist() == terms.tolist()


def test_filters_become_expressions_of_facts() -> None:
    facts = list_facts({"a": {"b.c": 1}, "t": ["x", 2.0, None, True], "n": None})
    assert facts == {"o.a": 1, "n.a.b%2Ec": 1, "l.t": ["tx", "n2", "z", "btrue"]}
    parsed = parse_filter("a.`b.c` >= 2 and not 2 in t")
    assert write_expression(parsed.expression) == (
        '((exists facts["n.a.b%2Ec"] and facts["n.a.b%2Ec"] >= 2)) and '
        '(not ((exists facts["l.t"] and json_contains(facts["l.t"], "n2"))))'
    )


def test_bm25_weights_by_hand() -> None:
    rows = csr_matrix(np.array([[2, 0, 1], [0, 0, 0], [1, 0, 0]], np.float32))
    counted = Statistics(3, 4 / 3, np.array([0, 2]), np.array([2, 1]))
    weighed = weigh_rows(rows, Weighting("bm25", 0.9, 0.4), counted).toarray()
    norm = 0.9 * (1 - 0.4 + 0.4 * 3 / (4 / 3))
    idf = np.log1p(1.5 / 2.5), np.log1p(2.5 / 1.5)
    assert weighed[0] == pytest.approx([2 / (2 + norm) * idf[0], 0, 1 / (1 + norm) * idf[1]])
    assert weighed[1].tolist() == [0, 0, 0]
    everywhere = Statistics(3, 1.0, np.array([0, 2]), np.array([3, 1]))
    plain = weigh_rows(rows, Weighting("impacts", drop_ubiquitous=True), everywhere)
    assert plain.toarray().tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
