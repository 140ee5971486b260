"""Published figures and how they were made: the configurations that `reproduce` repeats."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from embedder.files.config_file import fill, read_config
from embedder.files.name_lists import suggest_names
from eval.data.beir import BEIR, CQADUPSTACK, CQADUPSTACK_PARTS, WHOLE
from index.manifest import Engine

FOLDER = Path(__file__).parent / "reproductions"

PublishedBenchmark = Literal["retrieval", "sts", "engines"]
ByRun = Mapping[str, Mapping[str, float | None]]
"""Run -> measure -> value, of one data set; None where a value is not defined."""

EQUAL = "equal runs"
"""Measure: share of queries for which two engines find equal documents with equal scores."""

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
        name: as an argument of `reproduce`.
        what: one line for people.
        source: who published the figures, where and when.
        benchmark: how it is judged.
        datasets: BEIR names, or stems of .tsv files of pairs.
        measure: of all the figures.
        figures: numbers that should come out.
        reading: options of `lastword.cli.options.EncoderOptions`.
        fusion: of the channels; "auto" as everywhere.
        needs: models and data, beyond lastword itself.
        engine: which searches words; Lucene reads them by its analyzers, too.
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
    engine: Engine = "native"

    def __post_init__(self) -> None:
        foreign = {figure.dataset for figure in self.figures} - {"", *self.datasets}
        if foreign or not self.figures or not self.datasets:
            raise ValueError(
                f"{self.name}: expected figures of its data sets {', '.join(self.datasets)}; "
                f"got those of {', '.join(sorted(foreign)) or 'nothing'}"
            )


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A published figure and the value that came out here."""

    figure: Figure
    value: float

    @property
    def difference(self) -> float:
        """The value less the published one."""
        return self.value - self.figure.expected

    @property
    def within(self) -> bool:
        """Whether the tolerance was kept."""
        return abs(self.difference) <= self.figure.tolerance


def load_configurations() -> dict[str, Configuration]:
    """Read every configuration that is checked in: name -> configuration.

    Raises:
        ValueError: a field of a configuration is missing or of another type, or a name comes twice.
    """
    configurations: dict[str, Configuration] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        for configuration in _read_configurations(path):
            if configuration.name in configurations:
                raise ValueError(f"{path}: {configuration.name!r} comes twice")
            configurations[configuration.name] = configuration
    return configurations


def find_configurations(names: Sequence[str]) -> list[Configuration]:
    """Find configurations by name, each once; the name of a family stands for all of it.

    Raises:
        ValueError: a name is unknown.
    """
    known = load_configurations()
    families: dict[str, list[Configuration]] = {}
    for configuration in known.values():
        families.setdefault(configuration.family, []).append(configuration)
    chosen: dict[str, Configuration] = {}
    for name in names:
        members = [known[name]] if name in known else families.get(name)
        if members is None:
            hint = suggest_names(name, [*known, *families], "`reproduce --list` has all")
            raise ValueError(f"no configuration is called {name!r}; {hint}")
        chosen |= {member.name: member for member in members}
    return list(chosen.values())


def compare_figures(
    configuration: Configuration, values: Mapping[str, ByRun]
) -> list[Reproduction]:
    """Compare values that came out with the figures of a configuration, in their order.

    Args:
        configuration: that was repeated.
        values: data set -> run -> measure -> value, of all its data sets.

    Raises:
        ValueError: the run or the measure of a figure is missing.
    """

    def value_of(dataset: str, run: str) -> float:
        value = values[dataset].get(run, {}).get(configuration.measure)
        if value is None:
            raise ValueError(f"{dataset} has no {configuration.measure} of {run!r}")
        return value

    def mean_of(figure: Figure) -> float:
        datasets = (figure.dataset,) if figure.dataset else configuration.datasets
        return fmean(value_of(dataset, figure.run) for dataset in datasets)

    return [Reproduction(figure, mean_of(figure)) for figure in configuration.figures]


def _read_configurations(path: Path) -> Iterator[Configuration]:
    file = read_config(path, _ConfigurationFile)
    for number, entry in enumerate(file.configuration, start=1):
        table = {**entry, "family": path.stem, "source": file.source}
        tables = [table]
        if table.get("each") == _EACH_BEIR:
            tables = [_of_beir(name, table) for name in WHOLE if WHOLE[name].flat]
        for filled in tables:
            yield fill(Configuration, filled, f"{path}: configuration {number}")


@dataclass(frozen=True, slots=True)
class _ConfigurationFile:
    source: str
    configuration: tuple[dict[str, Any], ...]


def _of_beir(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in one set of BEIR: its name, Anserini's BM25 figure, and the download."""
    fields = {key: value for key, value in table.items() if key not in ("each", "tolerance")}
    parts = CQADUPSTACK_PARTS if name == CQADUPSTACK else (name,)
    flats = {part: BEIR[part].flat for part in parts}
    if len(parts) > 1:
        flats = {"": WHOLE[name].flat, **flats}
    figures = [
        {"expected": flat, "tolerance": table["tolerance"], "run": "bm25", "dataset": part}
        for part, flat in flats.items()
    ]
    size = WHOLE[name].megabytes
    terms = f"{size:,} MB to download" if size else f"no download, {WHOLE[name].licence}"
    texts = {key: fields[key].format(dataset=name) for key in ("name", "what")}
    return fields | texts | {"datasets": parts, "figures": figures, "needs": f"{name} ({terms})"}
