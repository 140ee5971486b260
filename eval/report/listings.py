"""Tables behind the figures: texts cut or left out, judged shares, ties, time and memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.measures.ranking import DEPTH
from eval.report.dataset import JudgedDataset
from eval.report.judged_share import pool
from eval.runs.record import Record

_SPOKEN = {"truncated": "cut", "without_words": "without words", "skipped_empty": "left out, empty"}


@dataclass(frozen=True, slots=True)
class Listing:
    """A table of text.

    Attributes:
        key: its id in a page.
        heading: over the table.
        columns: headings; one that starts with ">" is of numbers.
        rows: cells, as many as columns.
        note: a sentence below the table; may be empty.
    """

    key: str
    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def list_losses(sets: Sequence[JudgedDataset]) -> Listing:
    """List how many texts were read, cut, and left out, of documents and of queries."""
    counts = [
        (*names, dict(counted))
        for judged in sets
        for system in judged.counted
        for names, counted in _counts(judged, system.name, judged.record(system))
    ]
    kinds = list(dict.fromkeys(kind for *_, counted in counts for kind in counted))
    return Listing(
        "losses",
        "Read, cut and left out",
        ("data set", "system", "read", "channels", *(f">{_SPOKEN.get(k, k)}" for k in kinds)),
        tuple(
            (*map(str, names), *(f"{counted[kind]:,}" if kind in counted else "" for kind in kinds))
            for *names, counted in counts
        ),
        "A text that is longer than the limit is cut and counts in the figures all the same.",
    )


def pool_rows(judged: JudgedDataset) -> Iterator[tuple[str, ...]]:
    """Yield the rows of `list_pools` for one data set; nothing where nothing was searched."""
    for system in judged.systems if judged.retrieval else ():
        first = pool(judged.dataset, system.name, judged.evidence(system))
        share = "" if first.judged_share is None else f"{100 * first.judged_share:.1f} %"
        counts = (f"{first.queries:,}", f"{first.unanswered:,}", share, f"{first.tied:,}")
        yield judged.dataset, system.name, *counts


def list_pools(rows: tuple[tuple[str, ...], ...]) -> Listing:
    """List how far the first ten documents are judged, for each run of each retrieval set."""
    return Listing(
        "pools",
        "Judged documents, unanswered queries, ties",
        ("data set", "system", ">queries", ">unanswered", ">judged", ">tied"),
        rows,
        f"Judged: share of the first {DEPTH} documents that somebody judged, relevant or not; the "
        "others count as not relevant, which is unfair to a system that finds what nobody looked "
        f"at. Tied: queries whose documents {DEPTH} and {DEPTH + 1} have the same score, so that "
        "ids decide. Unanswered queries count as 0.",
    )


def list_costs(sets: Sequence[JudgedDataset]) -> Listing:
    """List time, memory and latency of each folder and data set."""
    rows_of = [
        (judged, system.name, judged.record(system).cost)
        for judged in sets
        for system in judged.counted
    ]
    steps = list(dict.fromkeys(step for _, _, cost in rows_of for step in cost.seconds))
    rows = []
    for judged, name, cost in rows_of:
        seconds = (f"{cost.seconds[s]:,.2f}" if s in cost.seconds else "" for s in steps)
        latencies = ("", "")
        if cost.latencies_ms:
            middle, late = np.percentile(cost.latencies_ms, [50, 95])
            latencies = (f"{middle:,.1f}", f"{late:,.1f}")
        rows.append((judged.dataset, name, *seconds, *latencies, f"{cost.peak_bytes / 1e6:,.0f}"))
    return Listing(
        "costs",
        "Time and memory",
        (
            *("data set", "system", *(f">{step}, s" for step in steps)),
            *(">a query, ms (median)", ">(95 %)", ">memory, MB"),
        ),
        tuple(rows),
        "An index that was there from before costs nothing here. Queries are timed one at a time, "
        "encoded, searched in all channels and fused. Memory is the most that the process held.",
    )


def list_subsets(sets: Sequence[JudgedDataset]) -> Listing | None:
    """List the parts of data sets that have some, such as the forums of STS12."""
    rows = tuple(
        (judged.dataset, system.name, str(part), *cells)
        for judged in sets
        for system in judged.counted
        for part, cells in _parts(judged.record(system))
    )
    if not rows:
        return None
    return Listing("subsets", "Subsets", ("data set", "system", "subset", ">items", "values"), rows)


def _parts(record: Record) -> Iterator[tuple[str, tuple[str, str]]]:
    parts = record.details.get("subsets")
    for part, facts in parts.items() if isinstance(parts, Mapping) else ():
        values = facts.get("measures", {})
        text = ", ".join(
            f"{name} {value:.4f}" if isinstance(value, float) else f"{name} not defined"
            for name, value in values.items()
        )
        yield part, (str(facts.get("pairs", facts.get("items", ""))), text)


def _counts(
    judged: JudgedDataset, name: str, record: Record
) -> Iterator[tuple[tuple[str, str, str, str], Mapping[str, int]]]:
    """Yield the counts of documents and of queries; channels with equal counts once."""
    build = record.details.get("build") or {}
    skipped = build.get("skipped_empty", 0)
    queries = "queries" if judged.retrieval else "all"
    for texts, by_channel in (
        ("documents", build.get("counts", {})),
        (queries, record.cost.counts),
    ):
        shared: dict[tuple[tuple[str, int], ...], list[str]] = {}
        for channel, channel_counts in by_channel.items():
            # A build does not name the kinds of which it counted nothing.
            kinds = record.cost.counts.get(channel, channel_counts)
            counted = dict.fromkeys(kinds, 0) | dict(channel_counts)
            if texts == "documents" and skipped:
                counted["skipped_empty"] = skipped
            shared.setdefault(tuple(counted.items()), []).append(channel)
        for counts, channels in shared.items():
            yield (judged.dataset, name, texts, ", ".join(channels)), dict(counts)
