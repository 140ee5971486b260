"""What single queries found: one page each, and those on which two systems differ most."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from embedder.types import Encoder
from eval.report.dataset import JudgedDataset
from eval.report.highlights import BM25, Marker, Piece, bm25_encoder
from eval.runs.systems import FolderSystem
from index.folder import Index
from index.manifest import ChannelSpec

DOCUMENTS = 5  # of a system
SIDES = 3  # systems side by side

Encoders = Mapping[Path, Mapping[str, Encoder]]
"""Run folder -> channel -> what encodes its queries again."""


@dataclass(frozen=True, slots=True)
class ShownDocument:
    """A document that a system found.

    Attributes:
        rank: from 1.
        id: of the document.
        gain: how relevant it was judged; None where it was not.
        title: of the document; nothing where it has none, or where the index is gone.
        text: the part that says most; nothing where a side before shows it, or the index is gone.
        seen: name of the side that shows the text; "" where this one does.
    """

    rank: int
    id: str
    gain: int | None
    title: tuple[Piece, ...]
    text: tuple[Piece, ...]
    seen: str = ""


@dataclass(frozen=True, slots=True)
class ShownSystem:
    """What one system found."""

    system: str
    documents: tuple[ShownDocument, ...]


@dataclass(frozen=True, slots=True)
class QueryPage:
    """A query with everything that is shown of it.

    Attributes:
        key: id of its place in the page.
        number: from 1 in its data set.
        id: of the query.
        text: of the query.
        values: system -> value of the first measure.
        difference: second minus first compared system; None where there is only one.
        relevant: how many documents were judged relevant.
        words: system and channel -> words that a model says of the query, with weights.
        sides: what was found; nothing where the query is not shown in full.
    """

    key: str
    number: int
    id: str
    text: str
    values: Mapping[str, float]
    difference: float | None
    relevant: int
    words: Mapping[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    sides: tuple[ShownSystem, ...] = ()


def furthest(sets: Sequence[JudgedDataset], n: int) -> set[str]:
    """Choose the n queries on which compared systems differ most, by their places in the page.

    Where nothing is compared, the queries that are answered worst.
    """
    ranked: list[tuple[float, int, str]] = []
    for judged in sets:
        for query_id, place in judged.places.items() if judged.retrieval else ():
            difference = _difference(judged, query_id)
            worst = judged.items(judged.counted[0]).get(query_id, 0.0)
            ranked.append((worst if difference is None else -abs(difference), len(ranked), place))
    return {place for *_, place in sorted(ranked)[:n]}


def query_pages(
    judged: JudgedDataset, full: set[str], encoders: Encoders, pieces: bool = False
) -> Iterator[QueryPage]:
    """Describe every query of a data set, in the order of the judgements.

    Args:
        judged: a retrieval set.
        full: places of the queries that are shown with what was found.
        encoders: what reads queries again; words of BM25 need none.
        pieces: whether a model's words are shown as the pieces that it knows.
    """
    chosen = _sides(judged)
    texts = {query_id: judged.queries[query_id] for query_id in judged.places}
    texts = {
        query_id: text
        for query_id, text in texts.items()
        if text.strip() and judged.places[query_id] in full
    }
    with ExitStack() as opened:
        markers = _markers(judged, chosen, texts, encoders, opened)
        tops = {held.name: judged.evidence(held) for held in chosen}
        for number, (query_id, place) in enumerate(judged.places.items(), start=1):
            shown = place in full
            yield QueryPage(
                key=place,
                number=number,
                id=query_id,
                text=judged.queries[query_id],
                values={
                    held.name: value
                    for held in judged.systems
                    if (value := judged.items(held).get(query_id)) is not None
                },
                difference=_difference(judged, query_id),
                relevant=sum(gain > 0 for gain in judged.qrels[query_id].values()),
                words=_own_words(markers, query_id, pieces) if query_id in texts else {},
                sides=tuple(
                    _found_sides(
                        {name: held.top(query_id)[:DOCUMENTS] for name, held in tops.items()},
                        judged.qrels[query_id],
                        query_id,
                        {} if query_id not in texts else markers,
                    )
                )
                if shown
                else (),
            )


def _sides(judged: JudgedDataset) -> list[FolderSystem]:
    """Return what is shown side by side: what counts in each folder, or the two compared."""
    two = judged.compared
    if len(judged.counted) > 1 or two is None:
        return list(judged.counted[:SIDES])
    return [two[1], two[0]]


def _difference(judged: JudgedDataset, query_id: str) -> float | None:
    if judged.compared is None:
        return None
    first, second = (judged.items(held).get(query_id) for held in judged.compared)
    return None if first is None or second is None else second - first


def _markers(
    judged: JudgedDataset,
    chosen: Sequence[FolderSystem],
    texts: Mapping[str, str],
    encoders: Encoders,
    opened: ExitStack,
) -> dict[str, Marker]:
    """Make what marks words, one for each folder whose index is there: system -> marker."""
    by_folder: dict[Path, Marker] = {}
    markers = {}
    for held in chosen:
        path, place = held.folder.path, held.folder.index_path(judged.dataset)
        if place is None:
            continue
        if path not in by_folder:
            index = opened.enter_context(Index.open(place))
            given = encoders.get(path, {})
            by_folder[path] = Marker(index, _with_words(judged, held, index, given), texts)
        markers[held.name] = by_folder[path]
    return markers


def _with_words(
    judged: JudgedDataset, system: FolderSystem, index: Index, given: Mapping[str, Encoder]
) -> dict[str, Encoder]:
    """Return the encoders of channels that have words; BM25's is made again."""
    record = judged.record(system)
    found: dict[str, Encoder] = {}
    for name, spec in index.channels.items():
        if name not in record.values or spec.kind == "dense":
            continue
        made = bm25_encoder(record.fingerprints.get(name, "{}")) if name == BM25 else None
        encoder = made or given.get(name)
        if encoder is not None and _made(spec, encoder):
            found[name] = encoder
    return found


