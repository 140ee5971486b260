"""An index folder: its manifest, and Index, which reads one generation of it.

manifest.json     the last commit; replaced in one step, so it is always a whole generation
sources-*.json    where documents came from, where that is remembered; see retrieval/sources
lock              held by the one writer
segments/NNNNNN/  immutable; documents.sqlite, passages.npy, a folder per channel,
                  and deleted-GENERATION.npy once documents were deleted
cache/            encoded texts of a build that is under way
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedder.types import Representation
from index.base import Hits, RowIds
from index.channel import ChannelRows, Match
from index.channels.post_fit import PostFit
from index.documents import Document, UnknownDocumentError
from index.manifest import ChannelSpec, Ingest, Manifest, Passages
from index.manifest_file import read_manifest
from index.segment import Segment, damaged_files, open_segments
from index.storage.checksums import check_folder
from index.storage.layout import SEGMENTS
from index.storage.remembered import damaged_sources


class Index:
    """One generation of an index, read-only; later commits do not change it.

    Every file is mapped when it is opened, so that a writer may remove old segments at any time.
    Rows of a channel are numbered through all segments, deleted ones included. Safe to share
    between threads.
    """

    def __init__(self, path: Path, manifest: Manifest, segments: Sequence[Segment]) -> None:
        self.path, self.manifest, self._segments = path, manifest, segments
        starts = list(accumulate((record.documents for record in manifest.segments), initial=0))
        self._document_starts = starts
        self._channels = {
            name: ChannelRows(spec, segments, starts) for name, spec in manifest.channels.items()
        }

    @staticmethod
    def open(path: str | Path) -> "Index":
        """Open the last committed generation.

        Raises:
            FileNotFoundError: there is no such folder.
            OSError: a file cannot be read, which says nothing about damage.
            ValueError: it is no index, has another format, or a file is missing or damaged.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        check_folder(folder / SEGMENTS)
        while True:
            try:
                return Index(folder, manifest, open_segments(folder / SEGMENTS, manifest))
            except (OSError, ValueError, RuntimeError) as error:
                newer = read_manifest(folder)
                if newer.generation == manifest.generation:
                    if isinstance(error, FileNotFoundError):
                        raise ValueError(f"{folder} is damaged: {error}") from error
                    raise
                manifest = newer  # a merge took the files away while they were being opened

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        for segment in self._segments:
            segment.close()

    def with_fits(self, fits: Mapping[str, PostFit | None]) -> "Index":
        """Return the same generation, of the same open files, that changes queries otherwise.

        `fits`: channel -> what is done to the rows of its queries, None for nothing.
        """
        other = copy(self)
        changed = {name: self.channel_rows(name).with_fit(fit) for name, fit in fits.items()}
        other._channels = self._channels | changed
        return other

    def with_channel(self, rows: ChannelRows) -> "Index":
        """Return the same generation with other rows of a channel, e.g. changed ones."""
        other, name = copy(self), rows.spec.name
        other._channels = self._channels | {name: rows}
        other.manifest = replace(self.manifest, channels=self.channels | {name: rows.spec})
        return other

    @property
    def generation(self) -> int:
        """Number of the commit that is read."""
        return self.manifest.generation

    @property
    def channels(self) -> dict[str, ChannelSpec]:
        """The channels by name."""
        return dict(self.manifest.channels)

    @property
    def documents(self) -> int:
        """Number of live documents."""
        return self.manifest.documents

    @property
    def deleted(self) -> int:
        """Number of deleted documents that a merge would drop."""
        return sum(record.deleted for record in self.manifest.segments)

    @property
    def segments(self) -> int:
        """Number of segments."""
        return len(self.manifest.segments)

    @property
    def opened(self) -> Sequence[Segment]:
        """The segments as they are mapped, for `index.live_rows`."""
        return self._segments

    @property
    def bytes(self) -> int:
        """Size on disk of this generation."""
        return sum(file.bytes for one in self.manifest.segments for file in one.files.values())

    @property
    def unfinished(self) -> Ingest | None:
        """The build or addition that was interrupted, None where everything is complete."""
        return self.manifest.ingest

    @property
    def passages(self) -> Passages | None:
        """How documents are cut, None where they are not."""
        return self.manifest.passages

    def rows(self, channel: str) -> int:
        """Return the number of rows of a channel, deleted ones included."""
        return self.channel_rows(channel).total

    def search(self, channel: str, queries: Representation, k: int) -> Hits:
        """Return the best rows of a channel, enough of them for k distinct documents.

        Where documents have several rows, a query's hits may be wider than k; where there are
        fewer than k documents, narrower. Where fewer documents match, hits are padded.

        Args:
            channel: name of it.
            queries: one row per query, of the channel's kind and width.
            k: documents wanted per query, at least 1.
        """
        if k < 1:
            raise ValueError(f"a search is for at least 1 document; got k={k}")
        return self.channel_rows(channel).search(queries, min(k, max(1, self.documents)))

    def row_ids(self, channel: str) -> RowIds:
        """Return the document id of every row of a channel; ids are read when asked for."""
        return RowIds(self.channel_rows(channel).documents, self.document_ids)

    def passage(self, channel: str, row: int) -> tuple[int, int]:
        """Return where the passage that a row stands for starts and ends in `Document.text`."""
        rows = self.channel_rows(channel)
        at = bisect_right(rows.starts, row) - 1
        segment = self._segments[at]
        owner = segment.channels[channel].owner[row - rows.starts[at]]
        _, start, end = segment.passages[owner].tolist()
        return start, end

    def matches(self, channel: str, query: Representation, document_id: str) -> list[Match]:
        """Return what every row of a document says to a query of one row, in row order.

        Raises:
            ValueError: the document is unknown or deleted.
        """
        at, ordinal = self.locate([document_id])[document_id]
        return self.channel_rows(channel).matches(query, at, ordinal)

    def vectors(self, channel: str, document_id: str) -> NDArray[np.float32]:
        """Return the rows of a document in a dense channel, (rows, dim) float32.

        Raises:
            ValueError: the document is unknown or deleted, or the channel is not dense.
        """
        if self.channel_rows(channel).spec.kind != "dense":
            raise ValueError(f"channel {channel!r} of {self.path} holds no dense vectors")
        dense = self.channel_rows(channel).read(self.rows_of(channel, document_id)).dense
        assert dense is not None
        return dense

    def rows_of(self, channel: str, document_id: str) -> NDArray[np.int64]:
        """Return the numbers of a document's rows in a channel, ascending.

        Raises:
            ValueError: the document is unknown or deleted.
        """
        at, ordinal = self.locate([document_id])[document_id]
        own = self._segments[at].channels[channel].of(ordinal)
        return np.arange(own.start, own.stop) + self.channel_rows(channel).starts[at]

    def document(self, document_id: str) -> Document:
        """Return a document.

        Raises:
            UnknownDocumentError: it is unknown or deleted.
            ValueError: a file is damaged.
        """
        at, ordinal = self.locate([document_id])[document_id]
        return self._segments[at].documents.store.document(ordinal)

    def document_ids(self, numbers: NDArray[np.int64]) -> list[str]:
        """Return the ids of documents by their ascending numbers, through all segments."""
        parts = np.split(numbers, np.searchsorted(numbers, self._document_starts[1:-1]))
        ids: list[str] = []
        for segment, part, start in zip(self._segments, parts, self._document_starts, strict=False):
            ids += segment.documents.store.ids_of((part - start).tolist())
        return ids

    def ids(self) -> list[str]:
        """Return the ids of the live documents in order, as `stream` does, without their texts."""
        ids: list[str] = []
        for segment in self._segments:
            live = segment.documents.live
            names = segment.documents.store.ids()
            ids += names if live is None else [names[at] for at in live.nonzero()[0]]
        return ids

    def stream(self) -> Iterator[Document]:
        """Yield the live documents in order."""
        for segment in self._segments:
            live = segment.documents.live
            for ordinal, document in segment.documents.store.stream():
                if live is None or live[ordinal]:
                    yield document

    def check(self) -> list[str]:
        """Compare the files of this generation with their checksums; see `check`."""
        sources = damaged_sources(self.path, self.manifest.sources)
        return damaged_files(self.path / SEGMENTS, self.manifest.segments, anew=True) + sources

    def channel_rows(self, channel: str) -> ChannelRows:
        """Return a channel.

        Raises:
            ValueError: there is none of that name.
        """
        try:
            return self._channels[channel]
        except KeyError:
            raise ValueError(
                f"{self.path} has no channel {channel!r}; it has {', '.join(self._channels)}"
            ) from None

    def locate(self, ids: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return segment and ordinal of each document; a segment is asked for all at once.

        Raises:
            UnknownDocumentError: one is unknown or deleted.
        """
        places, left = dict[str, tuple[int, int]](), list(dict.fromkeys(ids))
        for at, segment in enumerate(self._segments):
            found = segment.documents.find(left) if left else {}
            places |= {name: (at, ordinal) for name, ordinal in found.items()}
            left = [name for name in left if name not in found]
        if left:
            raise UnknownDocumentError(f"{self.path} has no document {left[0]!r}")
        return places


def check(path: str | Path) -> list[str]:
    """List what is wrong with an index, in words; nothing means that it is sound.

    Every file is read and compared with its size and checksum, and the index is opened.

    Raises:
        FileNotFoundError: there is no such folder.
        OSError: a file cannot be read, which says nothing about damage.
    """
    folder = Path(path)
    try:
        manifest = read_manifest(folder)
        check_folder(folder / SEGMENTS)
    except ValueError as error:
        return [str(error)]
    problems = damaged_files(folder / SEGMENTS, manifest.segments, anew=True)
    problems += damaged_sources(folder, manifest.sources)
    if not problems:
        try:
            Index.open(folder).close()
        except ValueError as error:
            problems.append(str(error))
    return problems
