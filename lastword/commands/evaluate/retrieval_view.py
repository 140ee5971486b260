"""What eval retrieval shows: the measures of every run, and means over data sets."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from lastword.cli.screen import counted, duration, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from eval.runs.record import Record


def show_records(records: "Sequence[Record]") -> "list[RenderableType]":
    """Lay out the measures of each data set, and their means over data sets."""
    from eval.data.beir import whole_sets

    pieces = [piece for record in records for piece in _show_record(record)]
    wholes = whole_sets(record.dataset for record in records)
    named = {record.dataset: record for record in records}
    for name, parts in wholes.items():
        if len(parts) > 1:
            pieces += _show_mean(f"{name}, the mean of its {len(parts)} parts", [[*parts]], named)
    if len(wholes) > 1:
        pieces += _show_mean(f"Mean of {len(wholes)} datasets", [*wholes.values()], named)
    return pieces


def _show_mean(
    heading: str, wholes: Sequence[Sequence[str]], records: "Mapping[str, Record]"
) -> "list[RenderableType]":
    """Average the means of data sets, each counting once, and that of parts as one."""
    from eval.measures.measures import means

    figures = {name: {run: means(v) for run, v in r.values.items()} for name, r in records.items()}
    first = next(iter(figures.values()))
    measures = next(iter(first.values()))

    def mean(run: str, measure: str) -> float:
        return fmean(fmean(figures[part][run][measure] for part in parts) for parts in wholes)

    rows = [(run, *(f"{mean(run, name):.4f}" for name in first[run]), "") for run in first]
    return [heading, table("run", *(f">{name}" for name in measures), "", rows=rows)]


def _show_record(record: "Record") -> "list[RenderableType]":
    from eval.data.beir import BEIR
    from eval.measures.measures import means

    cost = record.cost
    durations = ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in cost.seconds.items())
    heading = (
        f"{record.dataset}: {counted(record.details['documents'], 'document')}, "
        f"{counted(record.size, 'query')} ({durations})"
    )
    rows = [
        (run, *(f"{mean:.4f}" for mean in means(values).values()), "")
        for run, values in record.values.items()
    ]
    known = BEIR.get(record.dataset)
    if known is not None and known.flat is not None and "nDCG@10" in record.measures:
        published = (f"{known.flat:.4f}" if name == "nDCG@10" else "" for name in record.measures)
        rows.append(("BM25 of Anserini", *published, ""))
    return [heading, table("run", *(f">{name}" for name in record.measures), "", rows=rows)]
