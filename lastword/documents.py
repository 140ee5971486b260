"""Documents from what people have at hand: strings, dicts, Documents, or a path."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

from embedder.arguments import check_path
from index.documents import Document

Source = str | Path | Iterable[str | Mapping[str, Any] | Document]
"""A path or name of a collection; or documents, also as a generator."""

_IDS, _TEXTS = ("id", "_id"), ("text", "contents")


def read_documents(source: Source, number: Callable[[], int] = lambda: 0) -> Iterator[Document]:
    """Yield the documents of a source.

    A string is a text, a dict has "text" and perhaps "id" (or "_id") and "title"; its other keys
    become metadata. What has no id gets a number.

    Args:
        source: see `Source`; a single string or Path is a file, a folder or the name of a
            collection, as for the command `lastword index`.
        number: asked once, where an id is missing: from which number on.

    Raises:
        TypeError: the source, or an item of it, is nothing of these.
        ValueError: an item has no text, or there is no such file or collection.
    """
    if isinstance(source, str | Path):
        check_path(source, "documents", "a path or a name, or a list")
        from eval.data.collections import open_collection

        yield from open_collection(str(source)).documents()
        return
    if isinstance(source, Mapping | bytes) or not isinstance(source, Iterable):
        raise TypeError(
            "documents must be a path, or a list of strings, dicts or Documents; "
            f"got {type(source).__name__}"
        )
    begin: int | None = None
    for at, item in enumerate(source):
        if begin is None and not _has_id(item):
            begin = number()
        yield _read_item(item, at, str((begin or 0) + at))


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
    facts = dict(item)
    ids = [facts.pop(name) for name in _IDS if name in facts]
    texts = [facts.pop(name) for name in _TEXTS if name in facts]
    title, more = facts.pop("title", None), facts.pop("metadata", None)
    if not texts and title is None:
        keys = ", ".join(map(str, item))
        raise ValueError(f'document {at + 1} has no "text"; its keys are {keys or "none"}')
    name: Any = next((one for one in ids if one is not None), number)
    if isinstance(name, Integral) and not isinstance(name, bool):  # those of NumPy too
        name = str(int(name))
    metadata = {**facts, **more} if isinstance(more, Mapping) else facts
    if more is not None and not isinstance(more, Mapping):
        metadata["metadata"] = more
    return Document(name, title or "", texts[0] if texts and texts[0] is not None else "", metadata)
