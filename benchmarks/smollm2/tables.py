"""The tables of docs/smollm2.md, out of cells.jsonl."""

from collections.abc import Sequence

import numpy as np

from benchmarks.bundled_section import markdown
from benchmarks.smollm2.cells import Cell, read_cells
from benchmarks.smollm2.parts import PARTS


def print_tables() -> None:
    """Print every part that was recorded, as Markdown."""
    cells = read_cells()
    for part, facts in PARTS.items():
        own = [cell for cell in cells if cell.part == part]
        if own:
            print(f"### {facts.title}\n")
            print(_table(own) if part != "query-wordings" else _spread(own), end="\n\n")


def _table(cells: Sequence[Cell]) -> str:
    """Show a line for each prompt, best first, and the difference that counts with its interval."""
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    names = list(dict.fromkeys(cell.prompt for cell in cells))
    of = {(cell.prompt, cell.dataset): cell for cell in cells}
    names.sort(key=lambda name: -np.mean([_counted(of[key]) for key in of if key[0] == name]))
    columns = [(dataset, run) for dataset in datasets for run in _runs(cells, dataset)]
    heads = [f"{dataset} {run}" for dataset, run in columns]
    rows = []
    for name in names:
        row = [name]
        for dataset, run in columns:
            cell = of.get((name, dataset))
            row.append("" if cell is None else _value(cell, run, len(datasets) == 1))
        rows.append(row)
    return "\n".join(markdown(["prompt", *heads], rows))


def _value(cell: Cell, run: str, alone: bool) -> str:
    """Show a mean, and how it differs from the baseline's: with its interval where there is room.

    Else + or - says that the interval of 95% lies above or below 0.
    """
    value = f"{cell.runs[run]:.4f}" if run in cell.runs else ""
    if run != _counted_run(cell) or cell.interval is None:
        return value
    low, high = cell.interval
    if alone:
        return f"{value} ({cell.difference:+.3f}; {low:+.3f} to {high:+.3f})"
    return f"{value} {'+' if low > 0 else '-' if high < 0 else '='}"


def _spread(cells: Sequence[Cell]) -> str:
    """Show how far wordings reach from the lowest to the highest, by channel."""
    rows = []
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        own = [cell for cell in cells if cell.dataset == dataset]
        for run in (name for name in _runs(own, dataset) if name != "bm25"):
            ordered = sorted(own, key=lambda cell: cell.runs[run])
            values = [cell.runs[run] for cell in ordered]
            base = next(cell.runs[run] for cell in own if cell.difference is None)
            best, worst = ordered[-1].prompt, ordered[0].prompt
            numbers = [values[0], float(np.median(values)), base, values[-1]]
            labels = [part.removeprefix("query-") for part in (worst, best)]
            rows.append([dataset, run, str(len(own)), *(f"{n:.4f}" for n in numbers), *labels])
    heads = ["data set", "run", "wordings", "lowest", "median", "PromptReps", "highest"]
    return "\n".join(markdown([*heads, "lowest is", "highest is"], rows))


def _runs(cells: Sequence[Cell], dataset: str) -> list[str]:
    names = dict.fromkeys(run for cell in cells if cell.dataset == dataset for run in cell.runs)
    return list(names)


def _counted_run(cell: Cell) -> str:
    return "fused" if "fused" in cell.runs else next(iter(cell.runs))


def _counted(cell: Cell) -> float:
    return cell.runs[_counted_run(cell)]
