"""Systems that are compared: their values, and for retrieval the runs that lie behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from eval.data.asked import load_qrels, qrels_name
from eval.data.qrels import Qrels
from eval.measures.measures import Values, evaluate
from eval.measures.ranking import DEPTH, cut_run
from eval.runs.run_folder import RunFolder
from retrieval.run import Run, read_trec


@dataclass(frozen=True)
class Evidence:
    """The hits of a system on one retrieval set, and the judgements.

    Attributes:
        run: every judged query -> its DEPTH + 1 best documents, see `cut_run`; the last one tells
            of a tie at the cut.
        qrels: the judgements.
        queries: id -> text; empty where it is not known.
        index: where the documents are; None where that is not known.
    """

    run: Run
    qrels: Qrels
    queries: Mapping[str, str]
    index: Path | None

    def top(self, query_id: str) -> list[str]:
        """Return the ids of a query's DEPTH best documents, or of as many as there are."""
        return list(self.run[query_id])[:DEPTH]


class System(Protocol):
    """Something with values to compare."""

    @property
    def name(self) -> str:
        """Its name in tables."""

    @property
    def values(self) -> Mapping[str, Values]:
        """Data set -> measure -> item -> value."""

    def evidence(self, dataset: str) -> Evidence | None:
        """Read its hits on a data set; None where nothing was searched, as in STS."""

    def source(self, dataset: str) -> Mapping[str, str]:
        """Return digests of the judged data, e.g. of "documents"; none where they are not known."""


@dataclass(frozen=True)
class FolderSystem:
    """One run of a run folder, by default the one that counts in each data set.

    Attributes:
        name: in tables.
        folder: with its record.
        run: name of the run, e.g. "bm25".
    """

    name: str
    folder: RunFolder
    run: str | None = None

    def __post_init__(self) -> None:
        if not self.values:
            known = {run: None for record in self.folder.records.values() for run in record.values}
            raise ValueError(
                f"{self.folder.path} has no run {self.run!r}; there is {', '.join(known)}"
            )

    @property
    def values(self) -> Mapping[str, Values]:
        """Data set -> measure -> item -> value, for the data sets that have the run."""
        return {
            dataset: record.values[self.run or record.counted]
            for dataset, record in self.folder.records.items()
            if (self.run or record.counted) in record.values
        }

    def evidence(self, dataset: str) -> Evidence | None:
        """Read the run of a data set."""
        if self.folder.records[dataset].benchmark != "retrieval":
            return None
        return Evidence(
            run=cut_run(self.folder.run(dataset, self.run)),
            qrels=self.folder.qrels(dataset),
            queries=self.folder.queries(dataset),
            index=self.folder.index_path(dataset),
        )

    def source(self, dataset: str) -> Mapping[str, str]:
        """Return the digests of the record; records from before they were kept lack them."""
        source = self.folder.records[dataset].details.get("source")
        return source if isinstance(source, dict) else {}


@dataclass(frozen=True)
class FileSystem:
    """A TREC run from anywhere, judged here.

    Attributes:
        name: in tables.
        dataset: name of the judgements.
        run: every judged query -> its DEPTH + 1 best documents, see `cut_run`.
        qrels: the judgements.
        judged: measure -> query id -> value.
    """

    name: str
    dataset: str
    run: Run
    qrels: Qrels
    judged: Values

    @staticmethod
    def read(name: str, path: Path, qrels: Path, measures: Sequence[str]) -> "FileSystem":
        """Judge a run file.

        Raises:
            ValueError: a file is damaged, or the run answers no judged query.
        """
        run, judgements = read_trec(path), load_qrels(qrels)
        if not run.keys() & judgements.keys():
            raise ValueError(
                f"{path} answers no query that {qrels} judges: its first query is "
                f"{next(iter(run), None)!r}, the first judged one {next(iter(judgements))!r}"
            )
        answers = cut_run({query_id: run.get(query_id, {}) for query_id in judgements})
        values = evaluate(run, judgements, measures)
        return FileSystem(name, qrels_name(qrels), answers, judgements, values)

    @property
    def values(self) -> Mapping[str, Values]:
        """The one data set -> measure -> query id -> value."""
        return {self.dataset: self.judged}

    def evidence(self, dataset: str) -> Evidence | None:
        """Return the run."""
        return Evidence(self.run, self.qrels, {}, None) if dataset == self.dataset else None

    def source(self, dataset: str) -> Mapping[str, str]:
        """Return nothing: a TREC file does not name its documents."""
        return {}


def gather_evidence(systems: Sequence[System], dataset: str) -> dict[str, Evidence]:
    """Read the hits of each system on a data set; nothing where nothing was searched.

    Raises:
        ValueError: they were judged by different judgements, so their values do not compare.
    """
    by_name: dict[str, Evidence] = {}
    for system in systems:
        if (evidence := system.evidence(dataset)) is None:
            return {}
        by_name[system.name] = evidence
    first = next(iter(by_name))
    for name, other in by_name.items():
        for query_id, gains in other.qrels.items():
            if by_name[first].qrels.get(query_id, gains) != gains:
                raise ValueError(
                    f"{first} and {name} were judged by different judgements of {dataset}, e.g. "
                    f"of query {query_id!r}; judge both by the same"
                )
    return by_name
