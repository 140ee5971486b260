"""Mail: a message is a document, with subject, sender and date; attachments are read as files."""

import re
from collections.abc import Iterator
from dataclasses import replace
from email import policy
from email.message import Message
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any

from embedder.files.lines import LONGEST_LINE
from index.documents import Document
from retrieval.sources.decoding import decode
from retrieval.sources.formats.html import parse_html
from retrieval.sources.formats.plain import read_bytes
from retrieval.sources.items import Blob, Notes, ReadItems, Skipped
from retrieval.sources.options import SourceOptions
from retrieval.sources.reading import read_blob

_FACTS = ("from", "to", "cc")
_MOST_PARTS = 1000
_QUOTED = re.compile(rb"^>+From ", re.MULTILINE)


def read_mail(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a message; its attachments are documents of their own, "MESSAGE/NAME"."""
    raw = read_bytes(blob, options)
    message = BytesParser(policy=policy.default).parsebytes(raw)
    texts: list[str] = []
    attached: list[tuple[str, bytes]] = []
    for number, part in enumerate(_parts(message)):
        if number == _MOST_PARTS:
            yield Skipped(blob.place, f"of its parts only {_MOST_PARTS} are read")
            break
        data = _payload(part)
        name = _header(part, "filename")
        if name or part.get_content_maintype() not in ("text", "multipart"):
            attached.append((name or f"part{number}.{part.get_content_subtype()}", data))
        elif part.get_content_maintype() == "text":
            texts.append(_text(part, data, blob.id, notes))
    text = "\n\n".join(filter(None, (text.strip() for text in texts)))
    yield blob.place, Document(blob.id, _header(message, "subject"), text, _facts(message))
    for name, data in attached:
        if data:
            inner = blob.inside(name.replace("/", "_").replace("\0", ""), data)
            blob.budget.spend(len(data))
            yield from read_blob(inner, options, notes)


def read_mbox(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a mailbox, a message a document, numbered from 1."""
    for number, raw in enumerate(_messages(blob, options), start=1):
        place = f"{blob.place}/message {number}"
        if raw is None:
            yield Skipped(place, f"the message is longer than {options.max_megabytes} MB")
            continue
        message = replace(
            blob, id=f"{blob.id}#{number}", place=place, stream=BytesIO(raw), size=len(raw)
        )
        yield from read_mail(message, options, notes)


def _messages(blob: Blob, options: SourceOptions) -> Iterator[bytes | None]:
    """Yield the messages of a mailbox; None for one that is too long."""
    lines: list[bytes] = []
    size, after_blank, begun = 0, True, False
    while line := blob.stream.readline(LONGEST_LINE):
        if after_blank and line.startswith(b"From "):
            if begun:
                yield _QUOTED.sub(lambda match: match[0][1:], b"".join(lines)) if lines else None
            lines, size, begun = [], 0, True
        elif begun:
            size += len(line)
            if size <= options.max_bytes:
                lines.append(line)
            else:
                lines = []
        after_blank = not line.strip()
    if begun:
        yield _QUOTED.sub(lambda match: match[0][1:], b"".join(lines)) if lines else None


def _parts(message: Message) -> Iterator[Message]:
    """Yield what is shown or attached: of alternatives, plain text, else the first."""
    stack = [message]
    while stack:
        part = stack.pop()
        if part.get_content_type() == "message/rfc822" and part.is_multipart():
            stack.extend(reversed([each for each in _children(part)]))
        elif part.get_content_type() == "multipart/alternative":
            children = _children(part)
            plain = [each for each in children if each.get_content_type() == "text/plain"]
            stack.extend(plain[:1] or children[-1:])
        elif part.is_multipart():
            stack.extend(reversed(_children(part)))
        else:
            yield part


def _children(part: Message) -> list[Message]:
    payload: Any = part.get_payload()
    return list(payload) if isinstance(payload, list) else []


def _payload(part: Message) -> bytes:
    try:
        data: Any = part.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError):
        return b""
    return data if isinstance(data, bytes) else b""


def _text(part: Message, data: bytes, name: str, notes: Notes) -> str:
    try:
        charset = part.get_content_charset() or ""
    except (ValueError, LookupError):
        charset = ""
    if part.get_content_subtype() == "html":
        return parse_html(data, name, notes, charset)[1]
    return decode(data, name, notes, charset)


def _header(message: Message, name: str) -> str:
    """Return a header in one line, or the name of an attachment; "" where it cannot be read."""
    try:
        if name == "filename":
            value: Any = message.get_filename()
        else:
            value = message[name]
        return " ".join(str(value or "").encode("utf-8", "replace").decode().split())
    except (
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
    ):  # of the library's parser
        return ""


def _facts(message: Message) -> dict[str, Any]:
    facts = {name: text for name in _FACTS if (text := _header(message, name))}
    try:
        facts["date"] = parsedate_to_datetime(_header(message, "date")).isoformat()
    except (ValueError, TypeError, OverflowError):
        pass
    return facts
