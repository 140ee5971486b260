"""What judging a collection gives: values per run, measure and query, and the files to keep."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.measures import Values, means
from index.durable import replace_file
from retrieval.run import Run, write_trec

FUSED = "fused"
"""Name of the fused run beside those of the channels."""


@dataclass(frozen=True)
class Judged:
    """The outcome of one collection, every channel alone and all of them fused.

    Attributes:
        dataset: name of the collection.
        channels: names of the channels, in the order in which they were fused.
        fusion: as it was written, e.g. "minmax:dense=0.7,sparse=0.3"; None for a single channel.
        values: run name (a channel or FUSED) -> measure -> query id -> value.
        documents: number of documents searched.
        seconds: what was done -> wall time.
        fingerprints: channel -> fingerprint of its encoder.
        counts: channel -> what its encoder did to the texts, e.g. how many were truncated.
    """

    dataset: str
    channels: tuple[str, ...]
    fusion: str | None
    values: Mapping[str, Values]
    documents: int
    seconds: Mapping[str, float]
    fingerprints: Mapping[str, str]
    counts: Mapping[str, Mapping[str, int]]

    def __post_init__(self) -> None:
        expected = {*self.channels, FUSED} if self.fusion is not None else {*self.channels}
        if not self.channels or set(self.values) != expected:
            raise ValueError(
                f"channels {self.channels} with fusion {self.fusion!r} have values for "
                f"{sorted(expected)}; got {sorted(self.values)}"
            )

    @property
    def judged(self) -> Values:
        """Values of the run that counts: the fused one, or that of the single channel."""
        return self.values[self.channels[0] if self.fusion is None else FUSED]

    @property
    def measures(self) -> dict[str, float]:
        """Means of the run that counts, unrounded."""
        return means(self.judged)

    @property
    def queries(self) -> int:
        """Number of judged queries, answered or not."""
        return len(next(iter(self.judged.values())))

    def to_json(self) -> dict[str, Any]:
        """Return what the file holds: the means first, then every query's values."""
        return {
            "dataset": self.dataset,
            "channels": list(self.channels),
            "fusion": self.fusion,
            "measures": self.measures,
            "measures_by_run": {name: means(values) for name, values in self.values.items()},
            "queries": self.queries,
            "documents": self.documents,
            "seconds": dict(self.seconds),
            "fingerprint": {name: json.loads(held) for name, held in self.fingerprints.items()},
            "counts": {name: dict(held) for name, held in self.counts.items()},
            "values": self.values,
        }

    def write(self, folder: Path, runs: Mapping[str, Run]) -> list[Path]:
        """Write DATASET.json and one TREC run per channel and for the fusion, each whole.

        The file of figures comes last: where it is, the runs are too.
        """
        folder.mkdir(parents=True, exist_ok=True)
        stem = self.dataset.replace("/", "-")
        written = []
        for name, run in runs.items():
            written.append(folder / f"{stem}.{name}.trec")
            write_trec(run, written[-1], tag=f"lastword-{name}")
        written.append(folder / f"{stem}.json")
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        replace_file(written[-1], text.encode())
        return written
