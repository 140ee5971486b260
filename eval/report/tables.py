"""Tables of systems and measures: the best of each column, and what is not significantly worse.

Tests are those of `eval.compare`, and so is the family over which they are corrected: every test
of one measure on all data sets, means apart, each difference once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.statistics.family import FamilyTest, correct, family_text, identical_text
from eval.statistics.paired import Items, pair
from eval.statistics.significance import sign_flip_test

ALPHA = 0.05
SEED = 0

Mark = Literal["best", "close", "worse", "alone", "unlike", "beside"]


@dataclass(frozen=True, slots=True)
class MeanCell:
    """The mean of a system in a column.

    Attributes:
        mean: None where the system was not judged on all of the column.
        mark: the best; close: not significantly worse than it; worse: significantly; alone:
            there is no other; unlike: it shares no item with the best, so nothing was tested;
            beside: it is no rival.
        p: against the best, corrected; None where nothing was tested.
    """

    mean: float | None
    mark: Mark
    p: float | None = None


@dataclass(frozen=True, slots=True)
class MeasureColumn:
    """One measure on one data set, or its mean over several.

    Attributes:
        heading: over the column.
        cells: system -> cell, in the order of the systems.
        tests: size of the family over which p is corrected.
        identical: system -> the one of which it has the value of every item; it is not tested
            a second time.
    """

    heading: str
    cells: Mapping[str, MeanCell]
    tests: int = 0
    identical: Mapping[str, str] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """Name of the system with the highest mean."""
        return next(name for name, cell in self.cells.items() if cell.mark in ("best", "alone"))


@dataclass(frozen=True, slots=True)
class SystemTable:
    """Systems in rows.

    Attributes:
        key: its id in a page.
        heading: over the table.
        columns: at least one.
        note: a sentence about the numbers.
    """

    key: str
    heading: str
    columns: tuple[MeasureColumn, ...]
    note: str

    @property
    def systems(self) -> tuple[str, ...]:
        """Names of the systems, in the order of the rows."""
        return tuple(self.columns[0].cells)


@dataclass(frozen=True, slots=True)
class Averaged:
    """The values and weights of a column.

    Attributes:
        heading: over the column.
        values: system -> data set -> item -> value; a data set may be missing.
        weights: data set -> its part of the mean; they sum to 1.
        rivals: systems among which the best is looked for, and that are tested; all where it is
            empty or none of them was judged.
    """

    heading: str
    values: Mapping[str, Mapping[str, Items]]
    weights: Mapping[str, float]
    rivals: Collection[str] = ()

    def means(self) -> dict[str, float]:
        """Return the weighted mean of every system that was judged on all data sets.

        Raises:
            ValueError: there is none.
        """
        means = {
            name: fsum(
                weight * fsum(by_set[dataset].values()) / len(by_set[dataset])
                for dataset, weight in self.weights.items()
            )
            for name, by_set in self.values.items()
            if self.weights.keys() <= by_set.keys()
        }
        if not means:
            listed = ", ".join(self.weights)
            raise ValueError(f"{self.heading}: no system was judged on {listed}")
        return means

    def differences(self, best: str, rival: str) -> NDArray[np.float64] | None:
        """Return the terms of the difference of means; None where no item is shared."""
        first, second = self.values[best], self.values[rival]
        if any(not first[dataset].keys() & second[dataset].keys() for dataset in self.weights):
            return None
        pairs = [
            (weight, pair(dataset, ("best", first[dataset]), ("other", second[dataset])))
            for dataset, weight in self.weights.items()
        ]
        parts = [weight * paired.differences / len(paired.items) for weight, paired in pairs]
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class _UncorrectedColumn:
    """A column before correction: p of each system against the best, each difference once."""

    of: Averaged
    means: Mapping[str, float]
    best: str
    p_values: Mapping[str, float]
    identical: Mapping[str, str]

    def corrected(self, adjusted: Mapping[str, float], tests: int) -> MeasureColumn:
        """Fill the cells: p-values as adjusted in a family of so many tests."""
        cells = {}
        rivals = self.of.rivals if set(self.of.rivals) & self.means.keys() else self.of.values
        for name in self.of.values:
            tested = self.identical.get(name, name)
            if name not in rivals:
                cells[name] = MeanCell(self.means.get(name), "beside")
            elif name == self.best:
                cells[name] = MeanCell(self.means[name], "best" if len(self.means) > 1 else "alone")
            elif tested in adjusted or tested == self.best:
                p = adjusted.get(tested, 1.0)
                cells[name] = MeanCell(self.means[name], "close" if p > ALPHA else "worse", p)
            else:
                cells[name] = MeanCell(self.means.get(name), "unlike")
        return MeasureColumn(self.of.heading, cells, tests, self.identical)


def columns(averaged: Sequence[Averaged]) -> tuple[MeasureColumn, ...]:
    """Test every system of each column against its best one.

    The test flips the signs of the differences on shared items, as `sign_flip_test`; p-values
    are corrected by Holm over all columns. A system whose differences are those of another, or
    0 everywhere, is the same run again, and no test of its own.

    Args:
        averaged: the columns, all of one measure.
    """
    tested = [_test(column) for column in averaged]
    keys = [(at, name) for at, column in enumerate(tested) for name in column.p_values]
    adjusted, size = correct(
        [FamilyTest((at, name), tested[at].p_values[name]) for at, name in keys]
    )
    family = dict(zip(keys, adjusted, strict=True))
    return tuple(
        column.corrected({name: family[at, name] for name in column.p_values}, size)
        for at, column in enumerate(tested)
    )


def _test(averaged: Averaged) -> _UncorrectedColumn:
    means = averaged.means()
    among = [name for name in means if name in averaged.rivals] or list(means)
    best = max(among, key=lambda name: means[name])
    known: dict[bytes, str] = {}
    p_values, identical = {}, {}
    for name in among:
        parts = averaged.differences(best, name)
        if name == best or parts is None:
            continue
        if not parts.any():
            identical[name] = best
        elif (mark := parts.tobytes()) in known:
            identical[name] = known[mark]
        else:
            known[mark] = name
            p_values[name] = sign_flip_test(parts, np.random.default_rng(SEED)).p
    return _UncorrectedColumn(averaged, means, best, p_values, identical)


def verdict(column: MeasureColumn, measure: str) -> str:
    """Say in a sentence who is best, who may be as good, and how that was corrected."""
    best = column.best
    mean = column.cells[best].mean
    start = f"{best} has the highest {measure}, {mean:.4f}"
    if any(cell.mean is not None and cell.mean > (mean or 0) for cell in column.cells.values()):
        start += " of what counts"
    tested = {name: cell for name, cell in column.cells.items() if name not in column.identical}
    close = [name for name, cell in tested.items() if cell.mark == "close"]
    worse = [name for name, cell in tested.items() if cell.mark == "worse"]
    if not close and not worse:
        sentence = f"{start}" if len(column.cells) > 1 else f"{best}: {measure} {mean:.4f}"
    elif not close:
        sentence = f"{start}, significantly higher than {_listed(worse)}"
    elif not worse:
        sentence = f"{start}; {_listed(close)} cannot be told from it"
    else:
        verb = "is" if len(worse) == 1 else "are"
        sentence = (
            f"{start}; {_listed(close)} cannot be told from it; {_listed(worse)} {verb} worse"
        )
    family = f" ({family_text(column.tests, ALPHA)})" if close or worse else ""
    return f"{sentence}{family}. {identical_text(column.identical)}".rstrip()


def _listed(names: Sequence[str], most: int = 4) -> str:
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} others"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
