"""What agents may do with indexes: search, read a document, ask why it was found."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock

from embedder.progress import listening, tell_begun
from index.documents import UnknownDocumentError
from lastword.agents.answers import (
    DocumentPart,
    FoundPassage,
    FoundPassages,
    IndexSummary,
    Reasons,
)
from lastword.engine import SearchEngine

MOST_HITS = 50
MOST_CHARACTERS = 50_000  # of a document at a time


class AgentTools:
    """Tools over open indexes, as methods; another program's changes show at the next call.

    Calls take turns: there is one model, and remarks on an answer must not go to another.

    Args:
        engines: name -> open index.

    >>> tools = AgentTools({"notes": index})
    >>> tools.search("how do I rotate a key", k=1).hits[0].passage
    'rotate the key at night'
    """

    def __init__(self, engines: Mapping[str, SearchEngine]) -> None:
        if not engines:
            raise ValueError("an agent needs an index to search; give at least one")
        self._engines = dict(engines)
        self._turn = Lock()

    def search(self, query: str, index: str = "", k: int = 5, filter: str = "") -> FoundPassages:  # noqa: A002
        """Search an index: the passages that answer a question or are about a topic, best first.

        Use the words of the question; several short searches find more than one long one. To read
        more than the passage, give the id to get_document.

        Args:
            query: what to look for, in words or as a question.
            index: name of the index; not needed where there is one.
            k: how many documents, 1 to 50.
            filter: a condition on metadata, as in 'year >= 2020 and "tax" in tags'; list_indexes
                names the fields.
        """
        _check_range("k", k, 1, MOST_HITS)
        with self._turn, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            with listening(warnings.warn), self._opened(index) as (name, engine):
                hits = engine.search(query, k, filter=filter or None)
                remarks = [str(each.message) for each in caught if each.category is UserWarning]
                return FoundPassages(name, [FoundPassage.of(hit) for hit in hits], remarks)

    def get_document(
        self,
        id: str,  # noqa: A002
        index: str = "",
        start: int = 0,
        characters: int = 20_000,
    ) -> DocumentPart:
        """Read a document, or a part of a long one.

        Args:
            id: of the document, as search gives it.
            index: name of the index; not needed where there is one.
            start: first character; where an answer ends before the text does, go on at its end.
            characters: at most so many, 1 to 50,000.
        """
        _check_range("start", start, 0, 2**53)
        _check_range("characters", characters, 1, MOST_CHARACTERS)
        with self._turn, self._opened(index) as (name, engine), _named(name, id):
            return DocumentPart.of(name, engine.get(id), start, characters)

    def explain(self, query: str, id: str, index: str = "") -> Reasons:  # noqa: A002
        """Tell why a document was found for a query, or not: its rank in each channel, and words.

        Args:
            query: that was searched for.
            id: of the document.
            index: name of the index; not needed where there is one.
        """
        with self._turn, self._opened(index) as (name, engine), _named(name, id):
            return Reasons.of(name, engine.explain(query, id))

    def list_indexes(self) -> list[IndexSummary]:
        """List the indexes that can be searched: names, sizes, channels, and fields for filters."""
        summaries = []
        for known in self._engines:
            with self._turn, self._opened(known) as (name, engine):
                summaries.append(IndexSummary.of(name, engine))
        return summaries

    @property
    def all(self) -> tuple[Callable[..., object], ...]:
        """The tools, each with the name and the description that an agent sees."""
        return (self.search, self.get_document, self.explain, self.list_indexes)

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[str, SearchEngine]]:
        """Give an index as it is on disk now, by its name; as it was, where that is damaged.

        Raises:
            ValueError: there is no such index, or several and none was named.
        """
        names = ", ".join(self._engines)
        if not name and len(self._engines) > 1:
            raise ValueError(f"there are several indexes; name one of {names}")
        chosen = name or next(iter(self._engines))
        if chosen not in self._engines:
            raise ValueError(f"there is no index {chosen!r}; there is {names}")
        engine = self._engines[chosen]
        try:
            engine.refresh()
        except (ValueError, OSError) as error:
            tell_begun(f"{chosen}: {error}; it is searched on as it was.")
        yield chosen, engine


@contextmanager
def _named(index: str, document_id: str) -> Iterator[None]:
    """Say that an index lacks a document by the name that an agent knows, without its folder."""
    try:
        yield
    except (KeyError, UnknownDocumentError) as error:
        raise ValueError(
            f"index {index!r} has no document {document_id!r}; search gives ids as they are"
        ) from error


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least:,} to {most:,}; got {value:,}")
