"""The family of tests that p-values are corrected over: each difference once."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from eval.statistics.paired import Items, Paired
from eval.statistics.significance import holm


@dataclass(frozen=True, slots=True)
class FamilyTest:
    """A test of a family.

    Attributes:
        key: equal for tests of the same differences; None where no item differs.
        p: uncorrected.
    """

    key: Hashable
    p: float


def differences_key(strata: Sequence[Paired]) -> Hashable:
    """Return a key that is equal for equal differences; None where no item differs."""
    if not any(paired.differences.any() for paired in strata):
        return None
    two = ((paired.dataset, paired.values[at].tobytes()) for at in (0, 1) for paired in strata)
    return frozenset(two)  # whichever of the two is the baseline


def correct(tests: Sequence[FamilyTest]) -> tuple[list[float], int]:
    """Correct p-values by Holm over different tests.

    A run that is there twice makes two rows and one test; a run beside itself makes none, since
    no pattern of signs could tell the two apart.

    Returns:
        Corrected p-values in the order given, 1 where there is no difference; size of the family.
    """
    family: dict[Hashable, float] = {}
    for test in tests:
        if test.key is not None:
            family.setdefault(test.key, test.p)
    corrected = dict(zip(family, holm(list(family.values())), strict=True))
    return [corrected.get(test.key, 1.0) for test in tests], len(family)


def identical_systems(items: Mapping[str, Mapping[str, Items]]) -> dict[str, str]:
    """Return the systems that have the value of every item of an earlier one, with that one.

    Args:
        items: data set -> system -> item -> value.
    """
    identical: dict[str, str] = {}
    names = list(next(iter(items.values())))
    for at, name in enumerate(names):
        for other in names[:at]:
            if other not in identical and all(
                values[other] == values[name] for values in items.values()
            ):
                identical[name] = other
    return identical


def family_text(tests: int, alpha: float) -> str:
    """Say how p-values were corrected, the same wherever tests are reported."""
    return f"at {alpha:.2g} by Holm over {tests:,} test{'s' * (tests != 1)}"


def identical_text(identical: Mapping[str, str]) -> str:
    """Say which systems are the same run as another, and no test of their own; "" for none."""
    names = ", ".join(f"{name} (as {other})" for name, other in identical.items())
    return f"Equal on every item, so not tested again: {names}." if names else ""
