"""Queries from a file: JSON lines or tab-separated."""

from collections.abc import Iterator
from pathlib import Path


def read_queries(path: Path) -> dict[str, str]:
    """Read query id -> text from .jsonl (_id, text) or .tsv (id, tab, text).

    Raises:
        ValueError: another kind of file, a broken line, an id that comes twice, or an empty
            query; the message names file and line, or the id.
    """
    if path.suffix == ".jsonl":
        from eval.local import TextFolder

        queries = {held.id: held.content for held in TextFolder(path).documents()}
    elif path.suffix == ".tsv":
        queries = dict(_tab_separated(path))
    else:
        raise ValueError(f"queries are read from .jsonl or .tsv; got {path}")
    if not queries:
        raise ValueError(f"{path} holds no queries")
    for query_id, text in queries.items():
        if not text.strip():
            raise ValueError(f"{path}: query {query_id!r} is empty")
    return queries


def _tab_separated(path: Path) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            query_id, tab, text = line.rstrip("\r\n").partition("\t")
            if not tab or not query_id:
                raise ValueError(f"{path}:{number}: expected id, tab, text; got {line.rstrip()!r}")
            if query_id in seen:
                raise ValueError(f"{path}:{number}: query {query_id!r} comes twice")
            seen.add(query_id)
            yield query_id, text
