"""One immutable segment, read: its documents, its channels, and which of them are live."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.channels.dense import FLAT, DenseChannel, open_dense
from index.channels.postings import Postings
from index.channels.postings_files import open_inverted
from index.document_store import DocumentStore
from index.filters.column import Columns
from index.lucene.segment_files import LuceneRows
from index.manifest import ChannelSpec, Manifest
from index.segment_record import SegmentRecord
from index.storage.arrays import ascends, open_array
from index.storage.checksums import CURE, check_folder, is_remembered, key_of, remember
from index.storage.layout import APPROXIMATE, DOCUMENTS, OWNER, PASSAGES


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
        """Open the documents under a segment's folder.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file is damaged, or not what the record says.
        """
        store = DocumentStore(folder / DOCUMENTS)
        try:
            if len(store) != record.documents:
                raise ValueError(
                    f"{folder} is damaged: the manifest has {record.documents} documents; "
                    f"{DOCUMENTS} has {len(store)}; {CURE}"
                )
            return LiveDocuments(record.name, store, _live(folder, record))
        except BaseException:
            store.close()
            raise

    def find(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the ordinals of those ids that are here and live."""
        ordinals, live = self.store.find(ids), self.live
        return {name: at for name, at in ordinals.items() if live is None or live[at]}

    def without(self, ordinals: Sequence[int]) -> "LiveDocuments":
        """Return the same with some documents deleted."""
        live = np.ones(len(self.store), np.bool_) if self.live is None else self.live.copy()
        live[list(ordinals)] = False
        return replace(self, live=live)


