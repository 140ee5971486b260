"""HTML: the title, and the text that a reader sees, a block a line."""

import re
from typing import TYPE_CHECKING, Any

from index.documents import Document
from retrieval.sources.decoding import clean, decode
from retrieval.sources.formats.plain import read_bytes
from retrieval.sources.items import Blob, Notes, ReadItems
from retrieval.sources.options import SourceOptions

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,400}?(?:charset|encoding)\s*=\s*["']?([\w.:-]+)""", re.I
)
_UNSEEN = frozenset(
    "head script style template noscript svg math iframe object embed audio video canvas datalist "
    "-comment".split()
)
_BLOCKS = frozenset(
    "address article aside blockquote body br button caption center dd details dialog dir div dl "
    "dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li "
    "main menu nav ol option p pre search section summary table tbody textarea tfoot thead title "
    "tr ul".split()
)
_CELLS = frozenset(("td", "th"))
_SPACE = re.compile(r"[ \t\r\n\f\xa0]+")
_NO_DISPLAY = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_FACTS = ("author", "description", "keywords", "date")


def read_html(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a web page as one document; its language and author are metadata."""
    title, text, facts = parse_html(read_bytes(blob, options), blob.id, notes)
    yield blob.place, Document(blob.id, title, text, facts)


def parse_html(
    raw: bytes, name: str, notes: Notes, charset: str = ""
) -> tuple[str, str, dict[str, Any]]:
    """Return title, visible text and facts of a page.

    Args:
        raw: its bytes.
        name: of the file, for notes.
        notes: take what was done.
        charset: what is known of its encoding, beside what it says itself.

    Raises:
        UnreadableError: it is no text.
    """
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    declared = _CHARSET.search(raw[:4096])
    charset = charset or (declared[1].decode("ascii") if declared else "")
    if charset.lower().startswith(("utf-16", "utf16", "utf-32", "utf-7")):
        charset = ""  # it could not have been read, if that were true
    page = decode(raw, name, notes, charset)
    try:
        tree = LexborHTMLParser(page)
    except SelectolaxError as error:  # any text is a page, unless memory ends
        raise MemoryError from error
    title = tree.css_first("head > title") or tree.css_first("h1")
    text = visible_text(tree.root) if tree.root is not None else ""
    heading = _SPACE.sub(" ", title.text(deep=True)).strip() if title is not None else ""
    return clean(heading, name, notes), clean(text, name, notes), _facts(tree)


def visible_text(root: "LexborNode") -> str:
    """Return the text below a node as a reader sees it.

    A block begins a line, and white space is one space, but in what is preformatted.
    """
    parts: list[str] = []
    node, depth, preformatted = root, 0, 0
    while True:
        tag = node.tag or ""
        seen = tag not in _UNSEEN and not _is_hidden(node, tag)
        if tag == "-text":
            text = node.text_content or ""
            parts.append(text if preformatted else _SPACE.sub(" ", text))
        elif seen and tag in _BLOCKS:
            parts.append("\n")
        elif tag in _CELLS:
            parts.append("\t")
        child = node.child if seen else None
        if child is not None:
            preformatted += tag in ("pre", "textarea")
            node, depth = child, depth + 1
            continue
        while depth and node.next is None:
            parent = node.parent
            if parent is None:
                return _tidy("".join(parts))
            node, depth = parent, depth - 1
            preformatted -= node.tag in ("pre", "textarea")
            if node.tag in _BLOCKS:
                parts.append("\n")
        following = node.next
        if not depth or following is None:
            return _tidy("".join(parts))
        node = following


def _is_hidden(node: "LexborNode", tag: str) -> bool:
    if tag.startswith("-"):
        return False
    attributes = node.attributes
    if not attributes:
        return False
    style = attributes.get("style") or ""
    return "hidden" in attributes or bool(style and _NO_DISPLAY.search(style))


def _tidy(text: str) -> str:
    lines = (re.sub(r" *\t *", "\t", line).strip() for line in text.replace("\xad", "").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _facts(tree: "LexborHTMLParser") -> dict[str, Any]:
    facts: dict[str, Any] = {}
    page = tree.css_first("html")
    language = page.attributes.get("lang") if page is not None else None
    if language:
        facts["lang"] = language
    for node in tree.css("meta[name][content]"):
        name = (node.attributes.get("name") or "").lower()
        if name in _FACTS and node.attributes.get("content"):
            facts.setdefault(name, node.attributes["content"])
    return facts
