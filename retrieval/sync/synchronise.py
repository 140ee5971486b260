"""Bring an index in step with its sources, in one commit."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from embedder.progress import Progress
from embedder.types import Encoder
from index.documents import Document
from index.folder import Index
from index.manifest import Ingest
from index.merging import append_renamed, count_settled
from index.segment_builder import SegmentBuilder
from index.writer import IndexWriter
from retrieval.build import check_encoders
from retrieval.ingestion import Ingestion
from retrieval.options import BuildOptions
from retrieval.source import EMPTY_DIGEST, DocumentReader
from retrieval.sources.ledger import KnownSource
from retrieval.sync.changes import Changes, RowsCopy
from retrieval.sync.files import plan_files, take_digests
from retrieval.sync.held import HeldDocuments
from retrieval.sync.lists import choose_sources, list_sources
from retrieval.sync.looks import FileLooks
from retrieval.sync.options import SyncOptions
from retrieval.sync.report import SyncReport

_OPTIONS = BuildOptions(on_empty="keep", on_known="replace", cache=True)
EncoderSource = Callable[[], Mapping[str, Encoder]]


def sync_index(
    path: str | Path,
    sources: Sequence[KnownSource],
    encoders: EncoderSource,
    options: SyncOptions | None = None,
    progress: Progress | None = None,
) -> SyncReport:
    """Make an index hold what its sources hold; only what has changed is encoded.

    Files are compared by their digests and documents by what they say. A document that is the same
    under another id gets it without being encoded. Documents that came another way stay, unless a
    source has one of their ids. All is one commit: whatever goes wrong before, the last one stands,
    and the same call takes over the encodings that were made.

    Args:
        path: folder of an index.
        sources: those that are looked at, and remembered; none of them is all that is remembered,
            or nothing where `options` forget a source.
        encoders: gives the encoders of the index; called where there is something to encode.
        options: see `SyncOptions`.
        progress: called with the number of documents that were encoded so far.

    Raises:
        ValueError: no sources are known, or not in this place; one that had documents is not there
            or empty; a file cannot be read and may not be skipped; or the index is not finished.
        BlockingIOError: another writer is at work.
        OSError: a source cannot be read, or the disk is full; the last commit stands.
    """
    started, folder, options = time.perf_counter(), Path(path), options or SyncOptions()
    if options.dry_run:
        with Index.open(folder) as index:
            changes, _ = _find_changes(index, sources, options)
            for _ in changes.documents():
                pass
            report = changes.report()
        return replace(report, dry_run=True, seconds=time.perf_counter() - started)
    with IndexWriter(folder) as writer, Index.open(folder) as index:  # nobody changes it meanwhile
        _check_finished(index)
        changes, looks = _find_changes(index, sources, options)
        report = _Application(writer, index, changes).run(encoders, progress)
        writer.compact()
        looks.keep()
    return replace(report, seconds=time.perf_counter() - started)


def _check_finished(index: Index) -> None:
    if index.unfinished is not None:
        done = index.unfinished.consumed
        kind = "building" if index.unfinished.kind == "build" else "adding to"
        raise ValueError(
            f"{kind} {index.path} was interrupted after {done} documents; finish that before "
            "bringing it in step"
        )


def _find_changes(
    index: Index, given: Sequence[KnownSource], options: SyncOptions
) -> tuple[Changes, FileLooks]:
    chosen = choose_sources(index.path, index.manifest.sources, given, options)
    listing = list_sources(chosen, options.allow_empty)
    looks, held = FileLooks(index.path), HeldDocuments(index)
    plan = plan_files(chosen, listing, held, take_digests(chosen, listing, looks))
    return Changes(held, chosen, plan, listing.skipped), looks


@dataclass(frozen=True, slots=True)
class _Application:
    """Changes that are made to an index.

    Attributes:
        writer: holds the index.
        index: as it was committed, which rows are copied from.
        changes: between it and its sources.
    """

    writer: IndexWriter
    index: Index
    changes: Changes

    def run(self, encoders: EncoderSource, progress: Progress | None) -> SyncReport:
        """Encode what is to be encoded, and commit all that has changed."""
        documents = self.changes.documents()
        first = next(documents, None)
        if first is None:
            self._stage()
            self.writer.commit()
            return self.changes.report()
        return self._encode(chain([first], documents), encoders(), progress)

    def _encode(
        self,
        documents: "chain[Document]",
        encoders: Mapping[str, Encoder],
        progress: Progress | None,
    ) -> SyncReport:
        check_encoders(self.writer, encoders)
        passages = self.index.passages
        ingestion = Ingestion(self.writer, encoders, _OPTIONS, progress, at_once=True)
        begun = Ingest("add", _OPTIONS.settings(passages), EMPTY_DIGEST)
        done = ingestion.run(DocumentReader(documents), begun, passages, self._stage)
        reused = max((counts.get("reused", 0) for counts in done.counts.values()), default=0)
        report = self.changes.report()
        return replace(report, encoded=done.passages, reused=reused, counts=done.counts)

    def _stage(self) -> None:
        """Stage everything but what was encoded, which is staged already."""
        rounds: list[list[RowsCopy]] = []
        counts: dict[str, int] = {}
        for copy in self.changes.copies:  # a document that is copied twice is in two rounds
            at = counts[copy.held] = counts.get(copy.held, -1) + 1
            rounds += [[]] if at == len(rounds) else []
            rounds[at].append(copy)
        if rounds:
            builder = self.writer.new_segment(replacing=True)
            try:
                for copies in rounds:
                    self._copy(copies, builder)
                if builder.documents:
                    self.writer.add(builder, replacing=True)
            except BaseException:
                builder.abandon()
                raise
            if not builder.documents:
                builder.abandon()
        self.writer.delete(self.changes.removed)
        self.writer.remember_sources(self.changes.ledger().to_bytes())
        segments = self.writer.staged.segments
        settled = count_settled(segments, BuildOptions().segment_documents)
        if settled < len(segments) and segments != self.writer.manifest.segments:
            self.writer.merge(first=settled)

    def _copy(self, copies: Sequence[RowsCopy], builder: SegmentBuilder) -> None:
        """Copy documents of the index, each at most once, with their rows."""
        by_held = {copy.held: copy for copy in copies}
        channels = self.index.channels
        for segment in self.index.opened:
            ordinals = segment.documents.find(list(by_held))
            renamed = {}
            for name, ordinal in ordinals.items():
                document, copy = segment.documents.store.document(ordinal), by_held[name]
                metadata = document.metadata if copy.metadata is None else copy.metadata
                renamed[ordinal] = replace(document, id=copy.name, metadata=metadata)
            if renamed:
                append_renamed(segment, builder, channels, renamed)
