"""Tables of systems and measures: the best of each column, and what is not surely worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal

import numpy as np

from embedder.tuning.statistics import holm, sign_flip_test
from eval.paired import Items, pair

ALPHA = 0.05
FLIPS = 10_000  # the p-values decide a mark only; 100,000 would tell it no better
SEED = 0

Mark = Literal["best", "close", "worse", "alone", "unlike"]


@dataclass(frozen=True, slots=True)
class Cell:
    """The mean of a system in a column.

    Attributes:
        mean: None where the system was not judged on all of the column.
        mark: the best; close: not significantly worse than it; worse: significantly; alone:
            there is no other; unlike: it shares no item with the best, so nothing was tested.
        p: against the best, corrected for the column; None where nothing was tested.
    """

    mean: float | None
    mark: Mark
    p: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One measure on one data set, or its mean over several.

    Attributes:
        heading: over the column.
        cells: system -> cell, in the order of the systems.
    """

    heading: str
    cells: Mapping[str, Cell]

    @property
    def best(self) -> str:
        """Name of the system with the highest mean."""
        return next(name for name, cell in self.cells.items() if cell.mark in ("best", "alone"))


@dataclass(frozen=True, slots=True)
class Table:
    """Systems in rows.

    Attributes:
        key: its id in a page.
        heading: over the table.
        columns: at least one.
        note: what the numbers are of, in a sentence.
    """

    key: str
    heading: str
    columns: tuple[Column, ...]
    note: str

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the systems, in the order of the rows."""
        return tuple(self.columns[0].cells)


def column(
    heading: str, held: Mapping[str, Mapping[str, Items]], weights: Mapping[str, float]
) -> Column:
    """Average a measure, and test every system against the best one.

    The test flips the signs of the differences on shared items, as `sign_flip_test`; p-values
    are corrected by Holm over the column.

    Args:
        heading: over the column.
        held: system -> data set -> item -> value; a data set may be missing.
        weights: data set -> its part of the mean; they sum to 1.
    """
    means = {
        name: fsum(
            weight * fsum(by_set[dataset].values()) / len(by_set[dataset])
            for dataset, weight in weights.items()
        )
        for name, by_set in held.items()
        if weights.keys() <= by_set.keys()
    }
    if not means:
        raise ValueError(f"{heading}: no system was judged on {', '.join(weights)}")
    best = max(means, key=lambda name: means[name])
    tested = {
        name: p
        for name in means
        if name != best and (p := _p_value(held[best], held[name], weights)) is not None
    }
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    cells = {}
    for name in held:
        if name == best:
            cells[name] = Cell(means[name], "best" if len(means) > 1 else "alone")
        elif name in adjusted:
            p = adjusted[name]
            cells[name] = Cell(means[name], "close" if p > ALPHA else "worse", p)
        else:
            cells[name] = Cell(means.get(name), "unlike")
    return Column(heading, cells)


def _p_value(
    best: Mapping[str, Items], other: Mapping[str, Items], weights: Mapping[str, float]
) -> float | None:
    """Test the weighted mean difference; None where a data set has no shared items."""
    if any(not best[dataset].keys() & other[dataset].keys() for dataset in weights):
        return None
    pairs = [
        (weight, pair(dataset, ("best", best[dataset]), ("other", other[dataset])))
        for dataset, weight in weights.items()
    ]
    parts = [weight * paired.differences / len(paired.items) for weight, paired in pairs]
    return sign_flip_test(np.concatenate(parts), np.random.default_rng(SEED), FLIPS).p


def verdict(column: Column, measure: str) -> str:
    """Say in a sentence who is best, and who may be as good."""
    best = column.best
    mean = column.cells[best].mean
    start = f"{best} has the highest {measure}, {mean:.4f}"
    close = [name for name, cell in column.cells.items() if cell.mark == "close"]
    worse = [name for name, cell in column.cells.items() if cell.mark == "worse"]
    if not close and not worse:
        return f"{start}." if len(column.cells) > 1 else f"{best}: {measure} {mean:.4f}."
    if not close:
        return f"{start}, significantly higher than {_listed(worse)}."
    if not worse:
        return f"{start}; {_listed(close)} cannot be told from it."
    verb = "is" if len(worse) == 1 else "are"
    return f"{start}; {_listed(close)} cannot be told from it; {_listed(worse)} {verb} worse."


def _listed(names: Sequence[str], most: int = 4) -> str:
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} others"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
