"""The command that writes a report of runs as a page: report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.options import DeviceOptions, Output, Pieces
from lastword.cli.screen import Screen, counted, size

if TYPE_CHECKING:
    from embedder.types import Encoder
    from eval.runs.run_folder import RunFolder

app = Typer()


@dataclass(frozen=True, slots=True)
class PageOptions:
    """Where a report is written, and how much of the queries it shows."""

    out: Annotated[
        Path, Option("-o", "--out", metavar="PAGE.html", help="The page; PAGE.md is beside it.")
    ] = Path("report.html")
    queries: Annotated[
        int,
        Option(min=0, help="Queries shown with what was found; of more, those that differ most."),
    ] = 1000
    words: Annotated[
        bool,
        Option(help="Load models to mark the words that they found; BM25's need none."),
    ] = True
    pieces: Pieces = False


@command(
    app,
    [
        "lastword report runs/bundled-a1b2c3 -o report.html",
        "lastword report runs/bm25 runs/qwen3 -o report.html --queries 100",
        "lastword report bench/*/* -o prompts.html --no-words",
    ],
)
def report(
    folders: Annotated[
        list[Path],
        Argument(metavar="RUN_FOLDER...", help="What `lastword eval ... --out` wrote."),
    ],
    running: DeviceOptions,
    output: Output,
    options: PageOptions,
) -> None:
    """Write one page of HTML that needs no network, and the same as Markdown.

    The first two folders are compared query by query; of a single one, what counts with its best
    channel.
    """
    from eval.report.dataset import judged_datasets
    from eval.report.gather import ReportOptions
    from eval.report.queries import SIDES
    from eval.report.write import write_report
    from eval.runs.run_folder import RunFolder
    from eval.runs.sources import source_differences

    screen = Screen(output)
    opened = [RunFolder.open(folder) for folder in folders]
    marked = opened[:SIDES] if options.words and options.queries else []
    encoders = _encoders(marked, running, screen)
    total = _queries(opened)
    with screen.progress("Describing", total, "queries") as advance:
        content = ReportOptions(options.queries, encoders, advance, options.pieces)
        page, text = write_report(folders, options.out, content)
    length = page.stat().st_size
    data = {"html": str(page), "markdown": str(text), "bytes": length, "queries": total}
    screen.result(data, f"{page} ({size(length)}), {text}: {counted(len(opened), 'run folder')}.")
    for judged in judged_datasets(opened):
        for difference in source_differences(judged.counted, judged.dataset):
            screen.remark(difference.text)


def _encoders(
    folders: "Sequence[RunFolder]", running: DeviceOptions, screen: Screen
) -> "dict[Path, Mapping[str, Encoder]]":
    """Load the encoders of words besides BM25's, folder by folder; a report can do without."""
    from retrieval.open import load_specs

    encoders: dict[Path, Mapping[str, Encoder]] = {}
    loaded: dict[str, Mapping[str, Encoder]] = {}
    for folder in folders:
        recipes = _recipes(folder)
        key = repr(sorted(recipes.items()))
        if not recipes:
            continue
        try:
            if key not in loaded:
                with screen.waiting(f"Loading what reads {folder.name}"):
                    loaded[key] = load_specs(recipes, running)
        except (ValueError, OSError) as error:
            screen.remark(
                f"{folder.path}: words of {', '.join(recipes)} are not marked, as the model "
                f"cannot be loaded: {error}"
            )
            continue
        encoders[folder.path] = loaded[key]
    return encoders


def _recipes(folder: "RunFolder") -> dict[str, str]:
    """Return channel -> recipe, of the channels whose words only a model can tell."""
    from index.folder import Index

    places = (folder.index_path(dataset) for dataset in folder.records)
    for place in places:
        if place is not None:
            with Index.open(place) as index:
                return {
                    name: spec.recipe
                    for name, spec in index.channels.items()
                    if spec.kind != "dense" and name != "bm25"
                }
    return {}


def _queries(folders: "Sequence[RunFolder]") -> int:
    """Count the queries that a report describes."""
    sizes = {
        dataset: record.size
        for folder in folders
        for dataset, record in folder.records.items()
        if record.benchmark == "retrieval"
    }
    return sum(sizes.values())
