"""PDF: the text of its pages, in the order in which it was written, and where each page begins."""

import logging
import re
from collections.abc import Iterator
from typing import Any

from index.documents import Document
from retrieval.sources.decoding import clean
from retrieval.sources.fields import as_json
from retrieval.sources.items import Blob, Notes, ReadItems, Skipped, UnreadableError
from retrieval.sources.options import SourceOptions

PAGES = "pages"
"""The metadata that holds the offset in the text at which each page begins, the first at 0."""

_BETWEEN = "\n\n"  # pages
_HYPHEN = re.compile(r"(?<=[^\W\d_])-[ \t]*\n[ \t]*(?=[a-zß-öø-ÿ])")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\xad": ""}
)
_NO_TITLE = re.compile(r"untitled|microsoft word - .*|.*\.(?:docx?|tex|dvi|indd|rtf|odt)", re.I)


def read_pdf(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a PDF file as one document.

    Raises:
        UnreadableError: it is protected by a password, damaged, or has no pages.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    if blob.size > options.max_bytes:
        raise UnreadableError(
            f"it is longer than {options.max_megabytes} MB (--max-file-mb allows more)"
        )
    try:
        reader = PdfReader(blob.stream, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("it is protected by a password")
        pages = [clean(_tidy(text), blob.id, notes) for text in _texts(reader, options)]
        facts = _facts(reader)
    except DependencyError as error:
        raise UnreadableError(
            "it is encrypted by AES, which needs a package: pip install cryptography"
        ) from error
    except PyPdfError as error:
        raise UnreadableError(f"no PDF, or a damaged one: {error}") from error
    if not any(page.strip() for page in pages):
        reason = "it holds no text; its pages may be images"
        yield Skipped(blob.place, reason, "empty")
        return
    title = facts.pop("title", "")
    starts, at = [], 0
    for page in pages:
        starts.append(at)
        at += len(page) + len(_BETWEEN)
    yield blob.place, Document(blob.id, title, _BETWEEN.join(pages), {**facts, PAGES: starts})


def _texts(reader: Any, options: SourceOptions) -> Iterator[str]:  # noqa: ANN401  (pypdf's)
    length, fault = 0, ""
    count = len(reader.pages)
    for number in range(count):
        try:
            text = reader.pages[number].extract_text() or ""
        except (RecursionError, MemoryError):
            raise
        except Exception as error:  # whatever a broken page provokes: the others are read
            fault, text = f"page {number + 1}: {error}", ""
            if count == 1:
                raise UnreadableError(f"a damaged PDF: {fault}") from error
        length += len(text)
        if length > options.max_bytes:
            raise UnreadableError(f"its text is longer than {options.max_megabytes} MB")
        yield text
    if fault and not length:
        raise UnreadableError(f"a damaged PDF: {fault}")


def _tidy(text: str) -> str:
    """Join words that were divided at line ends, and take ligatures apart."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # halves of pairs
    return _HYPHEN.sub("", text.translate(_LIGATURES)).strip()


def _facts(reader: Any) -> dict[str, Any]:  # noqa: ANN401
    try:
        about = reader.metadata
        title, author = (str(getattr(about, name, None) or "") for name in ("title", "author"))
        created = as_json(getattr(about, "creation_date", None))
    except Exception:  # of facts about the text, none are needed
        return {}
    facts = {"author": author.strip(), "created": created}
    if not _NO_TITLE.fullmatch(title.strip()):
        facts["title"] = _tidy(title)
    return {name: value for name, value in facts.items() if value and "\0" not in value}
