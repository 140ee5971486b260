"""PDF: the text of its pages, in the order in which it was written, and where each page begins."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from index.documents import Document
from retrieval.sources.decoding import clean
from retrieval.sources.formats.plain import read_bytes
from retrieval.sources.items import Blob, Notes, ReadItems, Skipped, UnreadableError
from retrieval.sources.options import SourceOptions

PAGES = "pages"
"""The metadata that holds the offset in the text at which each page begins, the first at 0."""

_BETWEEN = "\n\n"  # pages
_MANY = 1000  # pages, for which there is as much time as for a short document
_GAP = 0.2  # of the height of a line, between words that no space divides
_DIVIDED = re.compile(r"\b([^\W\d_]+)(?:-|\ufffe|\x02)[ \t]*\r?\n?[ \t]*([^\W\d_]+)")
_JOINED = re.compile(r"\b[^\W\d_]+-[^\W\d_]+")
_MARKS = re.compile("[\ufffe\x02]")  # by which PDFium writes hyphens at line ends
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\xad": ""}
)
_NO_TITLE = re.compile(r"untitled.*|microsoft word - .*|.*\.(?:docx?|tex|dvi|indd|rtf|odt)", re.I)
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?")


def read_pdf(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a PDF file as one document.

    Raises:
        UnreadableError: it is protected by a password, damaged, or PDFium is not installed.
    """
    raw = read_bytes(blob, options)
    try:
        pdfium: Any = import_module("pypdfium2")  # which carries no types
    except ImportError as error:
        raise UnreadableError("PDF needs a package: pip install pypdfium2") from error
    try:
        with pdfium.PdfDocument(raw) as document:
            pages = []
            for text in _texts(document, pdfium.raw, options):
                pages.append(text)
                if len(pages) % _MANY == 0 and len(pages) <= 10 * _MANY:
                    blob.budget.alive()  # a book may take longer than a letter, but not for ever
            facts = _facts(document)
    except pdfium.PdfiumError as error:
        locked = "password" in str(error).lower() or "security" in str(error).lower()
        reason = "it is protected by a password" if locked else f"no PDF, or damaged: {error}"
        raise UnreadableError(reason) from error
    pages = [clean(text, blob.id, notes) for text in _undivided(pages)]
    if not any(pages):
        yield Skipped(blob.place, "it holds no text; its pages may be images", "empty")
        return
    starts, at = [], 0
    for page in pages:
        starts.append(at)
        at += len(page) + len(_BETWEEN)
    title = facts.pop("title", "")
    yield blob.place, Document(blob.id, title, _BETWEEN.join(pages), {**facts, PAGES: starts})


def _texts(document: Any, raw: Any, options: SourceOptions) -> Iterator[str]:  # noqa: ANN401
    """Yield the text of every page; a page that cannot be read is empty, unless it is the only."""
    length, count = 0, len(document)
    for number in range(count):
        try:
            page = document[number]
        except RuntimeError:  # as PDFium's errors are
            if count == 1:
                raise
            yield ""
            continue
        text = _page_text(page.get_textpage(), raw)
        page.close()
        length += len(text)
        if length > options.max_bytes:
            raise UnreadableError(f"its text is longer than {options.max_megabytes} MB")
        yield text


def _page_text(page: Any, raw: Any) -> str:  # noqa: ANN401
    """Return the characters of a page, with a space where only a gap divides two words.

    Programs that justify text by moving each word write no spaces; PDFium adds most of them.
    """
    handle, box = page.raw, raw.FS_RECTF()
    characters: list[str] = []
    end, bottom, wide = 0.0, 0.0, True  # of the character before, and whether a gap came before it
    for at in range(page.count_chars()):
        code = raw.FPDFText_GetUnicode(handle, at)
        character = chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else ""
        if character.isspace() or not raw.FPDFText_GetLooseCharBox(handle, at, box):
            characters.append(character)
            wide = True
            continue
        height = box.top - box.bottom
        gap = box.left - end > _GAP * height and abs(box.bottom - bottom) < height / 2
        if gap and not wide:  # of letters set apart each has a gap before it
            characters.append(" ")
        characters.append(character)
        end, bottom, wide = box.right, box.bottom, gap
    return "".join(characters)


def _undivided(pages: list[str]) -> list[str]:
    """Join words that were divided at line ends, but those that are written with a hyphen."""
    hyphened = {word.lower() for page in pages for word in _JOINED.findall(page)}

    def join(match: re.Match[str]) -> str:
        first, second = match.groups()
        broken = "\n" in match[0] or not match[0][len(first)] == "-"
        if not broken:
            return match[0]
        kept = f"{first}-{second}".lower() in hyphened or not second[0].islower()
        return f"{first}-{second}" if kept else first + second

    texts = (_DIVIDED.sub(join, page.translate(_LIGATURES)) for page in pages)
    return [_MARKS.sub("-", text).replace("\r\n", "\n").strip() for text in texts]


def _facts(document: Any) -> dict[str, Any]:  # noqa: ANN401
    about = {name: " ".join(text.split()) for name, text in document.get_metadata_dict().items()}
    facts = {"author": about.get("Author", "")}
    if (date := _DATE.match(about.get("CreationDate", ""))) is not None:
        year, month, day, hour, minute, second = (part or "" for part in date.groups())
        facts["created"] = "-".join(filter(None, (year, month, day)))
        if second:
            facts["created"] += f"T{hour}:{minute}:{second}"
    if not _NO_TITLE.fullmatch(about.get("Title", "")):
        facts["title"] = about.get("Title", "")
    legal = {name: text.encode("utf-8", "replace").decode() for name, text in facts.items() if text}
    return dict(legal)
