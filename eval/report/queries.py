"""The results of single queries, and the queries on which two systems differ most."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from embedder.types import Encoder
from eval.report.dataset import JudgedDataset
from eval.report.highlights import BM25, Marker, Piece, bm25_encoder
from eval.runs.systems import Evidence, FolderSystem
from index.folder import Index
from index.manifest import ChannelSpec

DOCUMENTS = 5  # of a system
SIDES = 3  # systems side by side

Encoders = Mapping[Path, Mapping[str, Encoder]]
"""Run folder -> channel -> encoder of its queries."""


@dataclass(frozen=True, slots=True)
class DocumentExcerpt:
    """A document among the first of a system, with the part of its text that says most.

    Attributes:
        rank: from 1.
        id: of the document.
        gain: how relevant it was judged; None where it was not.
        title: of the document; nothing where it has none, or where the index is gone.
        text: the part that says most; nothing where a system before shows it, or the index is gone.
        seen: name of the system that shows the text; "" where this one does.
    """

    rank: int
    id: str
    gain: int | None
    title: tuple[Piece, ...]
    text: tuple[Piece, ...]
    seen: str = ""


@dataclass(frozen=True, slots=True)
class SystemDocuments:
    """The first documents of one system."""

    system: str
    documents: tuple[DocumentExcerpt, ...]


@dataclass(frozen=True, slots=True)
class QueryPage:
    """A query with the figures, words and documents of its systems.

    Attributes:
        key: id of its place in the page.
        number: from 1 in its data set.
        id: of the query.
        text: of the query.
        values: system -> value of the first measure.
        difference: second minus first compared system; None where there is only one.
        relevant: how many documents were judged relevant.
        words: system and channel -> words of a model for the query, with weights.
        sides: systems with their documents; nothing where the query is not shown in full.
    """

    key: str
    number: int
    id: str
    text: str
    values: Mapping[str, float]
    difference: float | None
    relevant: int
    words: Mapping[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    sides: tuple[SystemDocuments, ...] = ()


def choose_queries(sets: Sequence[JudgedDataset], n: int) -> set[str]:
    """Choose the n queries on which compared systems differ most, by their places in the page.

    Without compared systems, the n queries that are answered worst.
    """
    ranked: list[tuple[float, int, str]] = []
    for judged in sets:
        for query_id, place in judged.places.items() if judged.retrieval else ():
            difference = _difference(judged, query_id)
            worst = judged.items(judged.counted[0]).get(query_id, 0.0)
            ranked.append((worst if difference is None else -abs(difference), len(ranked), place))
    return {place for *_, place in sorted(ranked)[:n]}


def describe_queries(
    judged: JudgedDataset, full: set[str], encoders: Encoders, pieces: bool = False
) -> Iterator[QueryPage]:
    """Describe every query of a data set, in the order of the judgements.

    Args:
        judged: a retrieval set.
        full: places of the queries that are shown with documents.
        encoders: of the queries' words; words of BM25 need none.
        pieces: whether a model's words are shown as the pieces that it knows.
    """
    systems = _sides(judged)
    texts = {
        query_id: text
        for query_id, place in judged.places.items()
        if (text := judged.queries[query_id]).strip() and place in full
    }
    with ExitStack() as stack:
        markers = _markers(judged, systems, texts, encoders, stack)
        tops = {system.name: judged.evidence(system) for system in systems}
        for number, (query_id, place) in enumerate(judged.places.items(), start=1):
            marked = markers if query_id in texts else {}
            yield QueryPage(
                key=place,
                number=number,
                id=query_id,
                text=judged.queries[query_id],
                values={
                    system.name: value
                    for system in judged.systems
                    if (value := judged.items(system).get(query_id)) is not None
                },
                difference=_difference(judged, query_id),
                relevant=sum(gain > 0 for gain in judged.qrels[query_id].values()),
                words=_own_words(marked, query_id, pieces),
                sides=tuple(_systems(tops, query_id, marked)) if place in full else (),
            )


def _sides(judged: JudgedDataset) -> list[FolderSystem]:
    """Return the systems that stand side by side: those that count, or the two compared."""
    pair = judged.compared
    if len(judged.counted) > 1 or pair is None:
        return list(judged.counted[:SIDES])
    return [pair[1], pair[0]]


def _difference(judged: JudgedDataset, query_id: str) -> float | None:
    if judged.compared is None:
        return None
    first, second = (judged.items(system).get(query_id) for system in judged.compared)
    return None if first is None or second is None else second - first


def _markers(
    judged: JudgedDataset,
    systems: Sequence[FolderSystem],
    texts: Mapping[str, str],
    encoders: Encoders,
    stack: ExitStack,
) -> dict[str, Marker]:
    """Return system -> marker of words, one for each folder whose index is there."""
    by_folder: dict[Path, Marker] = {}
    markers = {}
    for system in systems:
        path, place = system.folder.path, system.folder.index_path(judged.dataset)
        if place is None:
            continue
        if path not in by_folder:
            index = stack.enter_context(Index.open(place))
            by_channel = _with_words(judged, system, index, encoders.get(path, {}))
            by_folder[path] = Marker(index, by_channel, texts)
        markers[system.name] = by_folder[path]
    return markers


def _with_words(
    judged: JudgedDataset, system: FolderSystem, index: Index, encoders: Mapping[str, Encoder]
) -> dict[str, Encoder]:
    """Return the encoders of channels that have words; BM25's is made again."""
    record = judged.record(system)
    chosen: dict[str, Encoder] = {}
    for name, spec in index.channels.items():
        if name not in record.values or spec.kind == "dense":
            continue
        bm25 = bm25_encoder(record.fingerprints.get(name, "{}")) if name == BM25 else None
        encoder = bm25 or encoders.get(name)
        if encoder is not None and _fits(spec, encoder):
            chosen[name] = encoder
    return chosen


def _fits(spec: ChannelSpec, encoder: Encoder) -> bool:
    """Tell whether an encoder reads queries as the channel's own does."""
    try:
        spec.check_encoder(encoder.fingerprint, querying=True)
    except ValueError:
        return False
    return True


def _own_words(
    markers: Mapping[str, Marker], query_id: str, pieces: bool
) -> dict[str, tuple[tuple[str, float], ...]]:
    distinct = {id(marker): (name, marker) for name, marker in reversed([*markers.items()])}
    by_marker = [
        (name, channel, words)
        for name, marker in reversed(distinct.values())
        for channel, words in marker.own_words(query_id, pieces).items()
    ]
    several = len({name for name, *_ in by_marker}) > 1
    return {
        f"{name}, {channel}" if several else channel: words for name, channel, words in by_marker
    }


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


def _systems(
    evidence: Mapping[str, Evidence], query_id: str, markers: Mapping[str, Marker]
) -> Iterator[SystemDocuments]:
    """Describe the documents of systems; a text that one marker marks is shown once."""
    seen: dict[tuple[int, str], str] = {}
    for system, answers in evidence.items():
        marker = markers.get(system)
        listed = []
        for rank, document_id in enumerate(answers.top(query_id)[:DOCUMENTS], start=1):
            gain = answers.qrels[query_id].get(document_id)
            before = seen.get((id(marker), document_id), "")
            title, text = _text(marker, query_id, document_id)
            listed.append(
                DocumentExcerpt(rank, document_id, gain, title, () if before else text, before)
            )
            if marker and not before:
                seen[id(marker), document_id] = system
        yield SystemDocuments(system, tuple(listed))
