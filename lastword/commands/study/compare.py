"""The command that compares systems, query by query: compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.options import Output
from lastword.cli.parse import split_all
from lastword.cli.screen import Screen
from lastword.cli.sources import check_folder_of

if TYPE_CHECKING:
    from eval.measures.measures import Values
    from eval.runs.systems import FileSystem, FolderSystem, System
    from eval.statistics.comparison import Comparison

app = Typer()


@dataclass(frozen=True, slots=True)
class ComparisonOptions:
    """What is compared, by which measures, and how much is shown."""

    measures: Annotated[
        str,
        Option(
            "--measures",
            "--measure",
            help="With commas, each compared by itself; by default the one that counts.",
        ),
    ] = ""
    datasets: Annotated[str, Option(help="With commas; by default all that the systems share.")] = (
        ""
    )
    all_pairs: Annotated[
        bool, Option("--all-pairs", help="Compare every two systems, not all with the first.")
    ] = False
    level: Annotated[float, Option(help="Confidence of the intervals.")] = 0.95
    seed: Annotated[int, Option(min=0, help="Of random sign patterns and samples.")] = 0
    differ: Annotated[
        int,
        Option(
            min=0,
            help="How many queries to show of those on which two systems differ most, with the "
            "first five documents of each; --json has ten.",
        ),
    ] = 10
    qrels: Annotated[
        Path | None,
        Option(
            help="Judgements, a file or a data set by name, e.g. ir:ID: the systems are then TREC "
            "run files, judged by these."
        ),
    ] = None
    latex: Annotated[
        Path | None,
        Option(metavar="FILE", help="Write the table for a paper too, with marks of significance."),
    ] = None
    csv: Annotated[
        Path | None, Option(metavar="FILE", help="Write every figure as a table too.")
    ] = None


@command(
    app,
    [
        "lastword compare runs/bm25 runs/promptreps",
        "lastword compare runs/mine:bm25 runs/mine:fused --differ 3",
        "lastword compare a.trec b.trec --qrels test.qrels --measures nDCG@10,AP",
        "lastword compare runs/a runs/b runs/c --all-pairs --datasets scifact",
        "lastword compare runs/bm25 runs/ours --measures nDCG@10,R@100 --latex table.tex",
    ],
)
def compare(
    names: Annotated[
        list[str],
        Argument(
            metavar="SYSTEM...",
            help="Run folders of `lastword eval`, the baseline first. FOLDER:RUN takes one run "
            "of the folder, e.g. runs/mine:bm25, instead of the one that counts.",
        ),
    ],
    comparing: ComparisonOptions,
    output: Output,
) -> None:
    """Compare systems item by item: is one significantly better than the first?

    Differences are tested by flipping signs at random, two-sided; p is corrected by Holm over
    all tests of a measure, each run once. Intervals are bootstrapped.
    """
    from eval.report.examine import examine
    from eval.statistics.compare import compare as compare_values
    from eval.statistics.comparison import CompareOptions
    from lastword.commands.study.compare_view import show_comparisons

    screen = Screen(output)
    for file in filter(None, (comparing.latex, comparing.csv)):
        check_folder_of(file)
    measures = split_all([comparing.measures])
    systems = _systems(names, comparing.qrels, measures)
    values = _values(systems, split_all([comparing.datasets]))
    options = CompareOptions(comparing.level, comparing.seed, comparing.all_pairs)
    compared_measures: list[str | None] = [*measures] or [None]
    with screen.waiting("Testing"):
        comparisons = [compare_values(values, measure, options) for measure in compared_measures]
    with screen.progress("Reading runs", len(comparisons[0].datasets), "data sets") as advance:
        examination = examine(systems, comparisons[0], comparing.differ, advance)
    data = {
        "comparisons": [comparison.to_json() for comparison in comparisons],
        **examination.to_json(),
    }
    _write_tables(comparing, comparisons)
    screen.result(data, *show_comparisons(comparisons, examination))
    for file in filter(None, (comparing.latex, comparing.csv)):
        screen.remark(f"The table is in {file} too.")


def _write_tables(comparing: ComparisonOptions, comparisons: "Sequence[Comparison]") -> None:
    from embedder.files.durable import replace_file
    from eval.statistics.paper_tables import csv_table, latex_table

    for path, write in ((comparing.latex, latex_table), (comparing.csv, csv_table)):
        if path is not None:
            replace_file(path, write(comparisons).encode())


def _systems(
    names: Sequence[str], qrels: Path | None, measures: Sequence[str]
) -> "list[FolderSystem] | list[FileSystem]":
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(
            f"a system is compared with others; {', '.join(sorted(repeated))} comes twice"
        )
    if qrels is None:
        return _folder_systems(names)
    from eval.measures.measures import STANDARD
    from eval.runs.systems import FileSystem

    if folders := [name for name in names if Path(name).is_dir()]:
        raise ValueError(
            f"{folders[0]} is a folder; --qrels judges TREC run files, run folders are judged"
        )
    labels = _labels({name: Path(name).stem for name in names})
    return [
        FileSystem.read(labels[name], Path(name), qrels, measures or STANDARD) for name in names
    ]


def _folder_systems(names: Sequence[str]) -> "list[FolderSystem]":
    from eval.runs.run_folder import RunFolder
    from eval.runs.systems import FolderSystem

    folders = {}
    for name in names:
        folder, run = _split(name)
        if folder.is_file():
            raise ValueError(
                f"{folder} is a file; TREC runs are compared with --qrels FILE, which judges them"
            )
        folders[name] = RunFolder.open(folder), run
    one_folder = len({folder.path.resolve() for folder, _ in folders.values()}) == 1
    labels = _labels(
        {
            name: run if run and one_folder else folder.name + (f":{run}" if run else "")
            for name, (folder, run) in folders.items()
        }
    )
    return [FolderSystem(labels[name], folder, run) for name, (folder, run) in folders.items()]


def _split(name: str) -> tuple[Path, str | None]:
    """Read FOLDER or FOLDER:RUN; a folder whose own name holds a colon is meant as it is."""
    folder, _, run = name.rpartition(":")
    return (Path(folder), run) if folder and not Path(name).exists() else (Path(name), None)


def _labels(short: Mapping[str, str]) -> dict[str, str]:
    """Return what systems are called: the short name, or the argument where that is not enough."""
    labels = list(short.values())
    return {name: label if labels.count(label) == 1 else name for name, label in short.items()}


def _values(
    systems: "Sequence[System]", datasets: Sequence[str]
) -> dict[str, Mapping[str, "Values"]]:
    """Return the values to compare, of some data sets or of all.

    Raises:
        ValueError: a data set is asked for that a system does not have.
    """
    for system in systems:
        if missing := [dataset for dataset in datasets if dataset not in system.values]:
            raise ValueError(
                f"{system.name} has no data set {', '.join(missing)}; "
                f"it has {', '.join(system.values)}"
            )
    return {
        system.name: {name: system.values[name] for name in datasets or system.values}
        for system in systems
    }
