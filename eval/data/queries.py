"""Queries from a file: JSON lines or tab-separated."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from embedder.files.lines import read_lines, shorten
from eval.data.json_texts import make_document, parse_texts, unique
from index.documents import Document
from retrieval.trec_ids import is_header

_TEXT_COLUMNS = ("text", "query", "title", "question")


def read_queries(path: Path) -> dict[str, str]:
    """Read query id -> text from .jsonl (_id, text) or .tsv (id, tab, text).

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: another kind of file, a broken line, an id that comes twice, or an empty
            query; the message names file and line.
    """
    if path.suffix.lower() not in (".jsonl", ".tsv"):
        raise ValueError(f"queries are read from .jsonl or .tsv; got {path}")
    queries: dict[str, str] = {}
    for place, query_id, text in read_placed_queries(path):
        if not text.strip():
            raise ValueError(f"{place}: query {shorten(query_id)} is empty")
        queries[query_id] = text
    if not queries:
        raise ValueError(f"{path} holds no queries")
    return queries


def read_placed_queries(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (place, id, text) of every query of a file; a text may be empty.

    Raises:
        OSError, ValueError: as `read_queries`.
    """
    if path.suffix.lower() == ".tsv":
        yield from parse_table(read_lines(path))
    else:
        yield from parse_queries(read_lines(path))


def parse_queries(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield (place, id, text) of every (place, line of JSON); a text may be empty.

    Raises:
        ValueError: as `read_queries`.
    """
    yield from _each_once(parse_texts(lines, "query"))


def parse_table(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield (place, id, text) of every (place, line of id, tab, text).

    Raises:
        ValueError: as `read_queries`.
    """
    yield from _each_once(_parse_tsv(lines))


def _each_once(texts: Iterable[tuple[str, Document]]) -> Iterator[tuple[str, str, str]]:
    for place, query in unique(texts, "query"):
        yield place, query.id, query.content


def _parse_tsv(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Document]]:
    for place, line in lines:
        name, tab, text = line.partition("\t")
        if not tab or not name.strip():
            raise ValueError(f"{place}: expected id, tab, text; got {shorten(line)}")
        if text.strip().lower() not in _TEXT_COLUMNS or not is_header(name, "score"):
            yield place, make_document(name.strip(), "", text, "query", place)
