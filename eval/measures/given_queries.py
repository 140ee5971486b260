"""Queries and judgements as Python gives them: dicts, files, or data sets by name."""

from collections.abc import Mapping
from pathlib import Path

from embedder.arguments import check_path, check_query, check_text
from eval.data.asked import load_qrels, load_queries
from eval.data.qrels import Qrels
from eval.measures.measures import check_judged

QueryTexts = Mapping[str, str] | str | Path
"""Query id -> text, a file of them, or a data set by name."""
Judgements = Qrels | str | Path
"""Query id -> document id -> gain, a file of them, or a data set by name."""


def query_texts(queries: QueryTexts) -> Mapping[str, str]:
    """Return query id -> text.

    Raises:
        TypeError: it is of another type.
        OSError: there is no such file.
        ValueError: a query is empty, or a file holds something else.
    """
    if not isinstance(queries, Mapping):
        check_path(queries, "queries", "a dict of id -> text, or a file")
        return load_queries(queries)
    for query_id, text in queries.items():
        check_text(query_id, "the id of a query")
        check_query(text, f"query {query_id!r}")
    return queries


def judgements(qrels: Judgements) -> Qrels:
    """Return query id -> document id -> gain.

    Raises:
        TypeError: it is of another type.
        OSError: there is no such file.
        ValueError: a gain is too large, or a file holds something else.
    """
    if isinstance(qrels, Mapping):
        return check_judged(qrels)
    check_path(qrels, "qrels", "a dict of query -> document -> gain, or a file")
    return load_qrels(qrels)
