"""Runs: hits become runs, runs are ordered and cut, and go to TREC files and back."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from embedder.durable import replace_file
from index.base import NO_ROW, Hits

Run = dict[str, dict[str, float]]
"""Query id -> document id -> score, higher is better; a query asked in vain maps to {}."""


def ranked(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """List the documents of one query best first; of equal scores the id that sorts first."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def cut(run: Run, k: int) -> Run:
    """Keep the k best documents of each query, best first."""
    if k < 1:
        raise ValueError(f"a run is cut to at least 1 document per query; got k={k}")
    return {query_id: dict(ranked(scores)[:k]) for query_id, scores in run.items()}


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
    run: Run = {}
    for query_id, rows, scores in zip(query_ids, hits.rows, hits.scores, strict=True):
        found = run[query_id] = {}
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
            if row != NO_ROW:
                found.setdefault(row_ids[row], score)  # hits do not increase: the first is best
    return run


def write_trec(run: Run, path: str | Path, tag: str = "lastword") -> None:
    """Write `query Q0 document rank score tag` lines, best first, whole or not at all.

    Scores are written in full, so that `read_trec` gives back the same numbers. A query without
    documents leaves no line: the format has no room for it.

    Raises:
        ValueError: an id or the tag is empty or holds white space, or a score is NaN.
    """
    _check_field("tag", tag)
    replace_file(Path(path), "".join(_trec_lines(run, tag)).encode())


def _trec_lines(run: Run, tag: str) -> Iterable[str]:
    for query_id, scores in run.items():
        _check_field("query id", query_id)
        for rank, (doc_id, score) in enumerate(ranked(scores), start=1):
            _check_field("document id", doc_id)
            if score != score:
                raise ValueError(f"document {doc_id!r} of query {query_id!r} has the score NaN")
            yield f"{query_id} Q0 {doc_id} {rank} {float(score)!r} {tag}\n"


def _check_field(name: str, value: str) -> None:
    if value.split() != [value]:
        raise ValueError(
            f"a TREC file separates fields by white space, so a {name} must hold none "
            f"and not be empty; got {value!r}"
        )


def read_trec(path: str | Path) -> Run:
    """Read a TREC run; scores decide the order, the rank column is not believed.

    Raises:
        ValueError: a line has not six fields, its score is not a number, or a document comes
            twice for a query; the message names file and line.
    """
    run: Run = {}
    with Path(path).open(encoding="utf-8", errors="strict") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    _read_line(line, f"{path}:{number}", run)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: a run is UTF-8 text; {error}") from error
    return run


def _read_line(line: str, place: str, run: Run) -> None:
    fields = line.split()
    if len(fields) != 6:
        raise ValueError(
            f"{place}: expected 6 fields (query Q0 document rank score tag); got {len(fields)}"
        )
    query_id, _, doc_id, _, written, _ = fields
    try:
        score = float(written)
    except ValueError:
        score = float("nan")
    if score != score:
        raise ValueError(f"{place}: expected a number as score; got {written!r}")
    scores = run.setdefault(query_id, {})
    if doc_id in scores:
        raise ValueError(f"{place}: document {doc_id!r} comes twice for query {query_id!r}")
    scores[doc_id] = score
