"""Compare systems on the data sets that they share: is one better than another, and how surely."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from embedder.arguments import check_fields
from eval.data.beir import whole_sets
from eval.measures.measures import Values
from eval.statistics.family import FamilyTest, correct, differences_key, identical_systems
from eval.statistics.paired import Items, Paired, pair, pairs
from eval.statistics.significance import (
    Interval,
    Outcomes,
    SignFlip,
    effect_size,
    mean_interval,
    outcomes,
    sign_flip_test,
)


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """How systems are compared.

    Attributes:
        level: confidence of the intervals.
        seed: of the random patterns and samples; each row starts from it, so that what else is
            compared changes no row.
        all_pairs: compare each system with every earlier one, not only with the first.
    """

    level: float = 0.95
    seed: int = 0
    all_pairs: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 < self.level < 1:
            raise ValueError(f"level must be above 0 and below 1, e.g. 0.95; got {self.level}")


@dataclass(frozen=True, slots=True)
class Difference:
    """How a system does against a baseline on the items that both have.

    Attributes:
        dataset: name; of a macro average, how many data sets it is of.
        baseline: name of the system compared with.
        system: name of the system.
        baseline_mean: over the shared items; the macro average is the mean of such means.
        system_mean: likewise.
        interval: of the difference; None where one item tells of no spread.
        test: two-sided, before any correction.
        p_holm: corrected over the tests of the comparison; macro averages among themselves.
        effect: difference in standard deviations; None where not defined, as of a macro average.
        outcomes: how many items the system wins, ties and loses.
        only_baseline: items that the system has no value of; they are not compared.
        only_system: items that the baseline has no value of.
    """

    dataset: str
    baseline: str
    system: str
    baseline_mean: float
    system_mean: float
    interval: Interval | None
    test: SignFlip
    p_holm: float
    effect: float | None
    outcomes: Outcomes
    only_baseline: tuple[str, ...] = ()
    only_system: tuple[str, ...] = ()

    @property
    def difference(self) -> float:
        """How much more the system has."""
        return self.system_mean - self.baseline_mean

    @property
    def items(self) -> int:
        """Number of items compared."""
        return self.outcomes.wins + self.outcomes.ties + self.outcomes.losses

    def to_json(self) -> dict[str, Any]:
        """Return all figures, unrounded."""
        return {
            "dataset": self.dataset,
            "baseline": self.baseline,
            "system": self.system,
            "items": self.items,
            "baseline_mean": self.baseline_mean,
            "system_mean": self.system_mean,
            "difference": self.difference,
            "interval": asdict(self.interval) if self.interval else None,
            **asdict(self.test),
            "p_holm": self.p_holm,
            "effect_size": self.effect,
            **asdict(self.outcomes),
            "only_baseline": list(self.only_baseline),
            "only_system": list(self.only_system),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Systems on the data sets that all of them have, by one measure.

    Attributes:
        measure: name of it.
        options: how they were compared.
        systems: names, the baseline first.
        means: data set -> system -> mean over all of its items.
        rows: pair by pair, and for each data set by data set.
        tests: size of the family that `p_holm` of rows is corrected over: each difference once,
            and none that is 0 on every item. What is left out has the p of its equal, or 1.
        identical: system -> an earlier one, of which it has the value of every item.
        macro: for each pair the mean over data sets, CQADupStack counted once as in BEIR;
            nothing for a single data set.
        left_out: data set -> the systems that have it, for those that not all have.
    """

    measure: str
    options: CompareOptions
    systems: tuple[str, ...]
    means: Mapping[str, Mapping[str, float]]
    rows: tuple[Difference, ...]
    tests: int
    identical: Mapping[str, str]
    macro: tuple[Difference, ...]
    left_out: Mapping[str, tuple[str, ...]]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets that were compared on."""
        return tuple(self.means)

    def to_json(self) -> dict[str, Any]:
        """Return all figures, unrounded."""
        return {
            "measure": self.measure,
            **asdict(self.options),
            "systems": list(self.systems),
            "datasets": list(self.datasets),
            "means": {dataset: dict(means) for dataset, means in self.means.items()},
            "rows": [row.to_json() for row in self.rows],
            "tests": self.tests,
            "identical": dict(self.identical),
            "macro": [row.to_json() for row in self.macro],
            "left_out": {dataset: list(names) for dataset, names in self.left_out.items()},
        }


def compare(
    systems: Mapping[str, Mapping[str, Values]],
    measure: str | None = None,
    options: CompareOptions | None = None,
) -> Comparison:
    """Compare every system with the first, item by item, on the data sets that all of them have.

    Args:
        systems: name -> data set -> measure -> item -> value.
        measure: by default the first of the baseline's first shared data set.
        options: by default a level of .95, and only pairs with the baseline.

    Raises:
        ValueError: there is one system only, they share no data set, one has not the measure, or
            two have no item of a data set in common.
    """
    options = options or CompareOptions()
    datasets, left_out = _shared_datasets(systems)
    measure = measure or next(iter(next(iter(systems.values()))[datasets[0]]))
    items = {
        dataset: {name: _items(systems[name][dataset], measure, name, dataset) for name in systems}
        for dataset in datasets
    }
    by_pair = [_pair_systems(items, two) for two in pairs([*systems], options.all_pairs)]
    rows, tests = _compare_groups([[paired] for strata in by_pair for paired in strata], options)
    macro, _ = _compare_groups([strata for strata in by_pair if len(strata) > 1], options)
    return Comparison(
        measure=measure,
        options=options,
        systems=tuple(systems),
        means={
            dataset: {name: float(np.mean([*values.values()])) for name, values in by_name.items()}
            for dataset, by_name in items.items()
        },
        rows=rows,
        tests=tests,
        identical=identical_systems(items),
        macro=macro,
        left_out=left_out,
    )


def _shared_datasets(
    systems: Mapping[str, Mapping[str, Values]],
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Return the data sets that all systems have, and who has the others."""
    if len(systems) < 2:
        raise ValueError(f"a comparison needs two systems; got {', '.join(systems) or 'none'}")
    datasets = dict.fromkeys(dataset for by_dataset in systems.values() for dataset in by_dataset)
    owners = {
        dataset: tuple(name for name in systems if dataset in systems[name]) for dataset in datasets
    }
    shared = [dataset for dataset, names in owners.items() if len(names) == len(systems)]
    if not shared:
        lists = "; ".join(f"{name} has {', '.join(sets)}" for name, sets in systems.items())
        raise ValueError(f"no data set is shared by all systems: {lists}")
    return shared, {dataset: names for dataset, names in owners.items() if dataset not in shared}


