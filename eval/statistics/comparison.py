"""What a comparison of systems says: figures, and the same as a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from embedder.arguments import check_fields
from embedder.text.layout import align_columns
from embedder.text.printable import printable
from eval.statistics.family import family_text, identical_text
from eval.statistics.significance import Interval, Outcomes, SignFlip


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

    def cells(self, alpha: float) -> tuple[str, ...]:
        """Return the row of a table, with a star where p_holm is at most alpha."""
        interval = self.interval
        reach = f" ±{(interval.high - interval.low) / 2:.4f}" if interval else " " * 8
        return (
            f"  {self.system}",
            f"{self.system_mean:.4f}",
            f"{self.difference:+.4f}{reach}",
            _probability(self.test.p),
            _probability(self.p_holm) + ("*" if self.p_holm <= alpha else " "),
            "-" if self.effect is None else f"{self.effect:+.2f}",
            f"{self.outcomes.wins}/{self.outcomes.ties}/{self.outcomes.losses}",
        )


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

    >>> print(lw.compare(lw.evaluate("path/to/tiny", "bm25"), lw.evaluate("path/to/tiny")))
    nDCG@10, compared with bm25:
    * significant at 0.05 by Holm over 1 test.
                 mean       diff ±95 %       p     Holm  effect  w/t/l
    tiny
      bm25     0.4169
      bundled  0.7503  +0.3333 ±0.8165  1.0000  1.0000    +0.58  1/2/0
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

    def __str__(self) -> str:
        blocks = [
            "\n".join([*map(printable, headings), align_columns(rows)])
            for headings, rows in self.tables()
        ]
        return "\n\n".join([*blocks, *map(printable, self.mismatches())])

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

    def tables(self) -> Iterator[tuple[list[str], list[tuple[str, ...]]]]:
        """Yield the figures against each baseline: lines above a table, and its rows of cells.

        The first row are the headings; all columns but the first are numbers.
        """
        family = family_text(self.tests, 1 - self.options.level)
        apart = " of a measure, means apart" if self.macro else ""
        star = f"* significant {family}{apart}." if self.tests else ""
        notes = " ".join(filter(None, (star, identical_text(self.identical))))
        rows = sorted((*self.rows, *self.macro), key=lambda row: self.systems.index(row.baseline))
        for baseline, differences in groupby(rows, lambda row: row.baseline):
            heading = f"{self.measure}, compared with {baseline}:"
            yield [heading, notes] if notes else [heading], self._cells(baseline, [*differences])

    def _cells(self, baseline: str, differences: Sequence[Difference]) -> list[tuple[str, ...]]:
        reach = f"diff ±{100 * self.options.level:g} %"
        cells: list[tuple[str, ...]] = [("", "mean", reach, "p", "Holm", "effect", "w/t/l")]
        for dataset in dict.fromkeys(row.dataset for row in differences):
            rows = [row for row in differences if row.dataset == dataset]
            mean = self.means.get(dataset, {}).get(baseline, rows[0].baseline_mean)
            cells.append((dataset, *[""] * 6))
            cells.append((f"  {baseline}", f"{mean:.4f}", *[""] * 5))
            cells += [row.cells(1 - self.options.level) for row in rows]
        return cells

    def mismatches(self) -> Iterator[str]:
        """Say what was not compared, a sentence each."""
        for dataset, names in self.left_out.items():
            yield f"Not compared: {dataset}, which only {', '.join(names)} has."
        for row in self.rows:
            if row.only_baseline or row.only_system:
                yield (
                    f"{row.dataset}: {row.baseline} and {row.system} are compared on the "
                    f"{row.items:,} item{'s' * (row.items != 1)} that both have; "
                    f"{len(row.only_baseline):,} only of {row.baseline} and "
                    f"{len(row.only_system):,} only of {row.system} are left out. "
                    f"On these {row.baseline} has {row.baseline_mean:.4f}."
                )


def _probability(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "<0.0001"
