"""From documents to committed segments: windows, encoders, and how far it has come."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import chain

from embedder.cluster.encoder import ClusterEncoder
from embedder.cluster.options import WorkerReport
from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.cached import CachedEncoder
from embedder.encoders.specs import post_rules_of
from embedder.progress import Progress, watching
from embedder.text.fields import EncodesFields
from embedder.types import Counted, Encoder, Representation, Role
from index.channels.threads import cores
from index.documents import Passages
from index.garbage import remove_cache
from index.manifest import Ingest
from index.segment_builder import SegmentBuilder
from index.writer import CACHE, IndexWriter
from retrieval.counting.windows import CountedWindows
from retrieval.named_texts import encode_named
from retrieval.options import BuildOptions
from retrieval.passages.cutting import Cutter, fielded_text, passage_text
from retrieval.passages.rule import measures_of
from retrieval.passages.windows import DocumentPassage, Window, begin_ahead, read_windows
from retrieval.post_fitting import UnfitSampleError
from retrieval.post_processing import PostProcessing
from retrieval.source import DocumentReader


@dataclass(frozen=True, slots=True, eq=False)
class _Feed:
    """An encoder and the channels that it serves, in one pass; BM25 is no model."""

    encoder: Encoder
    channels: tuple[str, ...]
    counted_before: Mapping[str, int]
    model: bool

    def encode(self, passages: Sequence[DocumentPassage], texts: Sequence[str]) -> Representation:
        """Encode passages, given as texts too."""
        if isinstance(self.encoder, EncodesFields) and self.encoder.reads_fields:
            fielded = [fielded_text(document, span) for document, span in passages]
            return self.encoder.encode_fields(fielded)
        names = [f"document {document.id!r}" for document, _ in passages]
        return encode_named(self.encoder, texts, Role.DOCUMENT, names)

    def counts(self) -> Counter[str]:
        """The encoder's counts since the feed was made."""
        return Counter(_counts(self.encoder)) - Counter(self.counted_before)


