"""Look behind a comparison: pools, overlaps, and the items on which systems differ most."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from embedder.progress import Progress
from eval.report.judged_share import JudgedPool, SystemOverlap, overlap, pool
from eval.report.largest_differences import (
    DocumentTexts,
    ItemPlace,
    LargeDifference,
    describe_difference,
    largest_differences,
)
from eval.runs.sources import SourceDifference, check_same_items, source_differences
from eval.runs.systems import System, gather_evidence
from eval.statistics.comparison import Comparison
from eval.statistics.paired import pair, pairs


@dataclass(frozen=True, slots=True)
class Examination:
    """What lies behind a comparison.

    Attributes:
        pools: of every system on every retrieval set.
        overlaps: of every pair that was compared, on every retrieval set.
        differing: pair by pair, the items on which it differs most, over all data sets.
        sources: systems that were judged on other documents or judgements than the first.
    """

    pools: tuple[JudgedPool, ...]
    overlaps: tuple[SystemOverlap, ...]
    differing: tuple[LargeDifference, ...]
    sources: tuple[SourceDifference, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "pools": [judged.to_json() for judged in self.pools],
            "overlaps": [asdict(shared) for shared in self.overlaps],
            "differing": [difference.to_json() for difference in self.differing],
            "sources_differ": [asdict(difference) for difference in self.sources],
        }


def examine(
    systems: Sequence[System], comparison: Comparison, n: int, progress: Progress | None = None
) -> Examination:
    """Read the runs behind a comparison, one data set at a time.

    Args:
        systems: those that were compared, in the same order.
        comparison: of them.
        n: items shown of each pair.
        progress: called with the number of data sets read.

    Raises:
        ValueError: systems were judged by different judgements, or on different sentences.
    """
    sources = [
        difference
        for dataset in comparison.datasets
        for difference in source_differences(systems, dataset)
    ]
    check_same_items(sources)
    places = _largest_places(systems, comparison, n)
    pools: list[JudgedPool] = []
    overlaps: list[SystemOverlap] = []
    differing: dict[ItemPlace, LargeDifference] = {}
    for done, dataset in enumerate(comparison.datasets, start=1):
        by_name = gather_evidence(systems, dataset)
        pools += [pool(dataset, name, evidence) for name, evidence in by_name.items()]
        overlaps += [
            overlap(dataset, (first, by_name[first]), (second, by_name[second]))
            for first, second in pairs([*by_name], comparison.options.all_pairs)
        ]
        with DocumentTexts([evidence.index for evidence in by_name.values()]) as texts:
            for place in places:
                paired = place.paired
                if paired.dataset == dataset:
                    names = (paired.baseline, paired.system) if by_name else ()
                    answers = [by_name[name] for name in names]
                    differing[place] = describe_difference(place, answers, texts)
        if progress is not None:
            progress(done)
    ordered = tuple(differing[place] for place in places)
    return Examination(tuple(pools), tuple(overlaps), ordered, tuple(sources))


def _largest_places(systems: Sequence[System], comparison: Comparison, n: int) -> list[ItemPlace]:
    values = {
        system.name: {
            dataset: system.values[dataset][comparison.measure] for dataset in comparison.datasets
        }
        for system in systems
    }
    return [
        place
        for first, second in pairs([*values], comparison.options.all_pairs)
        for place in largest_differences(
            [
                pair(dataset, (first, values[first][dataset]), (second, values[second][dataset]))
                for dataset in comparison.datasets
            ],
            n,
        )
    ]
