"""Published figures and how they were made: the configurations that `reproduce` repeats."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, get_args

from embedder.files.config_file import fill, read_config
from embedder.files.name_lists import suggest_names
from eval.data.beir import BEIR, CQADUPSTACK, CQADUPSTACK_PARTS, WHOLE

FOLDER = Path(__file__).parent / "reproductions"

PublishedBenchmark = Literal["retrieval", "sts"]
ByRun = Mapping[str, Mapping[str, float | None]]
"""Run -> measure -> value, of one data set; None where a value is not defined."""

_EACH_BEIR = "beir"


@dataclass(frozen=True, slots=True)
class Figure:
    """A published number.

    Attributes:
        expected: as a fraction, also where papers print it times 100.
        tolerance: how far a repetition may be off to either side.
        run: a channel, or "fused".
        dataset: one of the configuration's; "" is the mean over all of them.
    """

    expected: float
    tolerance: float
    run: str = "dense"
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """How figures were made, by the file of one paper or system.

    Attributes:
        family: stem of the file.
        name: what it is asked for by.
        what: one line for people.
        source: who published the figures, where and when.
        benchmark: how it is judged.
        datasets: BEIR names, or stems of .tsv files of pairs.
        measure: what all the figures are.
        figures: what should come out.
        reading: options of `lastword.options.Reading`.
        fusion: of the channels; "auto" as everywhere.
        needs: what must be had, beyond lastword itself.
    """

    family: str
    name: str
    what: str
    source: str
    benchmark: PublishedBenchmark
    datasets: tuple[str, ...]
    measure: str
    figures: tuple[Figure, ...]
    reading: Mapping[str, Any] = field(default_factory=dict)
    fusion: str = "auto"
    needs: str = ""

    def __post_init__(self) -> None:
        if self.benchmark not in get_args(PublishedBenchmark):
            raise ValueError(
                f"{self.name}: expected a benchmark of {', '.join(get_args(PublishedBenchmark))}; "
                f"got {self.benchmark!r}"
            )
        foreign = {figure.dataset for figure in self.figures} - {"", *self.datasets}
        if foreign or not self.figures or not self.datasets:
            raise ValueError(
                f"{self.name}: expected figures of its data sets {', '.join(self.datasets)}; "
                f"got those of {', '.join(sorted(foreign)) or 'nothing'}"
            )


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A published figure and what came out here."""

    figure: Figure
    got: float

    @property
    def difference(self) -> float:
        """What came out less what was published."""
        return self.got - self.figure.expected

    @property
    def within(self) -> bool:
        """Whether the tolerance was kept."""
        return abs(self.difference) <= self.figure.tolerance


def configurations() -> dict[str, Configuration]:
    """Read every configuration that is checked in: name -> configuration.

    Raises:
        ValueError: a file does not say what a configuration must.
    """
    found: dict[str, Configuration] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        for one in _read(path):
            if one.name in found:
                raise ValueError(f"{path}: {one.name!r} comes twice")
            found[one.name] = one
    return found


def named(names: Sequence[str]) -> list[Configuration]:
    """Find configurations by name, each once; the name of a family stands for all of it.

    Raises:
        ValueError: a name is unknown.
    """
    known = configurations()
    families: dict[str, list[Configuration]] = {}
    for one in known.values():
        families.setdefault(one.family, []).append(one)
    chosen: dict[str, Configuration] = {}
    for name in names:
        members = [known[name]] if name in known else families.get(name)
        if members is None:
            hint = suggest_names(name, [*known, *families], "`reproduce --list` has all")
            raise ValueError(f"no configuration is called {name!r}; {hint}")
        chosen |= {one.name: one for one in members}
    return list(chosen.values())


def compared(configuration: Configuration, found: Mapping[str, ByRun]) -> list[Reproduction]:
    """Compare what came out with the figures of a configuration, in their order.

    Args:
        configuration: what was repeated.
        found: data set -> run -> measure -> value, of all its data sets.

    Raises:
        ValueError: the run or the measure of a figure is missing.
    """

    def value(dataset: str, run: str) -> float:
        got = found[dataset].get(run, {}).get(configuration.measure)
        if got is None:
            raise ValueError(f"{dataset} has no {configuration.measure} of {run!r}")
        return got

    def over(figure: Figure) -> float:
        datasets = (figure.dataset,) if figure.dataset else configuration.datasets
        return fmean(value(dataset, figure.run) for dataset in datasets)

    return [Reproduction(figure, over(figure)) for figure in configuration.figures]


def _read(path: Path) -> Iterator[Configuration]:
    file = read_config(path, _ConfigurationFile)
    for number, table in enumerate(file.configuration, start=1):
        where = f"{path}: configuration {number}"
        given = {**table, "family": path.stem, "source": file.source}
        if given.get("each") == _EACH_BEIR:
            for name in (name for name in WHOLE if WHOLE[name].flat):
                yield fill(Configuration, _of_beir(name, given), where)
        else:
            yield fill(Configuration, given, where)


@dataclass(frozen=True, slots=True)
class _ConfigurationFile:
    source: str
    configuration: tuple[dict[str, Any], ...]


def _of_beir(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in one set of BEIR: its name, Anserini's BM25 figure, and what must be had."""
    kept = {key: held for key, held in table.items() if key not in ("each", "tolerance")}
    parts = CQADUPSTACK_PARTS if name == CQADUPSTACK else (name,)
    expected = {part: BEIR[part].flat for part in parts}
    if len(parts) > 1:
        expected = {"": WHOLE[name].flat, **expected}
    figures = [
        {"expected": flat, "tolerance": table["tolerance"], "run": "bm25", "dataset": part}
        for part, flat in expected.items()
    ]
    size = WHOLE[name].megabytes
    terms = f"{size:,} MB to download" if size else f"no download, {WHOLE[name].licence}"
    filled = {key: kept[key].format(dataset=name) for key in ("name", "what")}
    return kept | filled | {"datasets": parts, "figures": figures, "needs": f"{name} ({terms})"}
