"""One immutable segment, read: its documents, its channels, and which of them are live."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.checksums import FileRecord
from index.dense import FLAT, DenseChannel, open_dense
from index.documents import DocumentStore
from index.inverted import Postings, open_inverted
from index.manifest import ChannelSpec, Manifest, SegmentRecord

DOCUMENTS = "documents.sqlite"
PASSAGES = "passages.npy"
OWNER = "owner.npy"


@dataclass(frozen=True, slots=True, eq=False)
class LiveDocuments:
    """Documents of a segment, and which of them are not deleted.

    Attributes:
        name: of the segment.
        store: all documents, by ordinal.
        live: (documents,) True where not deleted; None means all.
    """

    name: str
    store: DocumentStore
    live: NDArray[np.bool_] | None

    @staticmethod
    def open(folder: Path, record: SegmentRecord) -> "LiveDocuments":
        """Open the documents under a segment's folder."""
        live = None
        if record.tombstone is not None:
            live = np.ones(record.documents, np.bool_)
            live[load_array(folder / record.tombstone)] = False
        return LiveDocuments(record.name, DocumentStore(folder / DOCUMENTS), live)

    def find(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the ordinals of those ids that are here and live."""
        found = self.store.find(ids)
        if self.live is None:
            return found
        return {name: ordinal for name, ordinal in found.items() if self.live[ordinal]}

    def without(self, ordinals: Sequence[int]) -> "LiveDocuments":
        """Return the same with some documents deleted."""
        live = np.ones(len(self.store), np.bool_) if self.live is None else self.live.copy()
        live[list(ordinals)] = False
        return replace(self, live=live)


@dataclass(frozen=True, slots=True, eq=False)
class SegmentRows:
    """Rows of one channel of a segment.

    Attributes:
        held: what can be searched or weighed.
        owner: (rows,) int32, non-decreasing: passage that a row stands for.
        documents: (rows,) int32, non-decreasing: ordinal of the document that it belongs to.
        live: (rows,) True where the document is not deleted; None means all.
        single: every document has exactly one row.
    """

    held: DenseChannel | Postings
    owner: NDArray[np.int32]
    documents: NDArray[np.int32]
    live: NDArray[np.bool_] | None
    single: bool

    def of(self, ordinal: int) -> range:
        """Return the rows of one document."""
        first, end = np.searchsorted(self.documents, [ordinal, ordinal + 1])
        return range(int(first), int(end))


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One segment of one generation, everything opened and memory-mapped.

    Attributes:
        record: what the manifest says of it.
        documents: its documents.
        passages: (passages, 3) int64: ordinal of the document, start and end in its text.
        channels: name -> rows.
    """

    record: SegmentRecord
    documents: LiveDocuments
    passages: NDArray[np.int64]
    channels: Mapping[str, SegmentRows]

    @staticmethod
    def open(folder: Path, record: SegmentRecord, channels: Mapping[str, ChannelSpec]) -> "Segment":
        """Open every file, so that a merge may unlink them from now on.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file is truncated or is not what the record says.
        """
        for name, file in record.files.items():
            file.check_size(folder / name)
        documents = LiveDocuments.open(folder, record)
        passages = load_array(folder / PASSAGES)
        if len(documents.store) != record.documents or len(passages) != record.passages:
            raise ValueError(
                f"{folder}: the manifest has {record.documents} documents in {record.passages} "
                f"passages; the files have {len(documents.store)} in {len(passages)}"
            )
        ordinals = passages[:, 0].astype(np.int32)  # (passages,)
        rows = {}
        for name, spec in channels.items():
            factory = FLAT if spec.factory and record.searched_exactly(name) else spec.factory
            rows[name] = _open_rows(folder / name, factory, ordinals, documents)
        return Segment(record, documents, passages, rows)

    def close(self) -> None:
        """Close the documents; arrays are unmapped when nobody refers to them."""
        self.documents.store.close()


def _open_rows(
    folder: Path, factory: str | None, ordinals: NDArray[np.int32], documents: LiveDocuments
) -> SegmentRows:
    owner = load_array(folder / OWNER)
    held: DenseChannel | Postings
    if factory is not None:
        held = open_dense(folder, factory)
    else:
        held = open_inverted(folder)
    if held.rows != len(owner):
        raise ValueError(f"{folder}: {held.rows} rows, but owners of {len(owner)}")
    row_documents = ordinals[owner]
    return SegmentRows(
        held=held,
        owner=owner,
        documents=row_documents,
        live=None if documents.live is None else documents.live[row_documents],
        single=bool(np.array_equal(row_documents, np.arange(len(documents.store)))),
    )


def open_segments(folder: Path, manifest: Manifest) -> list[Segment]:
    """Open all segments of a generation, or none."""
    opened: list[Segment] = []
    try:
        for record in manifest.segments:
            opened.append(Segment.open(folder / record.name, record, manifest.channels))
    except BaseException:
        for segment in opened:
            segment.close()
        raise
    return opened


def damaged_files(folder: Path, manifest: Manifest) -> list[str]:
    """List the files of segments in a folder that are not what the manifest says, in words."""
    problems = []
    for segment in manifest.segments:
        for name, expected in segment.files.items():
            path = folder / segment.name / name
            try:
                expected.check_size(path)
                got = FileRecord.of(path)
            except (OSError, ValueError) as error:
                problems.append(str(error))
                continue
            if got != expected:
                problems.append(
                    f"{path} is damaged: expected checksum {expected.digest}, got {got.digest}"
                )
    return problems


def load_array(path: Path) -> NDArray[Any]:
    """Memory-map a .npy file; Python objects in it are refused.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no array.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as an array: {error}") from error
    return array
