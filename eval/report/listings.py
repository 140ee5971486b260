"""What stands behind the figures: texts cut or left out, judged shares, ties, time and memory."""

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
        note: what a reader should know, in a sentence.
    """

    key: str
    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def losses(sets: Sequence[JudgedDataset]) -> Listing:
    """List how many texts were read, cut, and left out, of documents and of queries."""
    counts = [
        (*names, dict(held))
        for judged in sets
        for system in judged.counted
        for names, held in _counts(judged, system.name, judged.record(system))
    ]
    kinds = list(dict.fromkeys(kind for *_, held in counts for kind in held))
    return Listing(
        "losses",
        "Read, cut and left out",
        ("data set", "system", "read", "channels", *(f">{_SPOKEN.get(k, k)}" for k in kinds)),
        tuple(
            (*map(str, names), *(f"{held[kind]:,}" if kind in held else "" for kind in kinds))
            for *names, held in counts
        ),
        "A text that is longer than the limit is cut and counts in the figures all the same.",
    )


def pool_rows(judged: JudgedDataset) -> Iterator[tuple[str, ...]]:
    """Yield the rows of `pools` for one data set; nothing where nothing was searched."""
    for system in judged.systems if judged.retrieval else ():
        held = pool(judged.dataset, system.name, judged.evidence(system))
        share = "" if held.judged_share is None else f"{100 * held.judged_share:.1f} %"
        counts = (f"{held.queries:,}", f"{held.unanswered:,}", share, f"{held.tied:,}")
        yield judged.dataset, system.name, *counts


def pools(rows: tuple[tuple[str, ...], ...]) -> Listing:
    """List what the first ten documents rest on, for each run of each retrieval set."""
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


def costs(sets: Sequence[JudgedDataset]) -> Listing:
    """List time, memory and latency of each folder and data set."""
    held = [
        (judged, system.name, judged.record(system).cost)
        for judged in sets
        for system in judged.counted
    ]
    steps = list(dict.fromkeys(step for _, _, cost in held for step in cost.seconds))
    rows = []
    for judged, name, cost in held:
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


def subsets(sets: Sequence[JudgedDataset]) -> Listing | None:
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
        told = ", ".join(
            f"{name} {value:.4f}" if isinstance(value, float) else f"{name} not defined"
            for name, value in values.items()
        )
        yield part, (str(facts.get("pairs", facts.get("items", ""))), told)


def _counts(
    judged: JudgedDataset, name: str, record: Record
) -> Iterator[tuple[tuple[str, str, str, str], Mapping[str, int]]]:
    """Yield what was counted of documents and queries; channels with equal counts once."""
    build = record.details.get("build") or {}
    skipped = build.get("skipped_empty", 0)
    read = "queries" if judged.retrieval else "all"
    for side, by_channel in (("documents", build.get("counts", {})), (read, record.cost.counts)):
        shared: dict[tuple[tuple[str, int], ...], list[str]] = {}
        for channel, held in by_channel.items():
            # What a build counted nothing of, it does not name.
            counted = dict.fromkeys(record.cost.counts.get(channel, held), 0) | dict(held)
            if side == "documents" and skipped:
                counted["skipped_empty"] = skipped
            shared.setdefault(tuple(counted.items()), []).append(channel)
        for counts, channels in shared.items():
            yield (judged.dataset, name, side, ", ".join(channels)), dict(counts)