@dataclass(frozen=True, slots=True, eq=False)
class SegmentRows:
    """Rows of one channel of a segment.

    Attributes:
        content: the dense rows, or the postings before they are weighed, or Lucene's.
        owner: (rows,) int32, non-decreasing: passage that a row stands for.
        documents: (rows,) int32, non-decreasing: ordinal of the document that it belongs to.
        live: (rows,) True where the document is not deleted; None means all.
        single: every document has exactly one row.
    """

    content: DenseChannel | Postings | LuceneRows
    owner: NDArray[np.int32]
    documents: NDArray[np.int32]
    live: NDArray[np.bool_] | None
    single: bool

    def close(self) -> None:
        """Close the files of FAISS and Lucene."""
        if not isinstance(self.content, Postings):
            self.content.close()

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
        columns: their metadata, by field.
        passages: (passages, 3) int64: ordinal of the document, start and end in its text.
        channels: name -> rows.
    """

    record: SegmentRecord
    documents: LiveDocuments
    columns: Columns
    passages: NDArray[np.int64]
    channels: Mapping[str, SegmentRows]

    @staticmethod
    def open(folder: Path, record: SegmentRecord, channels: Mapping[str, ChannelSpec]) -> "Segment":
        """Open every file, so that a merge may unlink them from now on.

        Every number that leads somewhere is looked at, once for the same files in a process;
        checksums are left to `damaged_files`, but for files of FAISS and Lucene.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file is damaged, a link, or not what the record says.
        """
        check_folder(folder)
        for name in channels:
            check_folder(folder / name)
        for name, file in record.files.items():
            file.check_size(folder / name)
        key = ("segment", *key_of(folder, record.files))
        sound = is_remembered(key)
        documents = LiveDocuments.open(folder, record)
        rows: dict[str, SegmentRows] = {}
        try:
            passages = open_array(folder / PASSAGES, np.int64, (record.passages, 3))
            if not sound:
                _check_passages(passages, record.documents, folder / PASSAGES)
            opening = _Opening(folder, record, documents.live, passages[:, 0], sound)
            for name, spec in channels.items():
                rows[name] = opening.rows(spec)
        except BaseException:
            documents.store.close()
            for opened in rows.values():
                opened.close()
            raise
        if not sound:
            remember(key, *((folder / name).lstat() for name in record.files))
        columns = Columns(record.documents, documents.live, documents.store.metadata)
        return Segment(record, documents, columns, passages, rows)

    def close(self) -> None:
        """Close documents, FAISS and Lucene; arrays are unmapped when nobody refers to them."""
        self.documents.store.close()
        for rows in self.channels.values():
            rows.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Opening:
    """A segment that is being opened.

    Attributes:
        folder: of it.
        record: what the manifest says of it.
        live: (documents,) True where not deleted; None means all.
        ordinals: (passages,) int64 document of each passage.
        sound: whether its numbers are known to be sound.
    """

    folder: Path
    record: SegmentRecord
    live: NDArray[np.bool_] | None
    ordinals: NDArray[np.int64]
    sound: bool

    def rows(self, spec: ChannelSpec) -> SegmentRows:
        """Open one channel."""
        count = self.record.rows[spec.name]
        path = self.folder / spec.name / OWNER
        owner = open_array(path, np.int32, (count,))
        if not self.sound:
            _check_owner(owner, self.record.passages, path)
        content = self._open_content(spec, count)
        documents = self.ordinals[owner].astype(np.int32)
        return SegmentRows(
            content=content,
            owner=owner,
            documents=documents,
            live=None if self.live is None else self.live[documents],
            single=bool(np.array_equal(documents, np.arange(self.record.documents))),
        )

    def _open_content(self, spec: ChannelSpec, count: int) -> DenseChannel | Postings | LuceneRows:
        place, dim = self.folder / spec.name, spec.dim if count else None
        if spec.factory is not None:
            factory = FLAT if self.record.searched_exactly(spec.name) else spec.factory
            file = self.record.files.get(f"{spec.name}/{APPROXIMATE}")
            return open_dense(place, factory, (count, dim), file, spec.dtype)
        if spec.form == "lucene" and spec.weighting is not None:
            prefix, all_files = f"{spec.name}/", self.record.files.items()
            names = {name: file for name, file in all_files if name.startswith(prefix)}
            files = {name.removeprefix(prefix): file for name, file in names.items()}
            return LuceneRows(place, spec.weighting, (count, spec.dim or 1), files)
        postings = open_inverted(place, self.sound)
        if postings.rows != count or dim not in (None, postings.columns):
            raise ValueError(
                f"{place} is damaged: the manifest has {count} rows of width {dim}; "
                f"the files have {postings.rows} of {postings.columns}; {CURE}"
            )
        return postings


def _live(folder: Path, record: SegmentRecord) -> NDArray[np.bool_] | None:
    """Return which documents are not deleted, None where all are there."""
    if record.tombstone is None:
        return None
    path = folder / record.tombstone
    deleted = open_array(path, np.int64, (record.deleted,))
    if not ascends(deleted, strictly=True) or not 0 <= deleted[0] <= deleted[-1] < record.documents:
        raise ValueError(
            f"{path} is damaged: deleted documents must rise within 0 to {record.documents - 1}; "
            f"{CURE}"
        )
    live = np.ones(record.documents, np.bool_)
    live[deleted] = False
    return live


def _check_passages(passages: NDArray[np.int64], documents: int, path: Path) -> None:
    """Refuse passages that are not of every document in turn, or end before they start."""
    ordinals = passages[:, 0]
    steps = np.diff(ordinals)
    in_turn = not len(ordinals) or (ordinals[0] == 0 and ordinals[-1] == documents - 1)
    if not in_turn or (len(steps) and not 0 <= steps.min() <= steps.max() <= 1):
        raise ValueError(
            f"{path} is damaged: passages must be of documents 0 to {documents - 1} in turn; {CURE}"
        )
    if not ((passages[:, 1] >= 0) & (passages[:, 1] <= passages[:, 2])).all():
        raise ValueError(f"{path} is damaged: a passage must start before it ends; {CURE}")


def _check_owner(owner: NDArray[np.int32], passages: int, path: Path) -> None:
    """Refuse owners that fall, or are no passages."""
    if len(owner) and not (
        ascends(owner, strictly=False) and 0 <= owner[0] <= owner[-1] < passages
    ):
        raise ValueError(
            f"{path} is damaged: owners of rows must not fall, within 0 to {passages - 1}; {CURE}"
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


def damaged_files(folder: Path, records: Iterable[SegmentRecord], anew: bool = False) -> list[str]:
    """List the files of segments in a folder that are not what their records say, in words.

    Args:
        folder: of all segments.
        records: of those that are looked at.
        anew: also files that this process has read before and that nobody wrote to since.

    Raises:
        OSError: a file cannot be read, which says nothing about damage.
    """
    problems = []
    for segment in records:
        for name, expected in segment.files.items():
            path = folder / segment.name / name
            try:
                check_folder(folder / segment.name)
                check_folder(path.parent)
                expected.check(path, anew)
            except (FileNotFoundError, ValueError) as error:
                problems.append(str(error))
    return problems


def refuse_damage(folder: Path, records: Iterable[SegmentRecord]) -> None:
    """Compare with checksums what is about to be written anew, which gets a new one that fits.

    Raises:
        ValueError: a file is damaged.
    """
    if problems := damaged_files(folder, records):
        raise ValueError(f"{'; '.join(problems)}; nothing was changed")
