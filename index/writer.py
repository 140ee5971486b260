"""IndexWriter: the one who changes an index: segments, deletions, merges, commits, garbage."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from embedder.files.durable import flush, remove_leftovers, replacing
from embedder.files.name_lists import first_repeated
from index.channels.post_fit import PostFit
from index.garbage import make_folder, remove_cache, remove_unnamed
from index.manifest import ChannelSpec, Ingest, Manifest, Passages
from index.manifest_file import MANIFEST, read_manifest, write_manifest
from index.merging import merge_segments
from index.segment import LiveDocuments, refuse_damage
from index.segment_builder import SegmentBuilder
from index.segment_record import SegmentRecord
from index.storage.checksums import FileRecord, check_folder
from index.storage.layout import DOCUMENTS, SEGMENTS, segment_name, tombstone_name
from index.storage.lock import only_writer
from index.storage.remembered import remove_other_sources, write_sources
from index.storage.written_ids import WrittenIds

LOCK = "lock"
CACHE = "cache"


class IndexWriter:
    """Changes an index under its lock; changes are staged, and `commit` makes all of them last.

    A context manager: the lock is held inside it, and what was not committed when it ends is
    dropped. Whatever goes wrong, and whenever the process dies, the last commit stands.

    Args:
        path: the folder.
        channels: given to make a new index, in a folder that is missing or empty; a `commit`
            without documents is legal.

    Raises:
        BlockingIOError: another writer is at work.
        FileNotFoundError: `channels` is not given and there is no such folder.
        ValueError: `channels` is not given and it is no index; or they are, and there is
            something in the folder already.
        OSError: the folder cannot be written.
    """

    def __init__(self, path: str | Path, channels: Sequence[ChannelSpec] | None = None) -> None:
        self.path = Path(path)
        specs = {spec.name: spec for spec in channels or ()}
        self._new = None if channels is None else Manifest(0, 1, specs)
        self._lock = ExitStack()
        self._documents: dict[str, LiveDocuments] = {}
        self._own = WrittenIds()  # of segments whose checksums were taken here, as they came

    def __enter__(self) -> "IndexWriter":
        try:
            if self._new is None:
                read_manifest(self.path)  # before a lock file is put into somebody's folder
            else:
                make_folder(self.path, (LOCK, CACHE, SEGMENTS, MANIFEST + ".partial"))
            for name in (SEGMENTS, CACHE):
                check_folder(self.path / name)
            self._lock.enter_context(only_writer(self.path / LOCK))
            self._staged = self._committed = self._new or read_manifest(self.path)
            self._remove_uncommitted()  # what a process left that was killed
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._forget_documents()
        with self._lock, suppress(OSError):
            self._staged = self._committed
            self._remove_uncommitted()

    @property
    def manifest(self) -> Manifest:
        """The last commit."""
        return self._committed

    @property
    def staged(self) -> Manifest:
        """What the next commit makes last."""
        return self._staged

    def new_segment(self, replacing: bool = False) -> SegmentBuilder:
        """Begin a segment for `add`; `replacing` says that live documents with its ids go."""
        with self._nothing_lost():
            find = (lambda _: ()) if replacing else self.find
            return SegmentBuilder(self._segment_folder(), self._staged.channels, find)

    def add(self, builder: SegmentBuilder, replacing: bool = False) -> SegmentRecord:
        """Finish a segment and stage it behind the others, and the deletion of what it replaces.

        Raises:
            ValueError: it holds the id of a live document, and does not replace.
            OSError: the disk is full.
        """
        with self._nothing_lost():
            record = builder.finish()
            if replacing:
                self.delete(list(self.find(builder.ids)))
            self._staged = replace(self._staged, channels=builder.channels).with_segment(record)
            self._own.add(record.name, builder.ids)
        return record

    def find(self, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return segment name and ordinal of those ids that are live, staged changes included."""
        places: dict[str, tuple[str, int]] = {}
        own = self._own.possible(ids)
        for record in self._staged.segments:
            if asked := own if record.name in self._own.segments else ids:
                found = self._live_documents(record).find(asked)
                places |= {name: (record.name, at) for name, at in found.items()}
        return places

    def delete(self, ids: Sequence[str]) -> None:
        """Stage the deletion of documents; their ids may be added again.

        Raises:
            ValueError: an id is unknown or comes twice, or a file is damaged; nothing is staged.
        """
        places = self.find(ids)
        if missing := [name for name in ids if name not in places]:
            raise ValueError(f"{self.path} has no document {missing[0]!r}; nothing was deleted")
        if len(places) != len(ids):
            repeated = first_repeated(ids)
            raise ValueError(f"document {repeated!r} is to be deleted twice; nothing was deleted")
        for name, documents in list(self._documents.items()):
            ordinals = [at for segment, at in places.values() if segment == name]
            if ordinals:
                self._documents[name] = documents.without(ordinals)

    def merge(
        self, fits: Mapping[str, tuple[PostFit, Sequence[str]]] | None = None, first: int = 0
    ) -> None:
        """Stage one segment of all live documents in place of all segments.

        Searching it gives what a new index of those documents would give. The old segments stay
        on disk for whoever opens the last commit, until `compact`.

        Args:
            fits: dense channel whose rows are as they were read -> how they are changed on the
                way, and by which pseudo-queries.
            first: so many segments stay as they are; the others become one.

        Raises:
            OSError: the disk is full or cannot be read.
            ValueError: a file is damaged; what is copied would get a new checksum that fits.
        """
        with self._nothing_lost():
            self._stage_tombstones()
            merged = replace(self._staged, segments=self._staged.segments[first:])
            refuse_damage(self.path / SEGMENTS, merged.segments)
            builder = SegmentBuilder(self._segment_folder(), merged.channels, None)
            record = merge_segments(self.path / SEGMENTS, merged, builder, fits or {})
            self._forget_documents()
            kept = self._staged.segments[:first]
            emptied = replace(self._staged, segments=kept, channels=builder.channels)
            self._staged = emptied.with_segment(record) if record.documents else emptied

    def record(self, ingest: Ingest | None) -> None:
        """Stage how far a build or addition has come; None says that it is complete."""
        self._staged = replace(self._staged, ingest=ingest)

    def fuse_by(self, fusion: str) -> None:
        """Stage how searches fuse the channels by default; "" forgets what was chosen."""
        self._staged = replace(self._staged, fusion=fusion)

    def remember_sources(self, data: bytes | None) -> None:
        """Stage what is remembered of where documents came from; None forgets it."""
        with self._nothing_lost():
            sources = None if data is None else write_sources(self.path, data)
        self._staged = replace(self._staged, sources=sources)

    def free_query_prompt(self) -> None:
        """Stage that query encoders may differ in the facts that start with "query_"."""
        channels = self._staged.channels.items()
        freed = {name: replace(spec, query_prompt_free=True) for name, spec in channels}
        self._staged = replace(self._staged, channels=freed)

    def read_queries_by(self, spec: ChannelSpec) -> None:
        """Stage a channel's own spec with another encoder of queries, and their post-processing.

        Raises:
            ValueError: the query prompt is not free, or documents would be other rows.
        """
        self._staged.channels[spec.name].check_encoder(spec.fingerprint, querying=True)
        self._staged = replace(self._staged, channels={**self._staged.channels, spec.name: spec})

    def start_over(self, channels: Sequence[ChannelSpec], passages: Passages | None) -> None:
        """Stage an index without documents, whatever it held."""
        self._forget_documents()
        self._staged = replace(
            self._staged,
            channels={spec.name: spec for spec in channels},
            segments=(),
            passages=passages,
            ingest=None,
            fusion="",  # it was chosen for the encoders there were
        )

    def commit(self) -> None:
        """Make everything that is staged the next generation, in one step.

        Where nothing is staged, the last commit stays the last.

        Raises:
            OSError: it could not be written; the last commit stands.
        """
        with self._nothing_lost():
            self._stage_tombstones()
            if self._staged == self._committed and self._committed.generation > 0:
                return
            manifest = replace(self._staged, generation=self._committed.generation + 1)
            (self.path / SEGMENTS).mkdir(exist_ok=True)
            flush(self.path / SEGMENTS)
            write_manifest(self.path, manifest)
        self._staged = self._committed = manifest
        if manifest.ingest is None:
            remove_cache(self.path / CACHE)  # of work that is over, or was given up

    def compact(self) -> int:
        """Remove what the last commit does not name; return the number of bytes freed.

        That is segments that were merged away or never finished, old tombstones, files that were
        half written, and encodings that are not needed any more; and nothing that has not a name
        of the form that is given here. Readers of
        older generations are not disturbed: they mapped every file when they opened it, and a
        file lives until its last reader closes it. A reader that is just opening an older
        generation finds a file missing, sees that there is a newer one, and opens that.
        """
        freed = self._remove_uncommitted()
        if self._committed.ingest is None:
            freed += remove_cache(self.path / CACHE)
        return freed

    def _remove_uncommitted(self) -> int:
        segments = self.path / SEGMENTS, self._committed.segments, self._staged.segments
        freed = remove_leftovers(self.path) + remove_unnamed(*segments)
        sources = self._committed.sources, self._staged.sources
        return freed + remove_other_sources(self.path, sources)

    def _segment_folder(self) -> Path:
        return self.path / SEGMENTS / segment_name(self._staged.next_segment)

    def _live_documents(self, record: SegmentRecord) -> LiveDocuments:
        if record.name not in self._documents:
            folder = self.path / SEGMENTS / record.name
            names = record.files.keys() & {DOCUMENTS, record.tombstone}
            files = {name: record.files[name] for name in names}
            if record.name not in self._own.segments:
                refuse_damage(self.path / SEGMENTS, [replace(record, files=files)])
            self._documents[record.name] = LiveDocuments.open(folder, record)
        return self._documents[record.name]

    def _forget_documents(self) -> None:
        for documents in self._documents.values():
            documents.store.close()
        self._documents = {}

    def _stage_tombstones(self) -> None:
        """Write which documents of each segment are deleted, where that has changed."""
        records = tuple(map(self._with_tombstone, self._staged.segments))
        self._staged = replace(self._staged, segments=records)

    def _with_tombstone(self, record: SegmentRecord) -> SegmentRecord:
        documents = self._documents.get(record.name)
        if documents is None or documents.live is None:
            return record
        deleted = np.flatnonzero(~documents.live)
        if len(deleted) == record.deleted:
            return record
        name = tombstone_name(self._committed.generation + 1)
        path = self.path / SEGMENTS / record.name / name
        with replacing(path) as file:
            np.save(file, deleted, allow_pickle=False)
        files = {file: digest for file, digest in record.files.items() if file != record.tombstone}
        files[name] = FileRecord.of(path)
        return replace(record, deleted=len(deleted), tombstone=name, files=files)

    @contextmanager
    def _nothing_lost(self) -> Iterator[None]:
        """Say where the index stands when the disk is full or cannot be written."""
        try:
            yield
        except OSError as error:
            raise OSError(
                f"cannot write {self.path}: {error}; "
                f"the index stands at its last commit, generation {self._committed.generation}"
            ) from error
