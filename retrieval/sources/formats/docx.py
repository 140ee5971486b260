"""Word's .docx: paragraphs, tables, notes; and Office files that are encrypted or old."""

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element
from zipfile import ZipFile

from index.documents import Document
from retrieval.sources.archives import read_zip
from retrieval.sources.decoding import clean
from retrieval.sources.items import Blob, Notes, ReadItems, Skipped, UnreadableError
from retrieval.sources.options import SourceOptions
from retrieval.sources.zipped import open_zip, parse_xml, read_member

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_UNSEEN = {"del", "moveFrom", "instrText", "delText", "pPr", "rPr", "sectPr", "tblPr"}
_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_BODY = "word/document.xml"
_NOTES = ("word/footnotes.xml", "word/endnotes.xml")
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_LIST = 1 << 22  # bytes in which an encrypted file names what it holds


def read_docx(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a Word document; deleted text, and the text of fields, is no text.

    Raises:
        UnreadableError: it is damaged, or no Word document.
    """
    with open_zip(blob) as archive:
        if not {_BODY, "[Content_Types].xml"} & set(archive.namelist()):
            yield from read_zip(blob, options, notes)  # which was only called a document
            return
        body = parse_xml(read_member(archive, _BODY, blob, options), _BODY)
        parts = [body]
        for name in _NOTES:
            if name in archive.namelist():
                parts.append(parse_xml(read_member(archive, name, blob, options), name))
        facts = _facts(archive, blob, options)
    text = "\n".join("".join(_texts(part)).strip() for part in parts).strip()
    title = facts.pop("title", "") or _first_heading(body)
    yield (
        blob.place,
        Document(blob.id, clean(title, blob.id, notes), clean(text, blob.id, notes), facts),
    )


def read_ole(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Tell an encrypted Office file from an old one, neither of which is read."""
    if _ENCRYPTED in blob.stream.read(_LIST):
        raise UnreadableError("it is protected by a password")
    yield Skipped(blob.place, "an old Office document, which is not read", "ignored")


def _texts(root: Element) -> Iterator[str]:
    """Yield the text below an element, a paragraph a line; without recursion."""
    stack: list[Element | str] = [root]
    while stack:
        element = stack.pop()
        if isinstance(element, str):
            yield element
            continue
        name = _local(element)
        if name in _UNSEEN or element.tag == _FALLBACK:
            continue
        if name == "t":
            yield element.text or ""
        elif name in _SIGNS:
            yield _SIGNS[name]
        if name == "p":
            stack.append("\n")
        stack.extend(reversed(element))


def _first_heading(body: Element) -> str:
    """Return the first paragraph that is styled as a title or a heading of the first level."""
    for space in (_W, _STRICT):
        for paragraph in body.iter(f"{space}p"):
            style = paragraph.find(f"{space}pPr/{space}pStyle")
            if style is not None and style.get(f"{space}val") in ("Title", "Heading1"):
                return "".join(_texts(paragraph)).strip()
    return ""


def _facts(archive: ZipFile, blob: Blob, options: SourceOptions) -> dict[str, Any]:
    try:
        core = parse_xml(read_member(archive, "docProps/core.xml", blob, options), "core.xml")
    except UnreadableError:
        return {}
    names = {"title": "title", "creator": "author", "created": "created", "language": "lang"}
    found = {_local(each): (each.text or "").strip() for each in core}
    return {names[name]: text for name, text in found.items() if name in names and text}


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
