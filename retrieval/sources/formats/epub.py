"""EPUB: the chapters of a book in their order, each a web page."""

import posixpath
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import Element
from zipfile import ZipFile

from index.documents import Document
from retrieval.sources.archives import read_zip
from retrieval.sources.formats.html import parse_html
from retrieval.sources.items import Blob, Notes, ReadItems, UnreadableError
from retrieval.sources.options import SourceOptions
from retrieval.sources.zipped import open_zip, parse_xml, read_member

_CONTAINER = "META-INF/container.xml"
_LOCKED = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html")
_FACTS = {"creator": "author", "language": "lang", "date": "date"}


def read_epub(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a book as one document.

    Raises:
        UnreadableError: it is damaged, no EPUB, or its chapters are encrypted.
    """
    with open_zip(blob) as archive:
        if not {_CONTAINER, "mimetype"} & set(archive.namelist()):
            yield from read_zip(blob, options, notes)  # which was only called a book
            return
        root = parse_xml(read_member(archive, _CONTAINER, blob, options), _CONTAINER)
        path = next((e.get("full-path", "") for e in root.iter() if _local(e) == "rootfile"), "")
        package = parse_xml(read_member(archive, path, blob, options), path)
        chapters = _chapters(package, posixpath.dirname(path))
        _check_unlocked(archive, chapters, blob, options)
        texts = [
            parse_html(read_member(archive, name, blob, options), blob.id, notes)[1]
            for name in chapters
        ]
    facts = _facts(package)
    title = facts.pop("title", "")
    yield blob.place, Document(blob.id, title, "\n\n".join(filter(None, texts)), facts)


def _chapters(package: Element, folder: str) -> list[str]:
    """Return the names of the chapters in reading order.

    Raises:
        UnreadableError: there are none.
    """
    items = {e.get("id"): e for e in package.iter() if _local(e) == "item"}
    order = [items.get(e.get("idref")) for e in package.iter() if _local(e) == "itemref"]
    names = [
        posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        for item in order
        if item is not None and item.get("media-type", _PAGES[0]) in _PAGES
    ]
    if not names:
        raise UnreadableError("it has no chapters")
    return names


def _check_unlocked(
    archive: ZipFile, chapters: list[str], blob: Blob, options: SourceOptions
) -> None:
    """Refuse a book whose chapters are encrypted; fonts often are, which is no matter."""
    if _LOCKED not in archive.namelist():
        return
    root = parse_xml(read_member(archive, _LOCKED, blob, options), _LOCKED)
    locked = {unquote(e.get("URI", "")) for e in root.iter() if _local(e) == "CipherReference"}
    if locked & set(chapters):
        raise UnreadableError("it is protected: its chapters are encrypted")


def _facts(package: Element) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for element in package.iter():
        name, text = _local(element), " ".join((element.text or "").split())
        if text and name == "title":
            facts.setdefault("title", text)
        elif text and name in _FACTS:
            facts.setdefault(_FACTS[name], text)
    return facts


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