class Ingestion:
    """Encodes a source window by window and commits it segment by segment.

    Windows and segments begin at the same documents whether or not the work was interrupted:
    that is why it ends with the same bytes. Of the texts, only a window is in memory.

    Args:
        writer: holds the index.
        encoders: channel -> encoder.
        options: see `BuildOptions`.
        progress: called with the number of documents read so far.
        at_once: commit once, at the end, instead of segment by segment.
    """

    def __init__(
        self,
        writer: IndexWriter,
        encoders: Mapping[str, Encoder],
        options: BuildOptions,
        progress: Progress | None,
        at_once: bool = False,
    ) -> None:
        self._writer = writer
        self._options = options
        self._progress = progress or (lambda documents: None)
        self._at_once = at_once
        self._read = 0
        self._cache = writer.path / CACHE
        self._cluster: ClusterEncoder | None = None
        self._feeds = self._shared(encoders)
        if options.ray is not None and self._cluster is None:
            raise ValueError("workers encode for dense or sparse channels; words are counted here")
        self._counted = _counted_windows(self._feeds)
        self._measures = measures_of(encoders)
        self._post = {
            channel: PostProcessing(writer, channel, feed.encoder, post_rules_of(encoders[channel]))
            for feed in self._feeds
            for channel in feed.channels
            if writer.staged.channels[channel].kind == "dense"
        }

    def run(
        self,
        source: DocumentReader,
        done: Ingest,
        passages: Passages | None,
        finish: Callable[[], object] = lambda: None,
    ) -> Ingest:
        """Take the source to its end, going on behind `done`; return the totals.

        Args:
            source: from its beginning.
            done: what was committed of it before.
            passages: how documents are cut.
            finish: called before the last commit, to stage what goes with it.

        Raises:
            ValueError: the source does not begin with the documents of `done`, or there are no
                such passages for these encoders.
        """
        source.skip(done.consumed, done.digest)
        self._report(source.consumed)
        base = done.counts
        windows = read_windows(source, Cutter(passages, self._measures), self._options)
        with ExitStack() as stack:
            if self._counted is not None:
                stack.enter_context(closing(self._counted))
            if self._cluster is not None:
                stack.enter_context(self._cluster)
                windows = begin_ahead(windows, self._begin, self._cluster.ahead)
            for first in windows:
                before = done.documents
                done = self._segment(chain([first], windows), done)
                done = replace(done, counts=self._added(base))
                finished = done.documents - before < self._options.segment_documents
                if not finished and not self._at_once:
                    self._commit(done)
        finish()
        self._commit(None)
        return done

    def worker_reports(self) -> tuple[WorkerReport, ...]:
        """Return what workers of a cluster did."""
        return self._cluster.reports() if self._cluster is not None else ()

    def _segment(self, windows: Iterator[Window], done: Ingest) -> Ingest:
        """Fill and stage one segment; return the totals with it."""
        replacing = self._options.on_known == "replace"
        builder = self._writer.new_segment(replacing)
        skipped = several = 0
        try:
            for window in windows:
                for document, spans, number in window.documents:
                    builder.add(document, spans, number)
                    several += len(spans) > 1
                skipped += window.skipped
                self._encode(window.passages, builder, window.consumed)
                if window.last:
                    break
            if self._counted is not None:
                self._counted.finish(builder)
            if builder.documents:
                for post in self._post.values():
                    post.finish(builder)
                rows = self._writer.add(builder, replacing).rows
            else:
                rows = {}
                builder.abandon()
        except BaseException as error:
            builder.abandon()
            if isinstance(error, UnfitSampleError):  # a prompt without it takes no such rows
                remove_cache(self._cache)
            raise
        self._report(window.consumed)
        return replace(
            done,
            digest=window.digest,
            documents=done.documents + builder.documents,
            skipped=done.skipped + skipped,
            passages=done.passages + builder.passages,
            cut=done.cut + several,
            rows=dict(Counter(done.rows) + Counter(rows)),
        )

    def _encode(
        self, passages: Sequence[DocumentPassage], builder: SegmentBuilder, consumed: int
    ) -> None:
        """Encode passages and tell how far this is, batch by batch, up to `consumed` documents."""
        if not passages:
            return
        builder.check_ids()
        texts = [passage_text(document, span) for document, span in passages]
        before, models = self._read, max(1, sum(feed.model for feed in self._feeds))
        done = 0  # texts read by the models so far, each by every one of them

        def report(more: int) -> None:
            share = (done + more) / (models * len(texts))
            self._report(before + int((consumed - before) * share))

        if self._counted is not None:
            self._counted.add(texts)
        for feed in self._feeds if self._counted is None else ():
            with watching(report, len(texts)):
                rows = feed.encode(passages, texts)
            done += feed.model * len(texts)
            for channel in feed.channels:
                post = self._post.get(channel)
                changed = rows if post is None else post.change(rows, texts)
                builder.add_rows(channel, changed, len(texts))
        self._report(consumed)

    def _begin(self, window: Window) -> None:
        """Have a window encoded on the cluster."""
        texts = [passage_text(document, span) for document, span in window.passages]
        for feed in self._feeds if texts else ():
            if isinstance(feed.encoder, CachedEncoder):
                feed.encoder.begin(texts, Role.DOCUMENT)

    def _report(self, documents: int) -> None:
        self._read = documents
        self._progress(documents)

    def _commit(self, ingest: Ingest | None) -> None:
        self._writer.record(ingest)
        self._writer.commit()
        if ingest is None:
            remove_cache(self._cache)
            return
        for feed in self._feeds:  # what was encoded for the next segment stays
            if isinstance(feed.encoder, CachedEncoder):
                feed.encoder.remove_used()

    def _shared(self, encoders: Mapping[str, Encoder]) -> list[_Feed]:
        """Group channels by encoder object, so that each encodes a text once."""
        groups: dict[int, list[str]] = {}
        for channel, encoder in encoders.items():
            groups.setdefault(id(encoder), []).append(channel)
        feeds = []
        for channels in groups.values():
            encoder = encoders[channels[0]]
            model = not isinstance(encoder, BM25Encoder)
            if self._options.ray is not None and model:
                if self._cluster is not None:
                    raise ValueError("workers load one model; the index has channels of several")
                encoder = self._cluster = ClusterEncoder(encoder, self._options.ray)
            if model and (self._options.cache or self._cluster is not None):
                encoder = CachedEncoder(encoder, self._cache)
            feeds.append(_Feed(encoder, tuple(channels), dict(_counts(encoder)), model))
        return feeds

    def _added(self, base: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
        """Add the encoders' counts of this run to earlier counts."""
        return {
            channel: dict(Counter(base.get(channel, {})) + feed.counts() + self._left(channel))
            for feed in self._feeds
            for channel in feed.channels
        }

    def _left(self, channel: str) -> Counter[str]:
        return self._post[channel].counts if channel in self._post else Counter()


def _counted_windows(feeds: Sequence[_Feed]) -> CountedWindows | None:
    """Return what counts for BM25 on two cores, where that of whole texts is all there is to do."""
    if len(feeds) != 1 or len(feeds[0].channels) != 1 or cores() == 1:
        return None
    encoder = feeds[0].encoder
    if type(encoder) is not BM25Encoder or encoder.spec is None or encoder.reads_fields:
        return None  # a class of somebody else's counts in another way
    return CountedWindows(encoder, feeds[0].channels[0])


def _counts(encoder: Encoder) -> Mapping[str, int]:
    return encoder.counts if isinstance(encoder, Counted) else {}
