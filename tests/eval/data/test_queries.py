"""Queries from files: JSON lines and tables, as other programs leave them."""

from pathlib import Path

import pytest

from eval.data.queries import read_queries

QUERIES = {"q 1": "what is lava", "2": "a\u2028b"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.jsonl", '{"_id": "q 1", "text": "what is lava"}\n{"id": 2, "contents": "a\\u2028b"}'),
        (
            "x.jsonl",
            '\ufeff{"_id": " q 1", "text": "what is lava"}\r\n\r\n{"id": 2, "text": "a\u2028b"}',
        ),
        ("x.tsv", "q 1\twhat is lava\n2\ta\u2028b\n"),
        ("x.tsv", "\ufeffquery-id\ttext\r\n q 1 \twhat is lava\r\n\r\n2\ta\u2028b"),
        ("X.TSV", "qid\tquery\nq 1\twhat is lava\n2\ta\u2028b"),
    ],
)
def test_the_same_queries_in_many_forms(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert read_queries(tmp_path / name) == QUERIES


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("x.jsonl", '{"_id": "q", "text": ""}', "x.jsonl:1: query 'q' is empty"),
        ("x.jsonl", '{"_id": "q", "text": null}', "x.jsonl:1: query 'q' is empty"),
        ("x.jsonl", '{"_id": "q", "text": "\\ud83d"}', "x.jsonl:1: query 'q': .*Unicode"),
        ("x.jsonl", '{"_id": "q", "text": "a"}\n{"_id": "q ", "text": "b"}', ":2: query 'q' comes"),
        ("x.jsonl", "[" * 100_000, "x.jsonl:1: expected one JSON object a line; .*nested"),
        ("x.tsv", "q\ta\n\nq\tb\n", "x.tsv:3: query 'q' comes twice"),
        ("x.tsv", "q\t \n", "x.tsv:1: query 'q' is empty"),
        ("x.tsv", "no tab\n", "x.tsv:1: expected id, tab, text"),
        ("x.tsv", "q\ta\rr\tb\r", "x.tsv:1: a carriage return"),
        ("x.tsv", "id\ttext\n", "holds no queries"),
        ("x.txt", "q\ta\n", "queries are read from .jsonl or .tsv"),
    ],
)
def test_a_broken_query_is_named(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    with pytest.raises(ValueError, match=told):
        read_queries(tmp_path / name)