def _made(spec: ChannelSpec, encoder: Encoder) -> bool:
    """Tell whether an encoder reads queries as the channel's own does."""
    try:
        spec.check_encoder(encoder.fingerprint, querying=True)
    except ValueError:
        return False
    return True


def _own_words(
    markers: dict[str, Marker], query_id: str, pieces: bool
) -> dict[str, tuple[tuple[str, float], ...]]:
    distinct = {id(marker): (name, marker) for name, marker in reversed(markers.items())}
    told = [
        (name, channel, words)
        for name, marker in reversed(distinct.values())
        for channel, words in marker.own_words(query_id, pieces).items()
    ]
    several = len({name for name, *_ in told}) > 1
    return {f"{name}, {channel}" if several else channel: words for name, channel, words in told}


def _text(
    marker: Marker | None, query_id: str, document_id: str
) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Return title and marked text; nothing of a document that the index has lost since."""
    if marker is None:
        return (), ()
    try:
        return marker.marked(query_id, document_id)
    except ValueError:
        return (), ()


def _found_sides(
    tops: Mapping[str, Sequence[str]],
    judgements: Mapping[str, int],
    query_id: str,
    markers: Mapping[str, Marker],
) -> Iterator[ShownSystem]:
    """Describe what systems found; a text that one marker marks is shown once."""
    seen: dict[tuple[int, str], str] = {}
    for system, documents in tops.items():
        marker = markers.get(system)
        shown = []
        for rank, document_id in enumerate(documents, start=1):
            gain = judgements.get(document_id)
            before = seen.get((id(marker), document_id), "")
            title, text = _text(marker, query_id, document_id)
            shown.append(
                ShownDocument(rank, document_id, gain, title, () if before else text, before)
            )
            if marker and not before:
                seen[id(marker), document_id] = system
        yield ShownSystem(system, tuple(shown))
