"""Markdown: front matter is metadata, the first heading the title; the markup stays."""

import re
from importlib import import_module
from typing import Any

from embedder.files.config_file import parse_toml
from index.documents import Document
from retrieval.sources.fields import as_json
from retrieval.sources.formats.plain import read_text
from retrieval.sources.items import Blob, Notes, ReadItems
from retrieval.sources.options import SourceOptions

_FRONT = re.compile(r"\A(---|\+\+\+)[ \t]*\r?\n(.*?)\r?\n\1[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_LONGEST = 1 << 16  # characters of front matter
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*\r?$", re.MULTILINE)
_UNDERLINED = re.compile(r"^ {0,3}(\S[^\n]*?)[ \t]*\r?\n {0,3}(?:=+|-{2,})[ \t]*\r?$", re.MULTILINE)
_FENCE = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)


def read_markdown(blob: Blob, options: SourceOptions, notes: Notes) -> ReadItems:
    """Read a Markdown file as one document."""
    text = read_text(blob, options, notes)
    metadata: dict[str, Any] = {}
    front = _FRONT.match(text)
    kept = front.end() if front else 0  # characters of front matter that stays in the text
    if front:
        try:
            metadata = _parse_front(front[1], front[2], blob.place)
            text, kept = text[kept:], 0
        except (ValueError, TypeError):
            notes.add("header", blob.id)
    heading, body = _split_heading(text, kept)
    title = metadata.pop("title", None)
    if not isinstance(title, str) or not title.strip():
        title, text = heading, body
    elif heading == title:
        text = body
    yield blob.place, Document(blob.id, title.strip(), text, metadata)


def _split_heading(text: str, start: int) -> tuple[str, str]:
    """Return the first heading from `start` on, and the text without it where it stands on top."""
    masked = _FENCE.sub(lambda match: re.sub(r"[^\n]", "`", match[0]), text)  # "#" in code is none
    found = [match for kind in (_HEADING, _UNDERLINED) if (match := kind.search(masked, start))]
    if not found:
        return "", text
    first = min(found, key=lambda match: match.start())
    if text[: first.start()].strip():
        return first[1].strip(), text
    return first[1].strip(), text[first.end() :].lstrip("\r\n")


def _parse_front(mark: str, text: str, place: str) -> dict[str, Any]:
    """Return front matter of YAML or TOML as JSON has it.

    Raises:
        TypeError: it cannot be kept as JSON.
        ValueError: it is neither, no mapping, too long, or refers to itself.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"{place}: front matter is too long")
    value = parse_toml(text, place) if mark == "+++" else _parse_yaml(text)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{place}: front matter is no mapping")
    facts: dict[str, Any] = {str(name): as_json(each) for name, each in value.items()}
    Document("x", "", "", facts)  # refuses what cannot be kept
    return facts


def _parse_yaml(text: str) -> Any:  # noqa: ANN401  (YAML)
    yaml: Any = import_module("yaml")  # which carries no types
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken | yaml.TagToken):
                # An alias repeats what it names: a few lines become gigabytes.
                raise ValueError("front matter with aliases or tags")
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError("front matter is no YAML") from error
