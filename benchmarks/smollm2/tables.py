"""The tables of docs/smollm2.md, out of cells.jsonl."""

from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.bundled_section import markdown
from benchmarks.smollm2.cells import Cell, read_cells
from benchmarks.smollm2.parts import PARTS

LONG = 36  # rows of a table; of a longer one the middle is left out
BEST, WORST = 10, 4


def print_tables() -> None:
    """Print every part that was recorded, as Markdown."""
    cells = read_cells()
    for part, facts in PARTS.items():
        own = [cell for cell in cells if cell.part == part]
        if own:
            print(f"### {facts.title}\n")
            table = _spread(own) if part == "query-wordings" else _table(own, facts.library)
            print(table, _origin(own), sep="\n\n", end="\n\n")


def _table(cells: Sequence[Cell], library: Sequence[str]) -> str:
    """Show a line for each prompt, best first, and the difference that counts with its interval.

    The order is that of the mean over data sets that all prompts were judged on. Of a long table
    the library's prompts, the best and the worst are shown.
    """
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    of = {(cell.prompt, cell.dataset): cell for cell in cells}
    names = list(dict.fromkeys(cell.prompt for cell in cells))
    common = [name for name in datasets if all((prompt, name) in of for prompt in names)]
    order = {
        prompt: np.mean([_counted(of[key]) for name in common if (key := (prompt, name)) in of])
        for prompt in names
    }
    names.sort(key=lambda prompt: -order[prompt])
    columns = [(dataset, run) for dataset in datasets for run in _runs(cells, dataset)]
    rows = []
    for at, name in enumerate(names):
        if len(names) > LONG and BEST <= at < len(names) - WORST and name not in library:
            continue
        found = [(of.get((name, dataset)), run) for dataset, run in columns]
        row = [name, *(_value(cell, run, len(columns) <= 2) for cell, run in found)]
        rows.append([*row, f"{order[name]:.4f}"] if len(common) > 2 else row)
    heads = [f"{dataset} {run}" for dataset, run in columns]
    table = "\n".join(markdown(["prompt", *heads, *(["mean"] if len(common) > 2 else [])], rows))
    left = len(names) - len(rows)
    return f"{table}\n\n{left} between them are in cells.jsonl." if left else table


def _origin(cells: Iterable[Cell]) -> str:
    """Say what read the texts of each data set."""
    by_origin: dict[str, dict[str, None]] = {}
    for cell in cells:
        where = by_origin.setdefault(f"{cell.machine}, {cell.dtype}", {})
        where[cell.dataset] = None
    places = [f"{', '.join(where)}: {origin}" for origin, where in by_origin.items()]
    return f"Read on {'; '.join(places)}."


def _value(cell: Cell | None, run: str, alone: bool) -> str:
    """Show a mean, and how it differs from the baseline's: with its interval where there is room.

    Else + or - says that the interval of 95% lies above or below 0.
    """
    if cell is None:
        return ""
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
