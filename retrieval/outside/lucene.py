"""A Lucene index of Anserini's as a channel beside those of an index; see `open_lucene`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from embedder.files.typed_values import fill_value
from embedder.lucene.jvm import java_errors
from embedder.text.languages import language_name
from embedder.types import Encoder, Representation
from retrieval.feedback.read import Feedback, read_feedback
from retrieval.outside.channel import OutsideMatch
from retrieval.outside.lucene_feedback import AnseriniFeedback
from retrieval.outside.lucene_index import AnseriniIndex
from retrieval.outside.lucene_search import AnseriniSearch, bm25, impact
from retrieval.outside.lucene_words import (
    WHITESPACE,
    AnalysedWords,
    ModelWords,
    QueryWords,
    token_vocabulary,
)
from retrieval.outside.places import find_lucene_folder
from retrieval.run import Run, cut, sum_rows

ENGLISH = "english"


@dataclass(frozen=True, slots=True)
class AnseriniOptions:
    """How a Lucene index is searched.

    Attributes:
        kind: bm25 takes weights of terms as counts, impact as they are; by default as the index
            was written.
        language: whose analyzer reads queries, as `LuceneEncoder` takes it; "whitespace" cuts at
            spaces, as Anserini's -pretokenized.
        k1: BM25's saturation, at least 0.
        b: BM25's share of length normalisation, 0 to 1.
        feedback: RM3 or Rocchio of a text index, as `read_feedback` reads it.
        words: channel of the index whose words an impact index is searched with; by default the
            first that has tokens with weights.
    """

    kind: Literal["auto", "bm25", "impact"] = "auto"
    language: str = ENGLISH
    k1: float = 0.9
    b: float = 0.4
    words: str = ""
    feedback: str = ""

    def __post_init__(self) -> None:
        if not (0 <= self.k1 < float("inf") and 0 <= self.b <= 1):
            raise ValueError(f"BM25 needs k1 >= 0 and 0 <= b <= 1; got k1={self.k1}, b={self.b}")

    @staticmethod
    def read(options: Mapping[str, str]) -> "AnseriniOptions":
        """Read options as people write them.

        Raises:
            ValueError: one is unknown, or no value of its kind.
        """
        known = {field.name: field for field in fields(AnseriniOptions)}
        if unknown := options.keys() - known.keys():
            raise ValueError(
                f"options of a Lucene index are {', '.join(known)}; got {min(unknown)!r}"
            )
        values: dict[str, Any] = {}
        for name, text in options.items():
            if known[name].type is float:
                try:
                    values[name] = float(text)
                except ValueError:
                    raise ValueError(
                        f"{name} of a Lucene index is a number; got {text!r}"
                    ) from None
            else:
                values[name] = fill_value(known[name].type, text, name)
        return AnseriniOptions(**values)


IMPACT = "impact"
_UNIT = "whole weights: those that the index holds, and hundredths of the query's"


@dataclass(frozen=True)
class AnseriniChannel:
    """A Lucene index, searched by the words of queries.

    Attributes:
        searcher: of all of its documents, or of some.
        words: how queries become terms.
        feedback: how they learn from the documents that they find first; None is not at all.
        facts: see `OutsideChannel`.
        joined: the places of its documents among those of the index that it is joined to.
        kept: (documents of Lucene,) True where one may be found; None for all of `searcher`.
    """

    searcher: AnseriniSearch
    words: QueryWords
    facts: Mapping[str, Any]
    feedback: Feedback | None = None
    lexical: bool = True
    joined: "_JoinedIds | None" = None
    kept: NDArray[np.bool_] | None = None

    @property
    def encoder(self) -> Encoder | None:
        """The encoder of an impact index's words."""
        return self.words.encoder

    def within(self, ids: Sequence[str]) -> "AnseriniChannel":
        """Return the same index, of which only some documents are found."""
        index = self.searcher.index
        with java_errors(f"reading the ids of {index.path}"):
            only, joined = index.only(ids)
            if not joined and "shared" not in self.facts:  # else they were deleted since
                raise ValueError(
                    f"{index.path} holds none of the documents of the index: its ids are like "
                    f"{next(iter(ids), '')!r}"
                )
            unknown = index.documents - joined
            shared = index.count_ids(ids) if index.may_repeat_ids else joined
            similarity = self.searcher.similarity
            searcher = AnseriniSearch(index.share(), similarity, only if unknown else None)
        counts = {
            "shared": shared,
            "unknown_here": unknown,
            "missing_there": len(ids) - shared,
        }
        facts, places = {**self.facts, **counts}, _JoinedIds(searcher.index, ids)
        return replace(self, searcher=searcher, facts=facts, joined=places, kept=None)

    def among(self, kept: NDArray[np.bool_]) -> "AnseriniChannel":
        """Return the same index, of which fewer documents are found; see `OutsideChannel`."""
        assert self.joined is not None
        return replace(self, kept=self.joined.mask(kept))

    @contextmanager
    def _narrowed(self) -> Iterator["AnseriniChannel"]:
        """Give a channel whose searcher has only the documents that may be found."""
        if self.kept is None:
            yield self
            return
        with java_errors(f"searching {self.searcher.index.path}"):
            with self.searcher.index.among(self.kept) as index:
                yield replace(self, searcher=replace(self.searcher, index=index), kept=None)

    def search(self, queries: Mapping[str, str], rows: Representation | None, k: int) -> Run:
        """Search; where a query has several rows, as a channel of an index does."""
        with self._narrowed() as narrowed:
            return narrowed._search(queries, rows, k)

    def _search(self, queries: Mapping[str, str], rows: Representation | None, k: int) -> Run:
        if rows is None:
            return {name: self._best(text, None, k) for name, text in queries.items()}
        texts, ids = list(queries.values()), list(queries)
        owners = rows.owner.tolist()
        found = {
            str(at): self._best(texts[owner], rows.of_row(at), k) for at, owner in enumerate(owners)
        }
        if owners == list(range(len(ids))):
            return dict(zip(ids, found.values(), strict=True))
        summed = sum_rows(found, [ids[owner] for owner in owners])
        return cut({query_id: summed.get(query_id, {}) for query_id in ids}, k)

    def _best(self, text: str, row: Representation | None, k: int) -> dict[str, float]:
        with java_errors(f"searching {self.searcher.index.path}"):
            return self.searcher.best(self._terms(text, row), k)

    def _terms(self, text: str, row: Representation | None) -> dict[str, float]:
        """Return the weighted terms of a query, after feedback."""
        terms = self.words.terms(text, row)
        return terms if self._expander is None else self._expander.expand(terms)

    @cached_property
    def _expander(self) -> AnseriniFeedback | None:
        if self.feedback is None:
            return None
        english = self.facts["language"] == ENGLISH
        return AnseriniFeedback(self.searcher, self.feedback, english)

    def match(self, query: str, rows: Representation | None, document_id: str) -> OutsideMatch:
        """Score a document, word by word."""
        parts: dict[str, float] = {}
        for row in [None] if rows is None else map(rows.of_row, range(len(rows))):
            with self._narrowed() as narrowed, java_errors(f"searching {self.searcher.index.path}"):
                terms = narrowed._terms(query, row)  # after feedback from what may be found
                found = self.searcher.parts(terms, document_id)
            for word, part in found.items():
                parts[word] = parts.get(word, 0.0) + part
        impacts = self.facts["similarity"] == IMPACT
        return OutsideMatch(sum(parts.values()), parts, _UNIT if impacts else "")

    def close(self) -> None:
        """Let go of the files."""
        with java_errors(f"closing {self.searcher.index.path}"):
            self.searcher.index.close()


