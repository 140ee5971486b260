"""Copy the live part of a segment into a new one: documents, passages and rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.types import Representation
from index.channels.dense import DenseChannel
from index.channels.post_fit import PostFit
from index.channels.postings import Postings
from index.documents import Document
from index.manifest import ChannelSpec, Manifest
from index.merge.postings import KeptRows, merge_postings
from index.segment import Segment, SegmentRows
from index.segment_builder import SegmentBuilder
from index.segment_record import SegmentRecord

_BLOCK = 4096  # passages whose vectors are copied at a time: a segment may exceed memory


def merge_segments(
    folder: Path,
    manifest: Manifest,
    builder: SegmentBuilder,
    fits: Mapping[str, tuple[PostFit, Sequence[str]]],
) -> SegmentRecord:
    """Write the live documents of all segments into one, or nothing.

    Args:
        folder: of all segments.
        manifest: which segments, with which channels.
        builder: of the new segment; abandoned where that fails.
        fits: dense channel -> how its rows are changed on the way, and by which pseudo-queries.
    """
    try:
        append_live(_opened(folder, manifest), builder, manifest.channels)
        for name, (fit, queries) in fits.items():
            builder.post_process(name, fit, queries)
        return builder.finish()
    except BaseException:
        builder.abandon()
        raise


def _opened(folder: Path, manifest: Manifest) -> Iterator[Segment]:
    """Open one segment after the other; arrays stay mapped where somebody keeps them."""
    for record in manifest.segments:
        with closing(Segment.open(folder / record.name, record, manifest.channels)) as segment:
            yield segment


def append_live(
    segments: Iterable[Segment], into: SegmentBuilder, channels: Mapping[str, ChannelSpec]
) -> None:
    """Fill a segment with everything of others that is not deleted, in order.

    Postings are merged at the end, so that those of all segments are never in memory.
    """
    sparse = [name for name, spec in channels.items() if spec.form == "postings"]
    parts: dict[str, list[KeptRows]] = {name: [] for name in sparse}
    owners: dict[str, list[NDArray[np.int64]]] = {name: [] for name in sparse}
    for segment in segments:
        start, live = into.passages, segment.documents.live
        kept = np.ones(segment.record.documents, np.bool_) if live is None else live
        stream = segment.documents.store.stream()
        copied = {name: spec for name, spec in channels.items() if name not in parts}
        _append(segment, into, copied, kept, (each for each in stream if kept[each[0]]))
        mask = kept[segment.passages[:, 0]]
        numbers = np.cumsum(mask) - 1 + start
        for name, some in parts.items():
            content, owner = segment.channels[name].content, segment.channels[name].owner
            assert isinstance(content, Postings), f"{name!r} holds no postings"
            some.append(KeptRows(content, mask[owner]))
            owners[name].append(numbers[owner[mask[owner]]])
    for name, some in parts.items():
        if some:
            merged = merge_postings(some, into.folder / name)
            into.add_postings(name, merged, np.concatenate(owners[name]), into.passages)


def append_renamed(
    segment: Segment,
    into: SegmentBuilder,
    channels: Mapping[str, ChannelSpec],
    renamed: Mapping[int, Document],
) -> None:
    """Append some documents under other ids or with other metadata, with the rows that they have.

    Args:
        segment: that holds the documents.
        into: a segment of the same channels.
        channels: of both, all of them.
        renamed: ordinal -> document as it is written; its title and text are as they were.
    """
    kept = np.zeros(segment.record.documents, np.bool_)
    kept[list(renamed)] = True
    _append(segment, into, channels, kept, iter(sorted(renamed.items(), key=lambda one: one[0])))


def count_settled(records: Sequence[SegmentRecord], full: int) -> int:
    """Return how many segments stay as they are when small ones behind them become one.

    Segments are left whose size falls by half or more from one to the next, so that their number
    grows with the logarithm of what is added, and every document is copied as rarely.

    Args:
        records: of the segments, in order.
        full: documents of a segment that is never copied to save segments.
    """
    settled, behind = len(records), 0
    for at in reversed(range(len(records))):
        record = records[at]
        if record.documents >= full:
            break
        if record.live < 2 * behind or record.deleted > record.live:
            settled = at
        behind += record.live
    return settled


def _append(
    segment: Segment,
    into: SegmentBuilder,
    channels: Mapping[str, ChannelSpec],
    kept: NDArray[np.bool_],
    documents: Iterator[tuple[int, Document]],
) -> None:
    """Append documents by their ordinals, and the rows of those that are True in `kept`."""
    ordinals = segment.passages[:, 0]
    spans = segment.passages[:, 1:]
    starts = np.searchsorted(ordinals, np.arange(segment.record.documents + 1))
    for ordinal, document in documents:
        own = spans[starts[ordinal] : starts[ordinal + 1]].tolist()
        into.add(document, [(start, end) for start, end in own], number=into.documents + 1)
    mask = kept[ordinals]  # (passages,)
    for name, spec in channels.items():
        for representation, texts in _copied(segment.channels[name], mask, spec.dim or 1):
            into.add_rows(name, representation, texts)


def _copied(
    rows: SegmentRows, live: NDArray[np.bool_], dim: int
) -> Iterator[tuple[Representation, int]]:
    """Yield the rows of kept passages, with the number of passages that they are of."""
    if not isinstance(rows.content, DenseChannel):
        live_rows = live[rows.owner]
        csr = rows.content.to_csr(live_rows)
        sparse = csr_matrix((csr.data, csr.indices, csr.indptr), shape=(csr.shape[0], dim))
        owner = (np.cumsum(live) - 1)[rows.owner[live_rows]]
        yield Representation(None, sparse, owner), int(live.sum())
        return
    for first in range(0, len(live), _BLOCK):
        block = live[first : first + _BLOCK]
        if not block.any():
            continue
        start, end = np.searchsorted(rows.owner, [first, first + len(block)])
        owner = rows.owner[start:end] - first
        live_rows = block[owner]
        dense = rows.content.read(slice(start, end))[live_rows]
        yield (
            Representation(dense, None, (np.cumsum(block) - 1)[owner[live_rows]]),
            int(block.sum()),
        )
