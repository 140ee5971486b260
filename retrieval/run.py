"""Runs: hits become runs, runs are ordered and cut, and go to TREC files and back."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import nlargest
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedder.files.durable import replace_file
from embedder.files.lines import read_lines, read_number, shorten
from index.base import NO_ROW, Hits, RowIds
from retrieval.trec_ids import EscapedIds, is_header, split_fields, unescape_id

Run = dict[str, dict[str, float]]
"""Query id -> document id -> score, higher is better; a query asked in vain maps to {}."""

_FEW = 8  # times as many documents as are wanted, from which on sorting all of them takes longer


@dataclass(frozen=True, slots=True, eq=False)
class OwnedHits:
    """What a channel found for several queries.

    Attributes:
        hits: a row for each row of the queries.
        owner: (rows,) position of the query that each is of, see `Representation`.
    """

    hits: Hits
    owner: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """The outcome of a search.

    Attributes:
        run: fused, cut to k.
        channels: run of each channel, as it was fused.
        seconds: step -> wall time: "encode dense+sparse", "search dense", ..., "fuse".
        hits: rows that each channel of the index found; of very many queries those of the last.
    """

    run: Run
    channels: Mapping[str, Run]
    seconds: Mapping[str, float]
    hits: Mapping[str, OwnedHits] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True, slots=True, eq=False)
class SearchTrace:
    """What a search notes on its way; fields as of `SearchResult`."""

    seconds: dict[str, float] = field(default_factory=dict)
    hits: dict[str, OwnedHits] = field(default_factory=dict)

    def result(self, run: Run, channels: Mapping[str, Run]) -> SearchResult:
        """Return the outcome with what was noted."""
        return SearchResult(run, channels, self.seconds, hits=self.hits)


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the wall time of a block to that of a step."""
    start = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start


