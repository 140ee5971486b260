"""Push an index into a collection of Milvus: what is there already is left as it is."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embedder.arguments import check_fields, check_options, check_path, check_text
from embedder.progress import Progress
from index.folder import Index
from retrieval.milvus.connection import MilvusCollection
from retrieval.milvus.entities import Entities
from retrieval.milvus.place import MilvusPlace
from retrieval.milvus.recipe import (
    DenseIndex,
    Recipe,
    check_channels,
    check_schema,
    create_collection,
    index_collection,
)


@dataclass(frozen=True, slots=True)
class PushOptions:
    """How an index is pushed.

    Attributes:
        dense_index: "hnsw", "ivf" or "flat", which is exact; of dense channels.
        batch: rows that are sent at a time.
        overwrite: replace a collection that was pushed from another index.

    >>> lw.PushOptions(dense_index="flat").batch
    500
    """

    dense_index: DenseIndex = "hnsw"
    batch: int = 500
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.dense_index not in ("hnsw", "ivf", "flat"):
            raise ValueError(f"dense_index is hnsw, ivf or flat; got {self.dense_index!r}")
        if not 1 <= self.batch <= 10_000:
            raise ValueError(f"a batch has 1 to 10,000 rows; got {self.batch}")


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did.

    Attributes:
        place: milvus:URI/COLLECTION, for `lastword.open`.
        documents: of the index, all of which are there now.
        rows: that stand for them.
        written: rows that were new or other than before.
        deleted: rows that were there and are no longer of the index.
        digest: of all rows, as they were found on the server afterwards.

    >>> report = lw.push(index.path, "milvus:copy.db/docs")
    >>> report.documents, report.written, report.deleted
    (2, 2, 0)
    """

    place: str
    documents: int
    rows: int
    written: int
    deleted: int
    digest: str


def push_index(
    path: str | Path,
    to: str,
    options: PushOptions | None = None,
    progress: Progress | None = None,
) -> PushReport:
    """Bring a collection of Milvus to what an index is; interrupted, the same call goes on.

    Args:
        path: folder of an index.
        to: "milvus:URI/COLLECTION", e.g. "milvus:http://localhost:19530/docs"; the environment
            variable MILVUS_TOKEN holds a token or NAME:PASSWORD.
        options: how.
        progress: called with the number of documents that were looked at so far.

    Raises:
        TypeError: an argument is of another type.
        ImportError: pymilvus is not installed.
        ConnectionError: the server does not answer.
        ValueError: the index does not fit into a collection, the collection is of another index,
            or afterwards it is not what was pushed.

    >>> lw.push(index.path, "milvus:copy.db/docs").place
    'milvus:copy.db/docs'
    >>> with lw.open("milvus:copy.db/docs") as copy:
    ...     copy.search("how do I rotate a key", k=1)[0].id
    '1'
    """
    check_path(path, "path")
    check_text(to, "to")
    check_options(options, PushOptions)
    options, place = options or PushOptions(), MilvusPlace.parse(to)
    with Index.open(path) as index:
        if index.unfinished is not None:
            raise ValueError(f"{index.path} is not finished; finish its build, then push it")
        check_channels(index.manifest)
        collection = MilvusCollection(place)
        try:
            return _Push(index, collection, options, progress or (lambda documents: None)).run()
        finally:
            collection.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Push:
    """One push.

    Attributes:
        index: opened.
        collection: reached.
        options: how.
        progress: see `push_index`.
    """

    index: Index
    collection: MilvusCollection
    options: PushOptions
    progress: Progress

    def run(self) -> PushReport:
        """Write, delete and verify."""
        entities = Entities(self.index)
        moved = {
            name: {str(term): at for term, at in words.columns.moved.items()}
            for name, words in entities.words.items()
        }
        recipe = replace(Recipe.of(self.index.manifest, self.options.dense_index), moved=moved)
        before = self._prepare(recipe)
        left = self._digests()
        wanted, written, kept = _RowsDigest(), 0, dict(left)
        for batch in self._changed(entities, left, kept, wanted):
            if not written:
                self._begin(recipe, before)
            self.collection.upsert(batch)
            written += len(batch)
        if kept and not written:
            self._begin(recipe, before)
        self._delete(list(kept))
        complete = replace(recipe, documents=self.index.documents, digest=wanted.text())
        self._verify(wanted)
        if complete != before:
            self.collection.set_properties(complete.to_properties())
        return PushReport(
            str(self.collection.place),
            self.index.documents,
            len(wanted),
            written,
            len(kept),
            complete.digest,
        )

    def _prepare(self, recipe: Recipe) -> Recipe:
        """Return the recipe of the collection, which is made where there is none.

        Raises:
            ValueError: there is one of another index.
        """
        place = self.collection.place
        if self.collection.exists():
            if self.options.overwrite:
                self.collection.drop()
            else:
                before = Recipe.read(place, self.collection.describe()[1])
                if _channels(before) != _channels(recipe):
                    raise ValueError(
                        f"{place} was pushed from an index of other channels, encoders or options; "
                        "give another name, or replace it with --overwrite"
                    )
                check_schema(self.collection, before)
                index_collection(self.collection, before)
                return before
        create_collection(self.collection, recipe)
        index_collection(self.collection, recipe)
        return recipe

    def _begin(self, recipe: Recipe, before: Recipe) -> None:
        """Say that the collection is not what its recipe says until the push is over."""
        if before != recipe:
            self.collection.set_properties(recipe.to_properties())

    def _changed(
        self, entities: Entities, left: dict[str, str], kept: dict[str, str], wanted: "_RowsDigest"
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield what the server has not, in batches; take from `kept` what the index has."""
        batch: list[dict[str, Any]] = []
        for done, rows in enumerate(entities, start=1):
            for entity in rows:
                key, digest = entity["key"], entity["digest"]
                wanted.add(key, digest)
                kept.pop(key, None)
                if left.get(key) != digest:
                    batch.append(entity)
                if len(batch) == self.options.batch:
                    yield batch
                    batch = []
            self.progress(done)
        if batch:
            yield batch

    def _delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), self.options.batch):
            self.collection.delete(keys[start : start + self.options.batch])

    def _digests(self) -> dict[str, str]:
        stream = self.collection.stream("row >= 0", ["key", "digest"])
        return {str(entity["key"]): str(entity["digest"]) for entity in stream}

    def _verify(self, wanted: "_RowsDigest") -> None:
        self.collection.flush()
        found = _RowsDigest()
        for key, digest in self._digests().items():
            found.add(key, digest)
        if len(found) != len(wanted) or found.text() != wanted.text():
            raise ValueError(
                f"{self.collection.place} holds {len(found):,} rows after the push, and not the "
                f"{len(wanted):,} of the index: does another program write to it? Push again"
            )


class _RowsDigest:
    """Digest of a set of rows, in whatever order they come."""

    def __init__(self) -> None:
        self._sum, self._count = 0, 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: str, digest: str) -> None:
        """Take a row in; each once."""
        hashed = hashlib.blake2b(f"{digest} {key}".encode(), digest_size=32).digest()
        self._sum = (self._sum + int.from_bytes(hashed, "big")) % (1 << 256)
        self._count += 1

    def text(self) -> str:
        """Return it, in hexadecimal digits."""
        return f"{self._sum:064x}"


def _channels(recipe: Recipe) -> tuple[Any, ...]:
    """Return what must be the same of a collection and what is pushed into it."""
    return recipe.index["channels"], recipe.index["passages"], recipe.dense_index