def _items(values: Values, measure: str, name: str, dataset: str) -> Items:
    if measure not in values:
        raise ValueError(
            f"{name} has no measure {measure!r} of {dataset}; it has {', '.join(values)}: "
            "take one that all data sets have, or fewer data sets"
        )
    if not values[measure]:
        raise ValueError(f"{name} has no value of {measure} for any item of {dataset}")
    return values[measure]


def _pair_systems(items: Mapping[str, Mapping[str, Items]], two: tuple[str, str]) -> list[Paired]:
    first, second = two
    return [
        pair(dataset, (first, values[first]), (second, values[second]))
        for dataset, values in items.items()
    ]


def _compare_groups(
    groups: Sequence[Sequence[Paired]], options: CompareOptions
) -> tuple[tuple[Difference, ...], int]:
    """Compare by each group of data sets, and correct over all; also return the number of tests."""
    rows = [_difference(strata, options) for strata in groups]
    keyed = zip(groups, rows, strict=True)
    tests = [FamilyTest(differences_key(strata), row.test.p) for strata, row in keyed]
    p_values, size = correct(tests)
    return tuple(replace(row, p_holm=p) for row, p in zip(rows, p_values, strict=True)), size


def _difference(strata: Sequence[Paired], options: CompareOptions) -> Difference:
    """Compare means over data sets: signs are flipped, and samples drawn, in each of them."""
    name, weights = _weigh_datasets([paired.dataset for paired in strata])
    differences = [paired.differences for paired in strata]
    alone = strata[0] if len(strata) == 1 else None
    # The sum of these is the difference of the macro averages, whatever the signs.
    parts = [part * share / len(part) for part, share in zip(differences, weights, strict=True)]
    terms = differences[0] if alone else np.concatenate(parts)
    test = sign_flip_test(terms, np.random.default_rng(options.seed))
    baseline_mean, system_mean = np.array(weights) @ [
        paired.values.mean(axis=1) for paired in strata
    ]
    return Difference(
        dataset=name,
        baseline=strata[0].baseline,
        system=strata[0].system,
        baseline_mean=float(baseline_mean),
        system_mean=float(system_mean),
        interval=mean_interval(
            differences, np.random.default_rng(options.seed), options.level, weights
        ),
        test=test,
        p_holm=test.p,
        effect=effect_size(terms) if alone else None,
        outcomes=outcomes(terms),
        only_baseline=alone.only_baseline if alone else (),
        only_system=alone.only_system if alone else (),
    )


def _weigh_datasets(datasets: Sequence[str]) -> tuple[str, list[float]]:
    """Name the mean over data sets and return their weights, CQADupStack counted once."""
    sets = whole_sets(datasets)
    weight = {part: 1 / len(parts) / len(sets) for parts in sets.values() for part in parts}
    name = f"mean of {len(sets)}" if len(sets) > 1 else next(iter(sets))
    return name, [weight[dataset] for dataset in datasets]
