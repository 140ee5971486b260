"""Compare systems on the data sets that they share: is one better than another, and how surely."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from eval.data.beir import whole_sets
from eval.measures.measures import Values
from eval.statistics.comparison import CompareOptions, Comparison, Difference
from eval.statistics.family import FamilyTest, correct, differences_key, identical_systems
from eval.statistics.paired import Items, Paired, pair, pairs
from eval.statistics.significance import (
    effect_size,
    mean_interval,
    outcomes,
    sign_flip_test,
)


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