def ranked(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """List the documents of one query best first; of equal scores the id that sorts first."""
    best_first = sorted(scores.items(), key=itemgetter(1), reverse=True)
    if len(set(scores.values())) < len(scores):  # looking up ids takes ten times as long
        best_first.sort(key=lambda item: (-item[1], item[0]))
    return best_first


def cut(run: Run, k: int) -> Run:
    """Keep the k best documents of each query, best first."""
    if k < 1:
        raise ValueError(f"a run is cut to at least 1 document per query; got k={k}")
    return {query_id: dict(_best(scores, k)) for query_id, scores in run.items()}


def _best(scores: Mapping[str, float], k: int) -> list[tuple[str, float]]:
    """List the k best documents of one query, as `ranked` does."""
    if _FEW * k < len(scores):
        least = nlargest(k, scores.values())[-1]
        scores = {document: score for document, score in scores.items() if score >= least}
    return ranked(scores)[:k]


def sum_rows(run: Run, owners: Sequence[str]) -> Run:
    """Add up the scores of each document for the rows of a text; no row gives less than 0.

    An absent document gets 0 of a row, the score of an absent row (PromptReps, Zhuang
    et al., EMNLP 2024, alternative representations).

    Args:
        run: row of a text -> document -> score of its best row.
        owners: id of the text that each row stands for, in the order of the run.
    """
    total: Run = {}
    for owner, scores in zip(owners, run.values(), strict=True):
        summed = total.setdefault(owner, {})
        for document, score in scores.items():
            summed[document] = summed.get(document, 0.0) + max(score, 0.0)
    return total


def only_channel(channel: str, runs: Mapping[str, Run]) -> list[Run]:
    """Return runs of which one channel alone has found something.

    Fused, they give the channel's part of a score: fusions are sums over channels.
    """
    return [
        run if name == channel else {query_id: {} for query_id in run} for name, run in runs.items()
    ]


def drop_self(run: Run) -> Run:
    """Remove the document that has the id of the query, for collections that hold their queries."""
    return {
        query_id: {doc_id: score for doc_id, score in scores.items() if doc_id != query_id}
        for query_id, scores in run.items()
    }


def to_run(hits: Hits, query_ids: Sequence[str], row_ids: Sequence[str]) -> Run:
    """Translate rows to document ids; pads are left out, the best row of a document counts.

    Args:
        hits: one row of hits per query.
        query_ids: distinct ids, one per row of hits; each is in the run, perhaps with nothing.
        row_ids: id of the document that a channel row stands for, by row number.

    Returns:
        The run; float32 scores are widened, not rounded.
    """
    if len(query_ids) != len(hits.rows) or len(set(query_ids)) != len(query_ids):
        raise ValueError(
            f"expected {len(hits.rows)} distinct query ids, one per row of hits; "
            f"got {len(query_ids)}, {len(set(query_ids))} of them distinct"
        )
    if isinstance(row_ids, RowIds):
        row_ids.read(hits.rows.ravel().tolist())
    run: Run = {}
    found = (hits.rows != NO_ROW).sum(axis=1).tolist()  # pads are the last
    for query_id, count, rows, scores in zip(
        query_ids, found, hits.rows.tolist(), hits.scores.tolist(), strict=True
    ):
        own = rows[:count]
        names = row_ids.of(own) if isinstance(row_ids, RowIds) else [row_ids[row] for row in own]
        documents = run[query_id] = dict(zip(names, scores, strict=False))
        if len(documents) < count:  # hits do not increase: the first of several rows is the best
            documents.update(zip(reversed(names), reversed(scores[:count]), strict=True))
    return run


def run_of_texts(
    hits: Hits, owner: NDArray[np.int64], query_ids: Sequence[str], row_ids: Sequence[str], k: int
) -> Run:
    """Translate the hits of queries' rows to their runs, cut to k documents.

    Where a query has several rows, a document gets the sum of its scores for each row, none less
    than 0 (PromptReps, Zhuang et al., EMNLP 2024).

    Args:
        hits: one row per row of the queries.
        owner: position of the query that each stands for, see `Representation`.
        query_ids: distinct; each is in the run, perhaps with nothing.
        row_ids: as `to_run` takes them.
        k: at least 1.
    """
    if np.array_equal(owner, np.arange(len(query_ids))):
        run = to_run(hits, query_ids, row_ids)
        return run if hits.rows.shape[1] == k else cut(run, k)
    by_row = to_run(hits, [str(at) for at in range(len(owner))], row_ids)
    added = sum_rows(by_row, [query_ids[at] for at in owner])
    return cut({query_id: added.get(query_id, {}) for query_id in query_ids}, k)


def write_trec(run: Run, path: str | Path, tag: str = "lastword") -> int:
    """Write `query Q0 document rank score tag` lines, best first, whole or not at all.

    Scores are written in full, so that `read_trec` gives back the same numbers. Ids are escaped
    as `retrieval.trec_ids` says. A query without documents leaves no line: the format has no room
    for it.

    Returns:
        How many ids of queries and documents were escaped; other programs see those escapes.

    Raises:
        ValueError: an id is empty or no legal Unicode, the tag is empty or holds white space, or
            a score is NaN.
    """
    if tag.split() != [tag]:
        raise ValueError(f"the tag of a run is one word; got {tag!r}")
    fields = EscapedIds()
    replace_file(Path(path), "".join(_trec_lines(run, tag, fields)).encode())
    return fields.escaped


def _trec_lines(run: Run, tag: str, fields: EscapedIds) -> Iterable[str]:
    for query_id, scores in run.items():
        for rank, (doc_id, score) in enumerate(ranked(scores), start=1):
            if score != score:
                raise ValueError(f"document {doc_id!r} of query {query_id!r} has the score NaN")
            query, document = fields[query_id], fields[doc_id]
            yield f"{query} Q0 {document} {rank} {float(score)!r} {tag}\n"


def read_trec(path: str | Path) -> Run:
    """Read a TREC run; scores decide the order, the rank column is not believed.

    A line that names the columns is passed over, wherever it stands, and escapes of `write_trec`
    in ids are undone.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: a line has not six fields, its score is not a number, or a document comes
            twice for a query; the message names file and line.
    """
    run: Run = {}
    for place, line in read_lines(Path(path)):
        _read_line(line, place, run)
    return run


def _read_line(line: str, place: str, run: Run) -> None:
    fields = split_fields(line, 6)
    if len(fields) != 6:
        raise ValueError(
            f"{place}: expected 6 fields (query Q0 document rank score tag); got {len(fields)}"
        )
    query_id, _, doc_id, _, written, _ = fields
    try:
        score = read_number(written)
    except ValueError as error:
        if is_header(query_id, written):
            return
        raise ValueError(f"{place}: expected a number as score; got {shorten(written)}") from error
    query_id, doc_id = unescape_id(query_id), unescape_id(doc_id)
    scores = run.setdefault(query_id, {})
    if doc_id in scores:
        raise ValueError(
            f"{place}: document {shorten(doc_id)} comes twice for query {shorten(query_id)}"
        )
    scores[doc_id] = score
