"""TREC's collections: `<DOC> <DOCNO>id</DOCNO> ... </DOC>`, one behind another in a file."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from embedder.files.lines import raw_lines
from index.documents import Document
from retrieval.sources.decoding import decode
from retrieval.sources.formats.html import parse_html
from retrieval.sources.items import Blob, Item, Notes, ReadItems, Skipped, UnreadableError
from retrieval.sources.options import SourceOptions

_BEGIN = re.compile(rb"<doc(?:\s[^<>]*)?>", re.I)
_END = re.compile(rb"</doc\s*>", re.I)
_ELEMENT = re.compile(r"<([a-z][\w.-]*)(?:\s[^<>]*)?>(.*?)</\1\s*>", re.I | re.S)
_TAG = re.compile(r"<!--.*?-->|</?[a-z!][^<>]*>", re.I | re.S)
_IDS = ("docno", "docid")
_TITLES = ("title", "headline", "hl", "ttl", "head")
_TEXTS = ("text", "body", "abstract")
_NEVER = "dochdr"  # what a web server answered
_LONGEST = 1000  # characters of an element that is metadata; longer ones are text


def read_trec(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a file of documents in SGML or XML, in their order.

    The title is the first of TITLE, HEADLINE, HL, TTL and HEAD; the text is TEXT, BODY and
    ABSTRACT, or a page of HTML, or else all that is not the title. Other short elements are
    metadata.
    """
    for place, raw in _split(blob, options):
        try:
            if raw is None:
                raise UnreadableError("a <DOC> without its end, or too long a one")
            yield place, parse_document(raw, blob.id, notes)
        except (UnreadableError, ValueError) as error:
            yield _skipped(place, error)


def parse_document(raw: bytes, name: str, notes: Notes) -> Document:
    """Return the document of what is between <DOC> and </DOC>.

    Raises:
        UnreadableError: it has no DOCNO, or is no text.
    """
    body = decode(raw, name, notes)
    fields: dict[str, list[str]] = {}
    for element in _ELEMENT.finditer(body):
        fields.setdefault(element[1].lower(), []).append(element[2])
    doc_id = next((_plain(fields.pop(each)[0]) for each in _IDS if each in fields), "")
    if not doc_id:
        raise UnreadableError("expected <DOCNO> with an id; there is none")
    if "html" in fields:
        title, text, facts = parse_html(body[body.lower().index("<html") :].encode(), name, notes)
        return Document(doc_id, title, text, facts)
    fields.pop(_NEVER, None)
    titled = next((each for each in _TITLES if each in fields), "")
    title = " ".join(_plain(" ".join(fields.pop(titled, []))).split())
    texts = [_plain(part) for each in _TEXTS for part in fields.pop(each, [])]
    if not texts:
        outside = _plain(_ELEMENT.sub(" ", body))
        texts = [*(_plain(part) for parts in fields.values() for part in parts), outside]
        return Document(doc_id, title, _join(texts))
    facts = {each: _join(map(_plain, parts)) for each, parts in fields.items()}
    texts += [value for value in facts.values() if len(value) > _LONGEST]
    short = {each: value for each, value in facts.items() if 0 < len(value) <= _LONGEST}
    return Document(doc_id, title, _join(texts), short)


def _split(blob: Blob, options: SourceOptions) -> Iterator[tuple[str, bytes | None]]:
    """Yield (place, what is within) of each document; None where it has no end, or is too long."""
    inside: list[bytes] | None = None
    size, place = 0, blob.place
    for number, line in enumerate(raw_lines(blob.stream, Path(blob.place)), start=1):
        while line:
            if inside is None:
                begin = _BEGIN.search(line)
                if begin is None:
                    break
                inside, size, place = [], 0, f"{blob.place}:{number}"
                line = line[begin.end() :]
            end, again = _END.search(line), _BEGIN.search(line)
            if again and (end is None or again.start() < end.start()):
                yield place, None
                inside, line = None, line[again.start() :]
                continue
            part = line[: end.start()] if end else line
            size += len(part)
            if size <= options.max_bytes:
                inside.append(part)
            line = line[end.end() :] if end else b""
            if end:
                yield place, b"".join(inside) if size <= options.max_bytes else None
                inside = None
    if inside is not None:
        yield place, None


def _plain(text: str) -> str:
    """Return text without tags, entities resolved."""
    return html.unescape(_TAG.sub(" ", text)).strip()


def _join(parts: "Iterator[str] | list[str]") -> str:
    return "\n".join(part for part in parts if part)


def _skipped(place: str, error: Exception) -> Item:
    return Skipped(place, " ".join(str(error).split()))
