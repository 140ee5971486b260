"""How a matrix of prompts looks: figures, what they took, spread, and models that change places."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lastword.cli.screen import counted, duration, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from eval.matrix.run import Matrix
    from lastword.cli.tables import Table

BEST, ALIKE = "*", "="


def show_matrix(matrix: "Matrix", report: Mapping[str, Any]) -> "Iterator[RenderableType]":
    """Yield what people see; `report` is the matrix as JSON, with its sensitivity."""
    if matrix.planned:
        yield "Tokens that would be read; what is finished or paid for costs nothing:"
        yield _plan(report)
    else:
        for dataset in matrix.datasets:
            yield from _figures(dataset, report)
        if report["standings"]:
            yield (
                f"{BEST} best of the column, {ALIKE} not significantly worse "
                "(paired randomisation test, Holm, .05)"
            )
            yield ""
            yield "Tokens with the wording; time, that of what was shared in equal parts:"
            yield _costs(report)
        yield from _sensitivity(report)
    yield from _missing(report)
    yield _total(report)


def _figures(dataset: str, report: Mapping[str, Any]) -> "Iterator[RenderableType]":
    standings = {
        (entry["prompt"], entry["model"]): entry
        for entry in report["standings"]
        if entry["dataset"] == dataset
    }
    cells = {
        (entry["prompt"], entry["model"]): entry
        for entry in report["cells"]
        if entry["dataset"] == dataset
    }
    rows = [
        (prompt, *(_figure(standings.get((prompt, m)), cells[prompt, m]) for m in report["models"]))
        for prompt in report["prompts"]
    ]
    measure = next(
        (entry["measure"] for entry in report["spread"] if entry["dataset"] == dataset), ""
    )
    yield f"{dataset}: {measure}" if measure else dataset
    names = (f">{model}" for model in report["models"])
    yield table("prompt", *names, rows=rows, strong=lambda cell: cell.endswith(f" {BEST}"))


def _figure(standing: Mapping[str, Any] | None, cell: Mapping[str, Any]) -> str:
    if standing is None:
        return "refused  " if cell["refused"] else "left out  "
    mark = BEST if standing["p_holm"] is None else ALIKE if standing["best"] else " "
    return f"{standing['mean']:.4f} {mark}"


def _costs(report: Mapping[str, Any]) -> "Table":
    rows = []
    for cell in report["cells"]:
        if "measures" in cell:
            per = cell["tokens_per_text"]
            rows.append(
                (
                    cell["dataset"],
                    cell["model"],
                    cell["prompt"],
                    *(f"{per[role]:.1f}" if role in per else "-" for role in ("document", "query")),
                    duration(cell["seconds"]["encode"]),
                    "",
                )
            )
    return table(
        "data set", "model", "prompt", ">a document", ">a query", ">read in", "", rows=rows
    )


def _plan(report: Mapping[str, Any]) -> "Table":
    rows = []
    for cell in report["cells"]:
        if cell["refused"]:
            cost, state = "", "refused"
        elif "tokens" not in cell:
            cost, state = "0", "finished"
        else:
            at_most = "at most " if cell["tokens_at_most"] else ""
            cost = f"{at_most}{cell['tokens']:,}"
            state = "left out: over the budget" if cell["left_out"] else "to be run"
        rows.append((cell["dataset"], cell["model"], cell["prompt"], cost, state))
    return table("data set", "model", "prompt", ">tokens", "", rows=rows)


def _sensitivity(report: Mapping[str, Any]) -> "Iterator[RenderableType]":
    several = [entry for entry in report["spread"] if entry["prompts"] > 1]
    for dataset in dict.fromkeys(entry["dataset"] for entry in several):
        yield f"Spread over prompts on {dataset}:"
        yield _spreads([entry for entry in several if entry["dataset"] == dataset])
    if report["flips"]:
        yield "Whether the better of two models hangs on the prompt:"
        yield _flips(report["flips"])
    for entry in report["agreement"]:
        if entry["tau"] is not None and entry["prompts"] > 1:
            yield (
                f"{entry['dataset']}: two of {entry['prompts']} prompts order the models with a "
                f"mean Kendall tau of {entry['tau']:.2f}."
            )


def _spreads(spreads: list[Mapping[str, Any]]) -> "Table":
    rows = []
    for spread in spreads:
        gain, reach = spread["gain"], spread["gain_interval"]
        half = f" ±{(reach['high'] - reach['low']) / 2:.4f}" if reach else ""
        rows.append(
            (
                spread["model"],
                str(spread["prompts"]),
                *(f"{spread[name]:.4f}" for name in ("low", "mean", "high", "sd", "range")),
                "-" if gain is None else f"{gain:+.4f}{half}",
                "",
            )
        )
    columns = ("model", ">n", ">min", ">mean", ">max", ">sd", ">range")
    return table(*columns, ">best - default", "", rows=rows)


def _flips(flips: list[Mapping[str, Any]]) -> "Table":
    rows = [
        (
            flip["dataset"],
            f"{flip['better']} > {flip['worse']}",
            str(flip["prompts"]),
            _share(flip["flips"], flip["flips_interval"]),
            _share(flip["superiority"], flip["superiority_interval"]),
            "",
        )
        for flip in flips
    ]
    columns = ("data set", "by the means", ">prompts", ">order flips", ">ahead, random prompts")
    return table(*columns, "", rows=rows)


def _share(value: float, interval: Mapping[str, float] | None) -> str:
    reach = f" ({interval['low']:.0%}..{interval['high']:.0%})" if interval else ""
    return f"{value:.0%}{reach}"


def _missing(report: Mapping[str, Any]) -> Iterator[str]:
    """Name what is not in the table, and why."""
    for cell in report["cells"]:
        cell_name = f"{cell['prompt']} with {cell['model']} on {cell['dataset']}"
        if cell["refused"]:
            yield f"refused: {cell_name}: {cell['refused']}"
        elif cell.get("left_out") and not report["planned"]:
            yield f"left out: {cell_name} would cost {counted(cell['tokens'], 'token')}."


def _total(report: Mapping[str, Any]) -> str:
    spent, apart = report["tokens"]["computed"], report["tokens"]["prompt_by_prompt"]
    saved = f"; prompt by prompt it would be {apart:,}" if apart > spent else ""
    budget = f" of {report['budget']:,}" if report["budget"] is not None else ""
    return f"In all {spent:,}{budget} tokens{saved}."
