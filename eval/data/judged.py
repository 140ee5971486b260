"""Folders with documents, queries and judgements in other layouts than BEIR's, known by content.

MS MARCO's tables, TREC's topics and judgements, SMART's queries and relations, and Tevatron's
JSON lines.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from embedder.files.config_file import parse_object
from embedder.files.lines import open_binary, read_lines, shorten
from eval.data.local import TextFolder
from eval.data.qrels import Qrels, read_qrels
from eval.data.queries import parse_table
from retrieval.sources.formats.smart import read_records
from retrieval.sources.items import Notes
from retrieval.sources.kinds import HEAD, collection_kind
from retrieval.sources.listing import SourceFile
from retrieval.sources.options import SourceOptions
from retrieval.sources.reading import opened

_MOST_FILES = 64  # of a folder that is looked through; collections have few
_TOPICS = re.compile(r"<top>(.*?)</top>", re.I | re.S)
_FIELD = r"<{0}>\s*(?:{1}\s*:)?\s*([^<]*)"
_JUDGED = re.compile(r"\S+[ \t]+(?:Q?0[ \t]+\S+|\S+)[ \t]+-?\d+", re.I)
_RELATED = re.compile(r"\s*\S+\s+\S+\s+0\s+0\.0+\s*")
_QUERY = re.compile(r'\s*\{.*"query"\s*:', re.S)
_ROW = re.compile(r"[^\t ]+\t[^\t]+")


@dataclass(frozen=True, slots=True)
class FolderParts:
    """Files that are no documents: path -> what they hold."""

    queries: Mapping[Path, str]
    qrels: Mapping[Path, str]


class JudgedFolder(TextFolder):
    """A folder whose files are documents, queries and judgements; see `find_parts`.

    Of several files of judgements, the one is read whose name holds the split.
    """

    def __init__(
        self,
        path: Path,
        parts: FolderParts,
        split: str | None = None,
        options: SourceOptions | None = None,
    ) -> None:
        options = options or SourceOptions(on_error="stop")
        aside = (f"/{_escape(file.name)}" for file in {**parts.queries, **parts.qrels})
        super().__init__(path, replace(options, exclude=(*options.exclude, *aside)))
        self._parts = parts
        self._split = split or "test"
        if self._split != "test":
            self.name = f"{self.name}/{self._split}"

    def queries(self) -> dict[str, str]:
        """Read the judged queries of all files."""
        qrels, queries = self.qrels(), dict[str, str]()
        for path, kind in self._parts.queries.items():
            for name, text in _READERS[kind](path):
                if name in qrels and queries.setdefault(name, text) != text:
                    raise ValueError(f"{path}: query {shorten(name)} comes twice")
        missing = qrels.keys() - queries.keys()
        if missing:
            raise ValueError(
                f"{self.path} lacks {len(missing)} judged queries, e.g. {shorten(min(missing))}"
            )
        return queries

    def qrels(self) -> Qrels:
        """Read the judgements of the split."""
        return {name: dict(gains) for name, gains in self._qrels.items()}

    @cached_property
    def _qrels(self) -> Qrels:
        files = self._parts.qrels
        if len(files) > 1 or self._split != "test":
            files = {path: kind for path, kind in files.items() if self._split in path.name}
        if len(files) != 1:
            names = ", ".join(sorted(path.name for path in self._parts.qrels))
            raise ValueError(f"{self.path} has no split {self._split!r}; there is {names}")
        ((path, kind),) = files.items()
        if kind == "tevatron":
            return _positives(path)
        return _related(path) if kind == "related" else read_qrels(path)


def find_parts(folder: Path) -> FolderParts | None:
    """Find queries and judgements among the files of a folder by how they begin; None of others."""
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if len(files) > _MOST_FILES:
        return None
    kinds = {path: _kind(path) for path in files if path.is_file()}
    smart = [path for path, kind in kinds.items() if kind == "smart"]
    asked = [path for path in smart if re.search("qry|que", path.name, re.I)]
    if not asked and len(smart) > 1:
        asked = [min(smart, key=lambda path: path.stat().st_size)]
    queries = {
        path: kind for path, kind in kinds.items() if kind in ("topics", "table", "tevatron")
    }
    queries |= dict.fromkeys(asked if len(smart) > len(asked) else (), "smart")
    qrels = {path: kind for path, kind in kinds.items() if kind in ("qrels", "related")}
    qrels = qrels or {path: kind for path, kind in kinds.items() if kind == "tevatron"}
    aside = queries.keys() | qrels.keys()
    return FolderParts(queries, qrels) if queries and qrels and set(files) - aside else None


def _kind(path: Path) -> str:
    """Tell what a file of a folder holds; "" of documents and what cannot be read."""
    try:
        with open_binary(path) as file:
            head = file.read(HEAD)
    except (OSError, ValueError):
        return ""
    if collection_kind(head) == "smart":
        return "smart"
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text[:5].lower() == "<top>":
        return "topics"
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    lines = lines[:-1] if len(head) == HEAD else lines
    if lines and all(_RELATED.fullmatch(line) for line in lines):
        return "related"
    if lines and all(_JUDGED.fullmatch(line) for line in lines[1:] or lines):
        return "qrels"
    if text.startswith("{"):
        return "tevatron" if '"query_id"' in lines[0] and _QUERY.match(lines[0]) else ""
    named = re.search("quer|topic", path.name, re.I)
    return "table" if named and lines and all(_ROW.fullmatch(line) for line in lines) else ""


def _read_topics(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the numbers and titles of TREC's topics."""
    with open_binary(path) as file:
        text = file.read(_LARGEST).decode("utf-8", "replace")
    for topic in _TOPICS.findall(text):
        number = re.search(_FIELD.format("num", "number"), topic, re.I)
        title = re.search(_FIELD.format("title", "topic"), topic, re.I)
        if not number or not title or not number[1].strip():
            raise ValueError(f"{path}: expected <num> and <title> in {shorten(topic.strip())}")
        yield number[1].strip(), " ".join(html.unescape(title[1]).split())


