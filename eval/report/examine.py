"""Look behind a comparison: pools, overlaps, and the items on which systems differ most."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eval.report.judged_share import JudgedPool, SystemOverlap, overlap, pool
from eval.report.largest_differences import (
    DocumentTexts,
    ItemPlace,
    LargeDifference,
    described,
    largest_differences,
)
from eval.runs.systems import System, gathered
from eval.statistics.compare import Comparison
from eval.statistics.paired import pair, pairs

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Examination:
    """What lies behind a comparison.

    Attributes:
        pools: of every system on every retrieval set.
        overlaps: of every pair that was compared, on every retrieval set.
        differing: pair by pair, the items on which it differs most, over all data sets.
    """

    pools: tuple[JudgedPool, ...]
    overlaps: tuple[SystemOverlap, ...]
    differing: tuple[LargeDifference, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "pools": [held.to_json() for held in self.pools],
            "overlaps": [asdict(held) for held in self.overlaps],
            "differing": [held.to_json() for held in self.differing],
        }


def examine(
    systems: Sequence[System], comparison: Comparison, n: int, progress: Progress | None = None
) -> Examination:
    """Read the runs behind a comparison, one data set at a time.

    Args:
        systems: those that were compared, in the same order.
        comparison: of them.
        n: items shown of each pair.
        progress: told the number of data sets read.

    Raises:
        ValueError: systems were judged by different judgements.
    """
    wanted = _wanted(systems, comparison, n)
    pools: list[JudgedPool] = []
    overlaps: list[SystemOverlap] = []
    told: dict[ItemPlace, LargeDifference] = {}
    for done, dataset in enumerate(comparison.datasets, start=1):
        found = gathered(systems, dataset)
        pools += [pool(dataset, name, evidence) for name, evidence in found.items()]
        overlaps += [
            overlap(dataset, (first, found[first]), (second, found[second]))
            for first, second in pairs([*found], comparison.options.all_pairs)
        ]
        with DocumentTexts([evidence.index for evidence in found.values()]) as texts:
            for place in wanted:
                held = place.paired
                if held.dataset == dataset:
                    both = [found[name] for name in (held.baseline, held.system) if found]
                    told[place] = described(place, both, texts)
        if progress is not None:
            progress(done)
    return Examination(tuple(pools), tuple(overlaps), tuple(told[place] for place in wanted))


def _wanted(systems: Sequence[System], comparison: Comparison, n: int) -> list[ItemPlace]:
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
