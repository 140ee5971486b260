"""The record of one judged data set: values per run, measure and item, and their cost."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from embedder.files.config_file import read_json
from embedder.files.json_file import write_json
from embedder.files.typed_values import check_values, fill_value, in_short
from eval.measures.measures import Values, means

Benchmark = Literal["retrieval", "sts", "transfer"]

FUSED = "fused"
"""Name of the fused run beside those of the channels."""

RERANKED = "reranked"
"""Name of the run that a reranker made of the fused one, or of the only channel's."""

SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class RunCost:
    """Time, tokens and memory that judging took.

    Attributes:
        seconds: step -> wall time.
        counts: channel -> counts of its encoder, e.g. texts, tokens, truncated.
        peak_bytes: most memory that the process ever held, see `peak_bytes`.
        latencies_ms: of single queries, searched one at a time; a sample.
    """

    seconds: Mapping[str, float]
    counts: Mapping[str, Mapping[str, int]]
    peak_bytes: int
    latencies_ms: tuple[float, ...] = ()


@dataclass(frozen=True)
class Record:
    """The outcome of one data set, in every benchmark the same.

    An item is a query, by its id, or a pair or sentence, by its number from "1". The value of
    every item is kept, and the mean over items is the measure.

    Attributes:
        benchmark: which.
        dataset: name of the data set.
        values: run -> measure -> item -> value. A run is a channel, or FUSED.
        counted: the run that counts.
        fingerprints: channel -> fingerprint of its encoder.
        cost: time, tokens and memory.
        details: facts that only one benchmark has, as JSON.
    """

    benchmark: Benchmark
    dataset: str
    values: Mapping[str, Values]
    counted: str
    fingerprints: Mapping[str, str]
    cost: RunCost
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.benchmark not in get_args(Benchmark):
            raise ValueError(
                f"a benchmark is one of {', '.join(get_args(Benchmark))}; got {self.benchmark!r}"
            )
        if self.counted not in self.values:
            raise ValueError(
                f"{self.dataset}: run {self.counted!r} counts, and has no values; "
                f"there are {', '.join(self.values) or 'none'}"
            )
        if not self.main or not all(self.main.values()):
            raise ValueError(f"{self.dataset}: run {self.counted!r} has no measure, or no items")
        if clash := self.details.keys() & _FIELDS:
            raise ValueError(
                f"{self.dataset}: details may not be called {', '.join(sorted(clash))}"
            )

    @property
    def main(self) -> Values:
        """Values of the run that counts."""
        return self.values[self.counted]

    @property
    def measures(self) -> dict[str, float]:
        """Means of the run that counts, unrounded; the first measure is the one that counts."""
        return means(self.main)

    @property
    def size(self) -> int:
        """Number of items."""
        return len(next(iter(self.main.values())))

    def summary(self) -> dict[str, Any]:
        """Return everything but the values of single items and the latencies."""
        data = self.to_json()
        del data["values"], data["latencies_ms"]
        return data

    def to_json(self) -> dict[str, Any]:
        """Return the contents of the file: the means first, the values of every item last."""
        return {
            "benchmark": self.benchmark,
            "dataset": self.dataset,
            "counted": self.counted,
            "measures": self.measures,
            "measures_by_run": {name: means(values) for name, values in self.values.items()},
            "items": self.size,
            **self.details,
            **asdict(self.cost),
            "latencies_ms": list(self.cost.latencies_ms),
            "fingerprint": {name: json.loads(text) for name, text in self.fingerprints.items()},
            "values": {name: dict(values) for name, values in self.values.items()},
        }

    @staticmethod
    def from_json(data: object) -> "Record":
        """Read the output of `to_json`.

        Raises:
            ValueError: something is missing, of another type, or the values contradict each other.
        """
        if not isinstance(data, dict):
            raise ValueError(f"expected a record of a judged data set; got {in_short(data)}")
        if missing := [name for name in _TYPES if name not in data]:
            raise ValueError(f"expected a record of a judged data set; {missing[0]} is missing")
        check_values(data, {**_TYPES, **_DETAILS})
        check_values(data.get("build") or {}, _BUILD, "build")
        _check_values(data["values"])
        return Record(
            benchmark=data["benchmark"],
            dataset=data["dataset"],
            values=data["values"],
            counted=data["counted"],
            fingerprints={
                name: json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=_COMPACT)
                for name, facts in data["fingerprint"].items()
            },
            cost=RunCost(
                data["seconds"], data["counts"], data["peak_bytes"], tuple(data["latencies_ms"])
            ),
            details={name: value for name, value in data.items() if name not in _FIELDS},
        )

    @property
    def stem(self) -> str:
        """What the names of this data set's files begin with."""
        return file_stem(self.dataset)

    def write(self, folder: Path) -> Path:
        """Write DATASET.json, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.stem}{SUFFIX}"
        write_json(path, self.to_json())
        return path

    @staticmethod
    def read(path: Path) -> "Record":
        """Read a file that `write` wrote.

        Raises:
            ValueError: it is no such file.
        """
        data = read_json(path)
        try:
            return Record.from_json(data)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


_COMPACT = (",", ":")
_TYPES: Mapping[str, Any] = {
    "benchmark": Benchmark,
    "dataset": str,
    "counted": str,
    "seconds": dict[str, float],
    "counts": dict[str, dict[str, int | float]],
    "peak_bytes": int,
    "latencies_ms": tuple[float, ...],
    "fingerprint": dict[str, dict[str, Any]],
    "values": dict[str, dict[str, dict[str, Any]]],
}
_DETAILS: Mapping[str, Any] = {
    "build": dict[str, Any] | None,
    "channels": tuple[str, ...],
    "fusion": str | None,
    "index": str | None,
    "documents": int,
    "subsets": dict[str, Any],
}
_BUILD: Mapping[str, Any] = {
    "documents": int,
    "seconds": float,
    "counts": dict[str, dict[str, int | float]],
}
"""Fields that are read of the details and of the report of a build; they may be missing."""
_FIELDS = _TYPES.keys() | {"measures", "measures_by_run", "items"}


def _check_values(values: Mapping[str, Values]) -> None:
    """Check that every value is a number; NaN and infinity are no JSON here."""
    for run, measures in values.items():
        for measure, items in measures.items():
            if set(map(type, items.values())) <= {float}:  # quick: there are many
                continue
            for item, value in items.items():
                fill_value(float, value, f"values.{run}.{measure}.{in_short(item)}")


def is_record(path: Path) -> bool:
    """Tell whether a JSON file holds a record; one that is cut short counts as one."""
    try:
        data = read_json(path, finite=False)
    except ValueError:
        return True
    return isinstance(data, dict) and "benchmark" in data and "values" in data


def file_stem(dataset: str) -> str:
    """Return a data set's name as part of a file name."""
    return dataset.replace("/", "-")


def peak_bytes() -> int:
    """Return the most memory that this process has held: resident, and where it is used CUDA's."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts kilobytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        peak += torch.cuda.max_memory_allocated()
    return int(peak)
