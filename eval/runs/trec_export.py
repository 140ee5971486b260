"""A run folder as TREC files, which trec_eval, ir_measures, ranx and pyserini tell apart."""

from dataclasses import dataclass
from pathlib import Path

from eval.data.qrels import write_qrels
from eval.runs.run_folder import RunFolder
from retrieval.exchange.out_folder import fill_folder, refuse_replacing
from retrieval.run import write_trec


@dataclass(frozen=True, slots=True)
class RunsReport:
    """What was written.

    Attributes:
        files: their paths.
        runs: number of runs.
        escaped_ids: most ids with white space in one file; there a space is %20.
    """

    files: tuple[str, ...]
    runs: int
    escaped_ids: int


def export_runs(path: str | Path, out: str | Path, overwrite: bool = False) -> RunsReport:
    """Write the runs of a run folder, and the judgements, as TREC files.

    DATASET/RUN.trec is tagged FOLDER-RUN, by which other programs name it; DATASET/qrels judges it.

    Args:
        path: a run folder, as `lastword eval retrieval --out` leaves it.
        out: folder, made where it is missing.
        overwrite: replace files of the same names.

    Raises:
        ValueError: it is no run folder, it holds no runs, or there is something in `out`.
        OSError: the folder cannot be written, or is a link.
    """
    folder, place = RunFolder.open(path), Path(out)
    refuse_replacing(place, overwrite)
    retrieval = {
        name: each for name, each in folder.records.items() if each.benchmark == "retrieval"
    }
    if not retrieval:
        raise ValueError(f"{path} holds no runs; `lastword eval retrieval` leaves some")
    escaped = [0]

    def write(partial: Path) -> None:
        for dataset, record in retrieval.items():
            below = partial / record.stem
            below.mkdir()
            escaped.append(write_qrels(folder.qrels(dataset), below / "qrels"))
            for name in record.values:
                tag = "-".join(f"{folder.name}-{name}".split())
                run = folder.run(dataset, name)
                escaped.append(write_trec(run, below / f"{name}.trec", tag))

    files = fill_folder(place, write)
    return RunsReport(files, sum(len(each.values) for each in retrieval.values()), max(escaped))
