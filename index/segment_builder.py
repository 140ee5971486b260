"""One segment, written: documents and rows stream in, files and their checksums come out."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from embedder.files.durable import naming, open_append, open_new
from embedder.lucene.jvm import check_installed
from embedder.types import Float32Array, Representation, Role
from index.channels.approximate import TooFewRowsError
from index.channels.dense import FLAT, build_dense
from index.channels.inversion import invert
from index.channels.post_fit import PostFit
from index.channels.postings import Postings
from index.channels.postings_files import write_postings
from index.document_store import DocumentWriter
from index.documents import Document
from index.garbage import remove_segment
from index.lucene.writing import build_lucene
from index.manifest import ChannelSpec
from index.segment_record import SegmentRecord
from index.storage.arrays import write_array
from index.storage.checksums import FileRecord, flush_file, flush_tree
from index.storage.layout import DOCUMENTS, GATHERED, OWNER, PASSAGES

_BLOCK = 4096  # rows that are changed at a time: a segment's need not fit in memory


class SegmentBuilder:
    """Collects one segment in its folder, where nobody looks before it is committed.

    Texts go to disk at once and dense rows too; postings and owners stay in memory until
    `finish`. The same calls give the same bytes.

    Args:
        folder: made anew; what lay there was never committed.
        channels: what is held, by name.
        find_live: returns which of some ids may not be added; None leaves ids to `finish`.
    """

    def __init__(
        self,
        folder: Path,
        channels: Mapping[str, ChannelSpec],
        find_live: Callable[[list[str]], Container[str]] | None,
    ) -> None:
        if folder.exists():
            remove_segment(folder)
        folder.mkdir(parents=True)  # which fails where something is left that is not ours
        self.folder = folder
        self._documents = DocumentWriter(folder / DOCUMENTS)
        self._passages = array("q")  # document, start and end of each
        self._rows: dict[str, _Rows] = {}
        for name, spec in channels.items():
            (folder / name).mkdir()
            rows = _DenseRows if spec.kind == "dense" else _SparseRows
            self._rows[name] = rows(folder / name, spec)
        self.documents = 0
        self.passages = 0
        self._find_live = find_live
        self._numbers: dict[str, int] = {}
        self._unchecked: list[str] = []
        self._records: dict[str, FileRecord] = {}  # of files that are flushed already

    def add(self, document: Document, spans: Sequence[tuple[int, int]], number: int) -> None:
        """Append a document, which is encoded as one text for each (start, end) of its text.

        Args:
            document: its id must not be in this segment; see also `check_ids`.
            spans: at least one.
            number: of the document in its source, to name it in an error.

        Raises:
            ValueError: the id is in this segment already.
        """
        if not spans:
            raise ValueError(f"document {document.id!r} has no passage")
        if self._find_live is not None:
            before = self._numbers.setdefault(document.id, number)
            if before != number:
                raise ValueError(
                    f"document {document.id!r} comes twice: documents {before} and {number} "
                    "of the source have that id"
                )
            self._unchecked.append(document.id)
        self._documents.add([document])
        for span in spans:
            self._passages.extend((self.documents, *span))
        self.documents += 1
        self.passages += len(spans)

    def check_ids(self) -> None:
        """Compare ids with those of the index; cheap, and worth doing before texts are encoded.

        Raises:
            ValueError: a live document has an id that was added here.
        """
        live_ids = self._find_live(self._unchecked) if self._find_live else ()
        for name in filter(live_ids.__contains__, self._unchecked):
            raise ValueError(
                f"document {name!r} (number {self._numbers[name]} of the source) is in the "
                "index already; delete it first, or replace it: add --replace"
            )
        self._unchecked = []

    def close_documents(self) -> None:
        """Write and flush the documents, as `finish` does where this was not called before."""
        if not self._records:
            self.check_ids()
            self._documents.close()
            self._records[DOCUMENTS] = flush_file(self.folder / DOCUMENTS)

    @property
    def ids(self) -> list[str]:
        """Ids of the documents so far, where they are compared with others."""
        return list(self._numbers)

    def add_rows(self, channel: str, rows: Representation, texts: int) -> None:
        """Append the rows of the next `texts` passages of a channel."""
        into = self._rows[channel]
        if len(rows) and not 0 <= (first := rows.owner[0]) <= (last := rows.owner[-1]) < texts:
            raise ValueError(
                f"channel {channel!r}: rows of texts {first} to {last} for {texts} texts"
            )
        into.append(rows, rows.owner + into.passages)
        into.passages += texts

    def add_postings(
        self, channel: str, postings: Postings, owner: NDArray[np.int64], texts: int
    ) -> None:
        """Take all rows of a sparse channel as postings, and which of the texts each is of."""
        rows = self._rows[channel]
        assert isinstance(rows, _SparseRows) and not rows.passages, f"{channel!r} has other rows"
        rows.own(postings.columns, owner)
        rows.passages, rows.postings = texts, postings

    def dense_rows(self, channel: str) -> Float32Array:
        """Return the rows of a dense channel so far, (rows, dim) float32, mapped."""
        return self._dense(channel).vectors()

    def post_process(self, channel: str, fit: PostFit, queries: Sequence[str]) -> None:
        """Change the rows of a dense channel so far; those that come later are taken as given.

        Args:
            channel: name of it.
            fit: kept with the channel.
            queries: pseudo-queries that the fit was made with.
        """
        rows = self._dense(channel)
        rows.change(fit)
        rows.spec = replace(rows.spec, post=fit, pseudo_queries=tuple(queries), dim=fit.width)

    def _dense(self, channel: str) -> "_DenseRows":
        rows = self._rows[channel]
        assert isinstance(rows, _DenseRows), f"channel {channel!r} holds no dense vectors"
        return rows

    def finish(self) -> SegmentRecord:
        """Write and flush everything; the segment is then only waiting to be committed.

        Raises:
            OSError: the disk is full or cannot be written.
            ValueError: an id is taken, or a channel has not had all texts.
        """
        for name, rows in self._rows.items():
            if rows.passages != self.passages:
                got, wanted = rows.passages, self.passages
                raise ValueError(f"channel {name!r} has rows of {got} texts; expected {wanted}")
        self.close_documents()
        write_array(self.folder / PASSAGES, np.array(self._passages).reshape(-1, 3))
        for rows in self._rows.values():
            rows.write()
        return SegmentRecord(
            name=self.folder.name,
            documents=self.documents,
            passages=self.passages,
            rows={name: rows.count for name, rows in self._rows.items()},
            files=flush_tree(self.folder, self._records),
        )

    @property
    def channels(self) -> dict[str, ChannelSpec]:
        """The channels, with the width of their rows and what was done to them."""
        return {name: replace(rows.spec, dim=rows.dim) for name, rows in self._rows.items()}

    def abandon(self) -> None:
        """Remove what was written; for a segment that could not be finished."""
        self._documents.abandon()
        with suppress(OSError):
            remove_segment(self.folder)


class _Rows(ABC):
    """Rows of one channel on their way to disk: a width, and owners."""

    def __init__(self, folder: Path, spec: ChannelSpec) -> None:
        self.folder = folder
        self.spec = spec
        self.dim = spec.dim
        self.passages = 0
        self._owner: list[NDArray[np.int32]] = [np.zeros(0, np.int32)]

    @property
    def count(self) -> int:
        return sum(map(len, self._owner))

    @abstractmethod
    def append(self, rows: Representation, owner: NDArray[np.int64]) -> None: ...

    @abstractmethod
    def write(self) -> None:
        write_array(self.folder / OWNER, np.concatenate(self._owner))

    def own(self, width: int, owner: NDArray[np.int64]) -> None:
        if self.dim is not None and self.dim != width:
            name = self.spec.name
            raise ValueError(f"channel {name!r} holds rows of width {self.dim}; got {width}")
        self.dim = width
        self._owner.append(owner.astype(np.int32))


class _DenseRows(_Rows):
    """Dense rows, gathered in a file: a segment's vectors need not fit in memory."""

    def __init__(self, folder: Path, spec: ChannelSpec) -> None:
        super().__init__(folder, spec)
        self._gathered = folder / GATHERED
        open_new(self._gathered).close()

    def append(self, rows: Representation, owner: NDArray[np.int64]) -> None:
        if rows.dense is None:
            raise ValueError(f"channel {self.spec.name!r} is dense; the encoder gave no dense rows")
        self.own(rows.dense.shape[1], owner)
        with naming(self._gathered), open_append(self._gathered) as file:
            file.write(np.ascontiguousarray(rows.dense).data)

    def vectors(self) -> Float32Array:
        """Map the rows so far."""
        shape = (self.count, self.dim or 1)
        if not self.count:
            return np.zeros(shape, np.float32)
        return np.memmap(self._gathered, np.float32, mode="r", shape=shape)

    def change(self, fit: PostFit) -> None:
        """Write the rows so far anew, as `fit` changes documents."""
        before = self.vectors()
        self._gathered.unlink()  # what is mapped stays readable
        with naming(self._gathered), open_new(self._gathered) as file:
            for start in range(0, len(before), _BLOCK):
                changed = fit.change(np.asarray(before[start : start + _BLOCK]), Role.DOCUMENT)
                file.write(np.ascontiguousarray(changed).data)
        self.dim = fit.width

    def write(self) -> None:
        vectors, dtype = self.vectors(), self.spec.dtype
        try:
            build_dense(vectors, self.spec.factory or FLAT, self.folder, dtype)
        except TooFewRowsError:  # so few are searched exactly in no time; `lastword info` says so
            build_dense(vectors, FLAT, self.folder, dtype)
        self._gathered.unlink()
        super().write()


class _SparseRows(_Rows):
    """Sparse rows, gathered in memory."""

    def __init__(self, folder: Path, spec: ChannelSpec) -> None:
        super().__init__(folder, spec)
        if spec.form == "lucene":
            check_installed()  # before texts are encoded
        self._parts: list[csr_matrix] = []
        self.postings: Postings | None = None  # of all rows, where they came so

    def append(self, rows: Representation, owner: NDArray[np.int64]) -> None:
        if rows.sparse is None:
            name = self.spec.name
            raise ValueError(f"channel {name!r} is inverted; the encoder gave no sparse rows")
        self.own(rows.sparse.shape[1], owner)
        self._parts.append(rows.sparse)

    def write(self) -> None:
        if self.spec.form == "lucene":
            assert self.spec.weighting is not None
            build_lucene(self._matrix(), self.spec.weighting, self.folder)
        else:
            write_postings(self.postings or invert(self._matrix()), self.folder)
        super().write()

    def _matrix(self) -> csr_matrix:
        if self.postings is not None:
            return self.postings.to_csr()
        parts, self._parts = self._parts or [csr_matrix(np.zeros((0, 1), np.float32))], []
        return csr_matrix(vstack(parts, format="csr"))
