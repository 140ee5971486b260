"""A Lucene index that Anserini wrote, read only: the best of its documents for weighted terms."""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.lucene.jvm import from_json, java_class, to_json
from index.lucene.narrowed import narrowed_reader

ID, CONTENTS = "id", "contents"  # fields of Anserini
_SAMPLE = 100  # documents whose norms are looked at
_AT_ONCE = 50_000  # ids that are read back from Java


@dataclass(frozen=True)
class AnseriniIndex:
    """One commit of a Lucene index; its methods are called within `java_errors`.

    Attributes:
        path: its folder.
        version: of the Lucene that wrote it.
        reader: Java's IndexReader, which this object holds one reference to.
    """

    path: Path
    version: str
    reader: Any

    @staticmethod
    def open(path: Path) -> "AnseriniIndex":
        """Open the last commit; nothing is written.

        Raises:
            OSError: a file cannot be read.
            ValueError: it is damaged, too old or too new, or was not written by Anserini.
        """
        place = str(path.resolve())
        folder = java_class("java.nio.file.Paths").get(place)
        directory = java_class("org.apache.lucene.store.FSDirectory").open(folder)
        commit = java_class("org.apache.lucene.index.SegmentInfos").readLatestCommit(directory)
        version = commit.getCommitLuceneVersion()
        reader = java_class("io.anserini.index.IndexReaderUtils").getReader(place)
        index = AnseriniIndex(path, version.toString() if version else "", reader)
        index._check_fields()
        return index

    def _check_fields(self) -> None:
        if self.documents == 0:
            raise ValueError(f"{self.path} holds no documents")
        infos = self._fields
        missing = [name for name in (ID, CONTENTS) if infos.fieldInfo(name) is None]
        if missing or self.reader.getDocCount(CONTENTS) == 0:
            names = sorted(info.name for info in _listed(infos.iterator()))
            raise ValueError(
                f"{self.path} is no text index of Anserini's: expected the fields {ID} and "
                f"{CONTENTS}; it has {', '.join(names)}"
            )

    def share(self) -> "AnseriniIndex":
        """Return the same index with a reference of its own; each is closed once."""
        self.reader.incRef()
        return AnseriniIndex(self.path, self.version, self.reader)

    def close(self) -> None:
        """Let go of the files, where no other reference holds them."""
        self.reader.decRef()

    @property
    def documents(self) -> int:
        """Number of live documents."""
        return int(self.reader.numDocs())

    @cached_property
    def has_vectors(self) -> bool:
        """Whether the terms of each document are stored, which feedback needs."""
        return bool(self._fields.fieldInfo(CONTENTS).hasVectors())

    @cached_property
    def is_impact(self) -> bool:
        """Whether weights of terms are impacts, not counts: lengths of documents are all kept as 1.

        Anserini's BM25 keeps the number of words of a document there.
        """
        documents = self._largest_part.maxDoc()
        norms = self._largest_part.getNormValues(CONTENTS)
        if norms is None:
            return False
        seen = [
            norms.longValue()
            for document in range(0, documents, max(1, documents // _SAMPLE))
            if norms.advanceExact(document)
        ]
        weights, holders = (
            self.reader.getSumTotalTermFreq(CONTENTS),
            self.reader.getDocCount(CONTENTS),
        )
        return set(seen) == {1} and weights > holders

    def terms_from(self, start: str, count: int) -> list[str]:
        """Return the first terms of the largest segment that do not sort before a text."""
        walk = self._largest_part.terms(CONTENTS).iterator()
        found: list[str] = []
        state = walk.seekCeil(java_class("org.apache.lucene.util.BytesRef")(start.encode()))
        term = None if state.name() == "END" else walk.term()
        while term is not None and len(found) < count:
            found.append(str(term.utf8ToString()))
            term = walk.next()
        return found

    def document_frequency(self, term: str) -> int:
        """Return how many documents hold a term, deleted ones included."""
        return int(self.reader.docFreq(java_class("org.apache.lucene.index.Term")(CONTENTS, term)))

    def only(self, ids: Sequence[str]) -> tuple[Any, int]:
        """Return Java's query for documents by their ids, and how many documents it finds."""
        query = java_class("org.apache.lucene.search.TermInSetQuery")(ID, _byte_texts(ids))
        return query, int(self._plain_searcher.count(query))

    @cached_property
    def may_repeat_ids(self) -> bool:
        """Whether documents may have equal ids, which a single segment alone rules out."""
        parts = [leaf.reader() for leaf in _listed(self.reader.leaves().iterator())]
        ids = [part.terms(ID) for part in parts]
        return len(ids) > 1 or any(each.size() != each.getDocCount() for each in ids)

    def count_ids(self, ids: Sequence[str]) -> int:
        """Return how many of some ids stand in the index, however often."""
        found = 0
        for at in range(0, len(ids), _AT_ONCE):
            query, documents = self.only(ids[at : at + _AT_ONCE])
            best = self._plain_searcher.search(query, max(1, documents), _by_id())
            found += len({hit["fields"][0]["bytes"] for hit in to_json(best)["scoreDocs"]})
        return found

    def places(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return (reader.maxDoc(),) the place of each document's id among some, -1 for none."""
        found = np.full(self.reader.maxDoc(), -1, np.int64)
        numbers = {name: at for at, name in enumerate(ids)}
        for at in range(0, len(ids), _AT_ONCE):
            query, documents = self.only(ids[at : at + _AT_ONCE])
            best = self._plain_searcher.search(query, max(1, documents), _by_id())
            for hit in to_json(best)["scoreDocs"]:
                field = hit["fields"][0]
                name = b64decode(field["bytes"])[field["offset"] :][: field["length"]]
                found[hit["doc"]] = numbers[name.decode()]
        return found

    @contextmanager
    def among(self, kept: NDArray[np.bool_]) -> Iterator["AnseriniIndex"]:
        """Give the same index of which some documents alone are found, see `narrowed_reader`."""
        with narrowed_reader(self.reader, kept) as reader:
            yield AnseriniIndex(self.path, self.version, reader)

    @cached_property
    def _fields(self) -> Any:  # noqa: ANN401
        return java_class("org.apache.lucene.index.FieldInfos").getMergedFieldInfos(self.reader)

    @cached_property
    def _largest_part(self) -> Any:  # noqa: ANN401
        parts = [leaf.reader() for leaf in _listed(self.reader.leaves().iterator())]
        return max(parts, key=lambda part: part.maxDoc())

    @cached_property
    def _plain_searcher(self) -> Any:  # noqa: ANN401
        return java_class("org.apache.lucene.search.IndexSearcher")(self.reader)


def _by_id() -> Any:  # noqa: ANN401
    """Return Java's order by id, which comes along with what is found."""
    field = java_class("org.apache.lucene.search.SortField")
    text = java_class("org.apache.lucene.search.SortField$Type").STRING_VAL
    return java_class("org.apache.lucene.search.Sort")(field(ID, text))


def _listed(iterator: Any) -> list[Any]:  # noqa: ANN401
    """Read a Java iterator to its end."""
    items = []
    while iterator.hasNext():
        items.append(iterator.next())
    return items


def _byte_texts(texts: Sequence[str]) -> Any:  # noqa: ANN401
    """Return Java's list of Lucene's byte strings, made in one go: a call a text takes 30 us."""
    each = (text.encode() for text in texts)
    fields = [
        {"bytes": b64encode(data).decode(), "offset": 0, "length": len(data)} for data in each
    ]
    return from_json(fields, "org.apache.lucene.util.BytesRef")
