"""One data set as all systems of a report were judged on it, with the runs read once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

from eval.data.qrels import Qrels
from eval.measures.ranking import cut_run
from eval.runs.record import Record
from eval.runs.run_folder import RunFolder
from eval.runs.systems import Evidence, FolderSystem
from eval.statistics.paired import Items
from retrieval.run import Run

NOUNS = {"retrieval": "queries", "sts": "pairs", "transfer": "sentences"}


@dataclass(frozen=True)
class JudgedDataset:
    """A data set and the systems that were judged on it.

    Attributes:
        dataset: name of it.
        key: its name in ids of a page.
        systems: each one a run of a folder, at least one.
        counted: of each folder the system that counts.
    """

    dataset: str
    key: str
    systems: tuple[FolderSystem, ...]
    counted: tuple[FolderSystem, ...]

    def record(self, system: FolderSystem) -> Record:
        """Return the record that a system is part of."""
        return system.folder.records[self.dataset]

    @property
    def first(self) -> Record:
        """The record of the first folder that has the data set."""
        return self.record(self.systems[0])

    @property
    def retrieval(self) -> bool:
        """Whether documents were searched."""
        return self.first.benchmark == "retrieval"

    @property
    def noun(self) -> str:
        """What items are called."""
        return NOUNS[self.first.benchmark]

    @property
    def measure(self) -> str:
        """The measure that counts."""
        return next(iter(self.first.main))

    @property
    def positions(self) -> dict[str, int]:
        """System -> its position, which decides its colour in drawings."""
        return {system.name: at for at, system in enumerate(self.systems)}

    @property
    def compared(self) -> tuple[FolderSystem, FolderSystem] | None:
        """The systems that are compared item by item: the counted runs of the first two folders.

        In a single folder, the best of its other runs and the counted; None without another.
        """
        if len(self.counted) > 1:
            return self.counted[0], self.counted[1]
        rivals = [system for system in self.systems if system is not self.counted[0]]
        measured = [system for system in rivals if self.items(system)]
        if not measured:
            return None
        return max(measured, key=lambda system: fmean(self.items(system).values())), self.counted[0]

    def items(self, system: FolderSystem, measure: str = "") -> Items:
        """Return item -> value of a measure, by default the first; nothing where it is missing."""
        return system.values[self.dataset].get(measure or self.measure, {})

    @cached_property
    def qrels(self) -> Qrels:
        """The judgements, those of the first folder."""
        return self.systems[0].folder.qrels(self.dataset)

    @cached_property
    def queries(self) -> dict[str, str]:
        """The judged queries."""
        texts = self.systems[0].folder.queries(self.dataset)
        return {query_id: texts.get(query_id, "") for query_id in self.qrels}

    @cached_property
    def runs(self) -> Mapping[str, Run]:
        """System -> its whole run."""
        return {system.name: system.folder.run(self.dataset, system.run) for system in self.systems}

    def evidence(self, system: FolderSystem) -> Evidence:
        """Return the beginning of a run."""
        return Evidence(
            run=cut_run(
                {query_id: self.runs[system.name].get(query_id, {}) for query_id in self.qrels}
            ),
            qrels=self.qrels,
            queries=self.queries,
            index=system.folder.index_path(self.dataset),
        )

    @property
    def index(self) -> Path | None:
        """An index that holds the documents; None where all are gone."""
        paths = (system.folder.index_path(self.dataset) for system in self.counted)
        return next((path for path in paths if path is not None), None)

    @cached_property
    def places(self) -> dict[str, str]:
        """Query -> id of the place in the page that tells of it; other items have none."""
        if not self.retrieval:
            return {}
        return {
            query_id: f"q-{self.key}-{number}"
            for number, query_id in enumerate(self.qrels, start=1)
        }


def judged_datasets(folders: Sequence[RunFolder]) -> list[JudgedDataset]:
    """Sort the runs of folders by data set, in the order of first appearance."""
    labels = names_of([folder.path for folder in folders])
    datasets = dict.fromkeys(dataset for folder in folders for dataset in folder.records)
    sets: list[JudgedDataset] = []
    keys: set[str] = set()
    for dataset in datasets:
        key = _key(dataset, keys)
        keys.add(key)
        systems, counted = [], []
        for label, folder in zip(labels, folders, strict=True):
            record = folder.records.get(dataset)
            for run in record.values if record else ():
                assert record is not None
                system = FolderSystem(_system_name(label, folder, run, len(folders)), folder, run)
                systems.append(system)
                if run == record.counted:
                    counted.append(system)
        sets.append(JudgedDataset(dataset, key, tuple(systems), tuple(counted)))
    return sets


def names_of(paths: Sequence[Path]) -> list[str]:
    """Name folders by as many last parts of their paths as tell them apart.

    Raises:
        ValueError: a folder is given twice.
    """
    whole = [path.resolve().parts for path in paths]
    if len(set(whole)) < len(whole):
        raise ValueError("a run folder is given twice; give each once")
    length = 1
    while len({parts[-length:] for parts in whole}) < len(whole):
        length += 1
    return ["/".join(parts[-length:]) for parts in whole]


def _system_name(label: str, folder: RunFolder, run: str, folders: int) -> str:
    if folders == 1:
        return run
    runs = {name for record in folder.records.values() for name in record.values}
    return f"{label} {run}" if len(runs) > 1 else label


def _key(dataset: str, keys: set[str]) -> str:
    key = stem = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-") or "set"
    number = 2
    while key in keys:
        key, number = f"{stem}-{number}", number + 1
    return key