_LARGEST = 100_000_000  # bytes of topics


def _read_smart(path: Path) -> Iterator[tuple[str, str]]:
    with opened(SourceFile(path.name, path)) as blob:
        for _, fields in read_records(blob, SourceOptions(), Notes()):
            parts = (fields.get("T", ""), fields.get("W", ""))
            yield fields["I"], "\n".join(part for part in parts if part)


def _read_table(path: Path) -> Iterator[tuple[str, str]]:
    return ((name, text) for _, name, text in parse_table(read_lines(path)))


def _read_tevatron(path: Path) -> Iterator[tuple[str, str]]:
    return ((name, str(record.get("query") or "")) for name, record in _asked(path))


def _asked(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place, line in read_lines(path):
        record = parse_object(line, place)
        if not isinstance(record.get("query_id"), str | int):
            raise ValueError(f"{place}: expected text in query_id")
        yield str(record["query_id"]).strip(), record


def _positives(path: Path) -> Qrels:
    """Read Tevatron's positive passages as judgements; without any there are none."""
    qrels: Qrels = {}
    for name, record in _asked(path):
        passages: Sequence[Any] = record.get("positive_passages") or ()
        ids = [
            str(each["docid"]) for each in passages if isinstance(each, dict) and "docid" in each
        ]
        if ids:
            qrels.setdefault(name, {}).update(dict.fromkeys(ids, 1))
    if not qrels:
        raise ValueError(f"{path} holds no positive_passages")
    return qrels


def _related(path: Path) -> Qrels:
    """Read SMART's relations: a line each, query and document."""
    qrels: Qrels = {}
    for place, line in read_lines(path):
        if not _RELATED.fullmatch(line):
            raise ValueError(f"{place}: expected query, document, 0 and 0.0; got {shorten(line)}")
        query, document = line.split()[:2]
        qrels.setdefault(query, {})[document] = 1
    return qrels


def _escape(name: str) -> str:
    """Return a name as a pattern of .gitignore that matches it alone."""
    return re.sub(r"([\\*?\[\]! #])", r"\\\1", name)


_READERS = {
    "topics": _read_topics,
    "smart": _read_smart,
    "table": _read_table,
    "tevatron": _read_tevatron,
}
