"""Runs and development judgements, from which a way of fusing is chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.data.asked import load_qrels, qrels_name
from eval.data.beir import holds_queries
from eval.data.collections import open_collection
from eval.data.qrels import Qrels
from eval.runs.record import FUSED, RERANKED
from eval.runs.reported_splits import check_development, check_judgements
from eval.runs.run_folder import RunFolder
from retrieval.run import Run, drop_self


@dataclass(frozen=True)
class Development:
    """Runs of development queries and their judgements.

    Attributes:
        dataset: name of the queries' data set.
        runs: name -> run, at least two.
        qrels: judgements.
        fusion: the fusion of the runs' folder; "" where that is not known.
    """

    dataset: str
    runs: Mapping[str, Run]
    qrels: Qrels
    fusion: str = ""

    @property
    def unanswered(self) -> int:
        """Number of judged queries that no run answers; they score 0 however runs are fused."""
        return sum(not any(run.get(query) for run in self.runs.values()) for query in self.qrels)

    @property
    def part_answered(self) -> int:
        """Number of judged queries that some runs answer and others do not."""
        answered = [sum(bool(run.get(query)) for run in self.runs.values()) for query in self.qrels]
        return sum(0 < count < len(self.runs) for count in answered)

    @property
    def without_relevant(self) -> int:
        """Number of judged queries without a relevant document; they score 0 as well."""
        return sum(max(gains.values(), default=0) <= 0 for gains in self.qrels.values())

    @property
    def unjudged(self) -> int:
        """Number of queries of the runs that are not judged, and are left out."""
        return len({query for run in self.runs.values() for query in run} - self.qrels.keys())


def folder_runs(folder: RunFolder, dataset: str) -> dict[str, Run]:
    """Return the runs of the channels of a data set.

    Raises:
        ValueError: the folder has no such data set, or fewer than two runs of it.
    """
    record = folder.records.get(dataset)
    if record is None or record.benchmark != "retrieval":
        raise ValueError(
            f"{folder.path} has no runs of {dataset!r}; it holds {', '.join(folder.records)}"
        )
    names = [name for name in record.values if name not in (FUSED, RERANKED)]
    if len(names) < 2:
        raise ValueError(f"{folder.path} has only run {names[0]!r} of {dataset}; fusing needs two")
    return {name: folder.run(dataset, name) for name in names}


def from_folder(folder: RunFolder, dataset: str) -> Development:
    """Take the channels' runs of a data set from a run folder.

    Raises:
        ValueError: its figures are those that are reported, or as `folder_runs`.
    """
    check_development(dataset)
    runs = folder_runs(folder, dataset)
    fusion = folder.records[dataset].details.get("fusion") or ""
    return Development(dataset, runs, folder.qrels(dataset), fusion)


def judged_by_file(runs: Mapping[str, Run], path: Path) -> Development:
    """Judge runs by a file of judgements, or those of a data set by name.

    Raises:
        ValueError: as `check_judgements`.
    """
    check_judgements(path)
    return Development(qrels_name(path), runs, load_qrels(path))


def judged_by_dataset(runs: Mapping[str, Run], source: str, split: str) -> Development:
    """Judge runs by a split of a collection, a BEIR folder or a BEIR name.

    Raises:
        ValueError: the split is the one that figures are reported on, or has no judgements.
    """
    collection = open_collection(source, split)
    check_development(collection.name)
    judged_runs = dict(runs)
    if holds_queries(collection.name):
        judged_runs = {name: drop_self(run) for name, run in runs.items()}
    return Development(collection.name, judged_runs, collection.qrels())
