"""Documents from strings, dicts, Documents, or a path; and queries with their ids."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.arguments import check_path, check_query
from embedder.files.name_lists import first_repeated
from index.documents import Document
from retrieval.source import RemembersSources
from retrieval.sources.items import FAULTS

if TYPE_CHECKING:
    from eval.data.sources import JoinedSources

Source = str | Path | Iterable[str | Mapping[str, Any] | Document]
"""A path or name of a collection; or documents, also as a generator."""

_IDS, _TEXTS = ("id", "_id"), ("text", "contents")


def read_documents(source: Source, number: Callable[[], int] = lambda: 0) -> Iterable[Document]:
    """Return the documents of a source, which are read when they are asked for.

    A string is a text, a dict has "text" and perhaps "id" (or "_id") and "title"; its other keys
    become metadata. What has no id gets a number.

    Args:
        source: see `Source`; a single string or Path is a file, a folder, a pattern or the name
            of a collection, as for the command `lastword index`. What cannot be read in a folder
            is left out with a warning; `lastword.read_sources` says what, and takes options.
        number: gives the first number; called once, and only where an id is missing.

    Raises:
        TypeError: the source, or an item of it, is nothing of these.
        ValueError: an item has no text, or there is no such file or collection.
    """
    if isinstance(source, str | Path):
        from eval.data.sources import open_sources

        check_path(source, "documents", "a path or a name, or a list")
        return _Files(str(source), open_sources(str(source)))
    if isinstance(source, Mapping | bytes) or not isinstance(source, Iterable):
        raise TypeError(
            "documents must be a path, or a list of strings, dicts or Documents; "
            f"got {type(source).__name__}"
        )
    return source if isinstance(source, RemembersSources) else _read_items(source, number)


class _Files:
    """The documents of a path or name, with a warning of files that could not be read."""

    def __init__(self, name: str, opened: "JoinedSources") -> None:
        self._name = name
        self._opened = opened
        self.remember, self.ledger = opened.remember, opened.ledger

    def __iter__(self) -> Iterator[Document]:
        yield from self._opened
        files = self._opened.files
        if files is not None and any(kind in files.counts for kind in FAULTS):
            lines = "; ".join(files.summary())
            advice = "lastword.read_sources names each of them"
            warnings.warn(f"{self._name}: {lines}; {advice}", stacklevel=2)


def _read_items(
    source: Iterable[str | Mapping[str, Any] | Document], number: Callable[[], int]
) -> Iterator[Document]:
    first: int | None = None
    for at, item in enumerate(source):
        if first is None and not _has_id(item):
            first = number()
        yield _read_item(item, at, str((first or 0) + at))


def _has_id(item: object) -> bool:
    return isinstance(item, Document) or (
        isinstance(item, Mapping) and any(item.get(name) is not None for name in _IDS)
    )


def _read_item(item: object, at: int, number: str) -> Document:
    if isinstance(item, Document):
        return item
    if isinstance(item, str):
        return Document(number, "", item)
    if not isinstance(item, Mapping):
        raise TypeError(
            f"document {at + 1} must be a string, a dict or a Document; got {type(item).__name__}"
        )
    fields = dict(item)
    ids = [fields.pop(name) for name in _IDS if name in fields]
    texts = [fields.pop(name) for name in _TEXTS if name in fields]
    title, inner = fields.pop("title", None), fields.pop("metadata", None)
    if not texts and title is None:
        keys = ", ".join(map(str, item))
        raise ValueError(f'document {at + 1} has no "text"; its keys are {keys or "none"}')
    name: Any = next((name for name in ids if name is not None), number)
    if isinstance(name, Integral) and not isinstance(name, bool):  # those of NumPy too
        name = str(int(name))
    metadata = {**fields, **inner} if isinstance(inner, Mapping) else fields
    if inner is not None and not isinstance(inner, Mapping):
        metadata["metadata"] = inner
    return Document(name, title or "", texts[0] if texts and texts[0] is not None else "", metadata)


def name_queries(queries: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    """Return queries by id; those of a list are called "0", "1", ....

    Raises:
        TypeError: queries are neither a dict nor a list, or one is no str.
        ValueError: one is empty, or two ids are the same as texts, as 1 and "1" are.
    """
    if isinstance(queries, str) or not isinstance(queries, Mapping | Sequence):
        raise TypeError(
            f"queries must be a dict of id -> text, or a list of texts; got {queries!r:.60}"
        )
    pairs = queries.items() if isinstance(queries, Mapping) else enumerate(queries)
    texts = {str(name): text for name, text in pairs}
    if len(texts) < len(queries):
        repeated = first_repeated(str(name) for name in queries)
        raise ValueError(f"two queries have the id {repeated!r}; ids are compared as texts")
    for name, text in texts.items():
        check_query(text, f"query {name!r}")
    return texts
