"""Queries made from documents, for collections that nobody has judged.

A query counts if its own document is found by words alone: a filter by the model that is tuned
would keep what its prompt already solves (round trip of Promptagator, Dai et al., ICLR 2023, with
another retriever).
"""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from embedder.bm25 import BM25Encoder
from embedder.conversation import Turn
from embedder.sentences import sentences
from embedder.terms import stop_words
from embedder.tuning.chat import Chat
from embedder.types import Role
from eval.measures import Qrels
from index.documents import Document
from index.folder import Index
from retrieval.run import to_run

Style = Literal["title", "cloze", "chat"]
ASKED = Path(__file__).with_suffix(".toml")
FOUND = 5  # ranks within which the round trip must find the document
COPIED = 8  # words in a row
CLOZE_WORDS = 12
SHOWN_WORDS = 120
MOST_TOKENS = 40
AHEAD = 4  # documents that are tried for a query that is wanted
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class DevsetOptions:
    """How queries are made.

    Attributes:
        queries: how many are wanted.
        style: "title" takes titles as queries, "cloze" the content words of a sentence, "chat"
            asks a chat model.
        seed: of what is drawn.
        examples: (text, query) shown to the chat model.
    """

    queries: int = 200
    style: Style = "title"
    seed: int = 0
    examples: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.queries < 1 or self.style not in get_args(Style):
            raise ValueError(f"a devset has queries, in style {get_args(Style)}; got {self}")


@dataclass(frozen=True, slots=True)
class Devset:
    """Queries, each with the document that it was made from.

    Attributes:
        queries: query id -> text.
        qrels: query id -> its document, with a gain of 1.
        counts: what was made, and what was dropped and why.
    """

    queries: Mapping[str, str]
    qrels: Qrels
    counts: Mapping[str, int]


@dataclass(slots=True)
class Maker:
    """Makes queries from the documents of an index.

    Attributes:
        index: opened; needs a bm25 channel for the round trip.
        options: how.
        chat: for style "chat".
        counts: of what was made and dropped.
    """

    index: Index
    options: DevsetOptions
    chat: Chat | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if not self.index.documents:
            raise ValueError(f"{self.index.path} holds no documents to make queries from")
        if "bm25" not in self.index.channels:
            raise ValueError(
                f"{self.index.path} has no bm25 channel, which checks the queries; "
                "make the index with --channels dense,sparse,bm25"
            )
        if (self.options.style == "chat") != (self.chat is not None):
            raise ValueError("a chat model goes with style chat, and with no other")

    def devset(self, progress: Callable[[int], None] = lambda done: None) -> Devset:
        """Draw documents, make a query of each, and keep those that are good.

        Raises:
            ValueError: not one query was kept.
        """
        queries: dict[str, str] = {}
        qrels: dict[str, dict[str, int]] = {}
        met: set[str] = set()
        for document in self._drawn():
            text = self._query(document)
            if text is None or not self._good(text, document, met):
                continue
            met.add(text.lower())
            name = f"made-{len(queries) + 1}"
            queries[name], qrels[name] = text, {document.id: 1}
            progress(len(queries))
            if len(queries) == self.options.queries:
                break
        if not queries:
            raise ValueError(f"no query was kept: {dict(self.counts)}; try another --style")
        self.counts["kept"] = len(queries)
        return Devset(queries, qrels, dict(self.counts))

    def _drawn(self) -> Iterator[Document]:
        """Yield documents in a random order; topics come up as often as they are."""
        rng = np.random.default_rng([self.options.seed, 91])
        ids = [document.id for document in self.index.stream()]
        order = rng.permutation(len(ids))[: AHEAD * self.options.queries]
        for at in order.tolist():
            yield self.index.document(ids[at])

    def _query(self, document: Document) -> str | None:
        self.counts["documents tried"] += 1
        if self.options.style == "chat":
            return self._asked(document)
        if self.options.style == "cloze":
            return self._cloze(document)
        title = " ".join(document.title.split())
        if not title:
            self.counts["no title"] += 1
        return title or None

    def _cloze(self, document: Document) -> str | None:
        """Take the content words of one sentence, in their order."""
        rng = np.random.default_rng([self.options.seed, 92, self.counts["documents tried"]])
        held = [one for one in sentences(document.text) if len(_WORD.findall(one)) >= CLOZE_WORDS]
        if not held:
            self.counts["no long sentence"] += 1
            return None
        silent = stop_words("english")
        words = _WORD.findall(held[int(rng.integers(len(held)))])
        kept = [word for word in words if word.lower() not in silent]
        return " ".join(kept[:CLOZE_WORDS])

    def _asked(self, document: Document) -> str | None:
        """Ask for a short and a long query in turn."""
        assert self.chat is not None
        told = tomllib.loads(ASKED.read_text(encoding="utf-8"))
        number = self.counts["documents tried"]
        kind = "short" if number % 2 else "long"
        shown = [
            told["shown"].replace("{text}", _cut(text)).replace("{query}", query)
            for text, query in self.options.examples
        ]
        turn = "\n\n".join(
            [told[kind], *shown, told["asked"].replace("{text}", _cut(document.content))]
        )
        said = self.chat.answer([Turn("user", turn)], self.options.seed + number, MOST_TOKENS)
        line = next((one.strip() for one in said.splitlines() if one.strip()), "")
        return line.removeprefix("Query:").strip().strip('"') or None

    def _good(self, text: str, document: Document, met: set[str]) -> bool:
        if len(_WORD.findall(text)) < 2:
            return self._dropped("too short")
        if text.lower() in met:
            return self._dropped("made before")
        if self.options.style != "title" and _copies(text, document.content):
            return self._dropped(f"copies {COPIED} words in a row")
        if document.id not in self._nearest(text):
            return self._dropped(f"not among the {FOUND} best by words")
        return True

    def _nearest(self, text: str) -> Mapping[str, float]:
        rows = BM25Encoder().encode([text], Role.QUERY)
        hits = self.index.search("bm25", rows, FOUND)
        return to_run(hits, ["query"], self.index.row_ids("bm25"))["query"]

    def _dropped(self, why: str) -> bool:
        self.counts[why] += 1
        return False


def _cut(text: str) -> str:
    return " ".join(text.split()[:SHOWN_WORDS])


def _copies(text: str, source: str) -> bool:
    """Tell whether COPIED words in a row stand in the source."""
    words = [word.lower() for word in _WORD.findall(text)]
    held = f" {' '.join(word.lower() for word in _WORD.findall(source))} "
    runs: Sequence[list[str]] = [words[at : at + COPIED] for at in range(len(words) - COPIED + 1)]
    return any(f" {' '.join(run)} " in held for run in runs)
