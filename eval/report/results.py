"""The tables of results: per data set, over data sets, and the verdict of each in a sentence."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from eval.data.beir import whole_sets
from eval.report.dataset import JudgedDataset
from eval.report.tables import Averaged, MeasureColumn, SystemTable, columns, verdict
from eval.statistics.paired import Items


def set_tables(sets: Sequence[JudgedDataset]) -> list[SystemTable]:
    """Lay out all systems and measures, a table for each data set.

    The tests of a measure on all data sets are one family, as in `eval.compare`.
    """
    measured = [
        dict.fromkeys(
            measure for system in judged.systems for measure in system.values[judged.dataset]
        )
        for judged in sets
    ]
    by_measure: dict[tuple[str, str], MeasureColumn] = {}
    for measure in dict.fromkeys(measure for measures in measured for measure in measures):
        members = [
            judged for judged, measures in zip(sets, measured, strict=True) if measure in measures
        ]
        averaged = [
            Averaged(measure, _values([judged], measure), {judged.dataset: 1.0}, _rivals([judged]))
            for judged in members
        ]
        for judged, column in zip(members, columns(averaged), strict=True):
            by_measure[judged.dataset, measure] = column
    return [
        SystemTable(
            f"table-{judged.key}",
            judged.dataset,
            tuple(by_measure[judged.dataset, measure] for measure in measures),
            f"Means over {judged.first.size:,} {judged.noun}.",
        )
        for judged, measures in zip(sets, measured, strict=True)
    ]


def tables_over(sets: Sequence[JudgedDataset]) -> Iterator[SystemTable]:
    """Lay out the main measure per data set and on average, then the means of all measures.

    Each benchmark has tables of its own; a mean counts CQADupStack once.
    """
    ordered = sorted(sets, key=lambda judged: judged.first.benchmark)
    for benchmark, members in groupby(ordered, lambda judged: judged.first.benchmark):
        judged_sets = list(members)
        wholes = whole_sets(judged.dataset for judged in judged_sets)
        if len(wholes) > 1:
            yield _overview(benchmark, judged_sets, wholes)
            yield _means(benchmark, judged_sets, wholes)


def verdicts(
    sets: Sequence[JudgedDataset], over: Sequence[SystemTable], single: Sequence[SystemTable]
) -> list[str]:
    """Write the verdict of each table of means; without any, of each data set."""
    overviews = [table for table in over if table.key.startswith("overview")]
    if overviews:
        return [verdict(table.columns[-1], table.heading) for table in overviews]
    return [
        verdict(table.columns[0], f"{judged.measure} on {judged.dataset}")
        for judged, table in zip(sets, single, strict=True)
    ]


def _overview(
    benchmark: str, sets: Sequence[JudgedDataset], wholes: Mapping[str, Sequence[str]]
) -> SystemTable:
    measure = sets[0].measure
    values = _values(sets, measure)
    rivals = _rivals(sets)
    single = [
        Averaged(whole, values, dict.fromkeys(parts, 1 / len(parts)), rivals)
        for whole, parts in wholes.items()
    ]
    return SystemTable(
        f"overview-{benchmark}",
        f"mean {measure} over {len(wholes)} data sets",
        (*columns(single), *columns([Averaged("mean", values, _weights(wholes), rivals)])),
        f"{measure} on each data set; the mean counts each data set once.",
    )


def _means(
    benchmark: str, sets: Sequence[JudgedDataset], wholes: Mapping[str, Sequence[str]]
) -> SystemTable:
    shared = [
        measure
        for measure in sets[0].first.main
        if all(measure in judged.first.main for judged in sets)
    ]
    weights = _weights(wholes)
    return SystemTable(
        f"means-{benchmark}",
        f"All measures, mean over {len(wholes)} data sets",
        tuple(
            columns([Averaged(measure, _values(sets, measure), weights, _rivals(sets))])[0]
            for measure in shared
        ),
        f"Means over {', '.join(wholes)}.",
    )


def _rivals(sets: Sequence[JudgedDataset]) -> frozenset[str]:
    """Return the systems that are tested: of several folders the counted run of each."""
    several = [judged for judged in sets if len(judged.counted) > 1]
    return frozenset(system.name for judged in several for system in judged.counted)


def _weights(wholes: Mapping[str, Sequence[str]]) -> dict[str, float]:
    return {part: 1 / (len(parts) * len(wholes)) for parts in wholes.values() for part in parts}


def _values(sets: Sequence[JudgedDataset], measure: str) -> dict[str, dict[str, Items]]:
    """Return system -> data set -> item -> value; data sets without the measure are missing."""
    values: dict[str, dict[str, Items]] = {}
    for judged in sets:
        for system in judged.systems:
            by_set = values.setdefault(system.name, {})
            if items := judged.items(system, measure):
                by_set[judged.dataset] = items
    return values
