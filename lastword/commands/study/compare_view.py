"""How comparisons look: figures, what they rest on, and answers side by side."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from lastword.cli.screen import one_line, table, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from eval.report.examine import Examination
    from eval.report.largest_differences import LargeDifference, RankedDocument
    from eval.statistics.comparison import Comparison
    from lastword.cli.tables import Table

SIDE_BY_SIDE = 5  # documents of each system
_HALF = 36  # characters of a document on the left side


def show_comparisons(
    comparisons: "Sequence[Comparison]", examination: "Examination"
) -> "Iterator[RenderableType]":
    """Yield what people see, the figures first."""
    for comparison in comparisons:
        for headings, rows in comparison.tables():
            yield from headings
            first_column, *numbers = rows[0]
            yield table(first_column, *(f">{name}" for name in numbers), rows=rows[1:])
    first = comparisons[0]
    yield "diff: with its bootstrap interval. effect: diff in standard deviations."
    yield "p: two-sided sign-flip test. w/t/l: items won, tied and lost."
    yield from first.mismatches()
    yield from (difference.text for difference in examination.sources)
    if examination.pools:
        yield "What the figures rest on, of the first 10 documents a query:"
        yield _pool_table(first, examination)
    for pair, differing in groupby(examination.differing, lambda gap: (gap.baseline, gap.system)):
        yield from _differing(first.measure, pair, list(differing))
    documents = [hit for gap in examination.differing for hit in gap.baseline_documents]
    if documents and not any(hit.text for hit in documents):
        yield "Documents are shown by their ids alone: no index of them is at hand."


def _pool_table(comparison: "Comparison", examination: "Examination") -> "Table":
    firsts = list(dict.fromkeys(pair.systems[0] for pair in examination.overlaps))
    shares = {(pair.dataset, *pair.systems): pair.share for pair in examination.overlaps}
    lines: list[tuple[str, ...]] = []
    for dataset, pools in groupby(examination.pools, lambda pool: pool.dataset):
        lines.append((dataset, *[""] * (4 + len(firsts))))
        lines += [
            (
                f"  {pool.system}",
                _percent(pool.judged_share),
                f"{pool.unanswered:,} of {pool.queries:,}",
                f"{pool.tied:,}",
                *(_percent(shares.get((dataset, first, pool.system))) for first in firsts),
                "",
            )
            for pool in pools
        ]
    both = (f">shared with {first}" for first in firsts)
    return table("", ">judged", ">unanswered", ">tied at 10", *both, "", rows=lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _differing(
    measure: str, pair: tuple[str, str], differing: "list[LargeDifference]"
) -> "Iterator[RenderableType]":
    """Yield the items on which two systems differ most, side by side where they have documents."""
    bare = [gap for gap in differing if not gap.baseline_documents + gap.system_documents]
    legend = "" if bare else " (gain: as judged, ? where not judged)"
    yield f"Where {pair[0]} and {pair[1]} differ most in {measure}{legend}:"
    if bare:
        columns = ("data set", "item", f">{pair[0]}", f">{pair[1]}", ">diff", "")
        yield table(
            *columns,
            rows=[(gap.dataset, gap.item, *_values(gap), "") for gap in bare],
        )
    for gap in differing:
        if gap not in bare:
            before, after, moved = _values(gap)
            yield f"{visible(f'{gap.dataset} {gap.item}')}: {before} and {after} ({moved})"
            if gap.text:
                yield one_line(gap.text, 300)
            yield _side_by_side(gap)


def _values(gap: "LargeDifference") -> tuple[str, str, str]:
    return f"{gap.baseline_value:.4f}", f"{gap.system_value:.4f}", f"{gap.difference:+.4f}"


def _side_by_side(gap: "LargeDifference") -> "Table":
    left, right = gap.baseline_documents, gap.system_documents
    rows = [
        (*_document(left, at, _HALF), *_document(right, at, 200))
        for at in range(min(SIDE_BY_SIDE, max(len(left), len(right))))
    ]
    names = gap.baseline, gap.system
    return table(">gain", names[0], ">gain", names[1], rows=rows, texts=names)


def _document(documents: "Sequence[RankedDocument]", at: int, width: int) -> tuple[str, str]:
    """Return gain and document at a rank; "?" is not judged."""
    if at >= len(documents):
        return "", ""
    document = documents[at]
    gain = "?" if document.gain is None else str(document.gain)
    return gain, one_line(f"{document.id} {document.text}", width)