@dataclass(frozen=True)
class _JoinedIds:
    """Ids of an index that a Lucene index is joined to; its own are read when first asked for."""

    index: AnseriniIndex
    ids: Sequence[str]

    def mask(self, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return (documents of Lucene,) True where the id of one is kept."""
        found: NDArray[np.bool_] = np.append(kept, False)[self._places]  # -1 is the last
        return found

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        with java_errors(f"reading the ids of {self.index.path}"):
            return self.index.places(self.ids)


def open_lucene(
    place: str,
    options: AnseriniOptions | None = None,
    encoders: Mapping[str, Encoder] | None = None,
) -> AnseriniChannel:
    """Open a Lucene index that Anserini or pyserini made.

    Args:
        place: its folder, or the name of a prebuilt index in pyserini's cache.
        options: how it is searched.
        encoders: channel -> encoder, some of which may have the words of an impact index.

    Raises:
        OSError: a file cannot be read.
        ValueError: there is no such index, it is damaged or of another kind, or Java is missing.
    """
    options = options or AnseriniOptions()
    with java_errors(f"opening {place}"):
        index = AnseriniIndex.open(find_lucene_folder(place))
        try:
            return _channel(index, options, encoders or {})
        except BaseException:
            index.close()
            raise


def _channel(
    index: AnseriniIndex, options: AnseriniOptions, encoders: Mapping[str, Encoder]
) -> AnseriniChannel:
    impacts = index.is_impact if options.kind == "auto" else options.kind == "impact"
    facts: dict[str, Any] = {
        "kind": "lucene",
        "path": str(index.path.resolve()),
        "documents": index.documents,
        "lucene": index.version,
    }
    if not impacts:
        facts["similarity"] = f"bm25 k1={options.k1:g} b={options.b:g}"
        known = options.language != WHITESPACE
        facts["language"] = language_name(options.language) if known else WHITESPACE
        feedback = read_feedback(options.feedback)
        if feedback:
            facts["feedback"] = str(feedback)
        search = AnseriniSearch(index, bm25(options.k1, options.b))
        words = AnalysedWords.of(options.language)
        channel = AnseriniChannel(search, words, facts, feedback)
        _ = channel._expander  # or say now what is wrong with it
        return channel
    what = f"{index.path} is {'' if index.is_impact else 'to be searched as '}an impact index"
    if options.feedback:
        raise ValueError(f"{what}; feedback is of text indexes")
    name = options.words or next(
        (name for name, each in encoders.items() if token_vocabulary(each) is not None), ""
    )
    if name not in encoders:
        raise ValueError(
            f"{what}: it is searched with the words of a sparse channel; "
            + (f"there is no channel {name!r}" if name else "add one to those that are searched")
        )
    facts |= {"similarity": IMPACT, "words": name}
    return AnseriniChannel(
        AnseriniSearch(index, impact()), ModelWords.of(encoders[name], name, index), facts
    )
