"""Pair the values that two systems have of the same items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-12  # values of two systems that are this close are equal

Items = Mapping[str, float]
"""Item -> value of one measure; an item is a query id, or the number of a pair or sentence."""


def pairs(names: Sequence[str], every: bool) -> list[tuple[str, str]]:
    """Return each baseline with each system: the first with the others, or every two."""
    return [two for two in combinations(names, 2) if every or two[0] == names[0]]


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """The values of two systems on the items of a data set that both have.

    Attributes:
        dataset: name of it.
        baseline: name of the system compared with.
        system: name of the system.
        items: that both have, in the baseline's order.
        values: (2, n) float64, the baseline's and the system's.
        only_baseline: items that the system has no value of.
        only_system: items that the baseline has no value of.
    """

    dataset: str
    baseline: str
    system: str
    items: tuple[str, ...]
    values: NDArray[np.float64]
    only_baseline: tuple[str, ...]
    only_system: tuple[str, ...]

    @property
    def differences(self) -> NDArray[np.float64]:
        """(n,) values of the system less the baseline's; 0 where only rounding tells them apart."""
        differences = self.values[1] - self.values[0]
        return np.where(np.abs(differences) <= ROUNDING, 0.0, differences)


def pair(dataset: str, baseline: tuple[str, Items], system: tuple[str, Items]) -> Paired:
    """Pair the values of two systems, each with its name, item by item.

    Raises:
        ValueError: they have no item in common.
    """
    (baseline_name, ours), (system_name, theirs) = baseline, system
    items = tuple(item for item in ours if item in theirs)
    if not items:
        raise ValueError(
            f"{baseline_name} and {system_name} have no item of {dataset} in common, e.g. "
            f"{next(iter(ours))!r} and {next(iter(theirs))!r}: are they of the same split?"
        )
    return Paired(
        dataset=dataset,
        baseline=baseline_name,
        system=system_name,
        items=items,
        values=np.array([[own[item] for item in items] for own in (ours, theirs)], np.float64),
        only_baseline=tuple(item for item in ours if item not in theirs),
        only_system=tuple(item for item in theirs if item not in ours),
    )
