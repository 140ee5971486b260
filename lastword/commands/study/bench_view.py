"""How a matrix of prompts looks: figures, what they took, spread, and models that change places."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lastword.cli.screen import counted, duration, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from eval.matrix.run import Matrix
    from lastword.cli.tables import Table

BEST, ALIKE = "*", "="


def shown(matrix: "Matrix", told: Mapping[str, Any]) -> "Iterator[RenderableType]":
    """Yield what people see; `told` is the matrix as JSON, with its sensitivity."""
    if matrix.planned:
        yield "Tokens that would be read; what is finished or paid for costs nothing:"
        yield _plan(told)
    else:
        for dataset in matrix.datasets:
            yield from _figures(dataset, told)
        if told["standings"]:
            yield (
                f"{BEST} best of the column, {ALIKE} not significantly worse "
                "(paired randomisation test, Holm, .05)"
            )
            yield ""
            yield "Tokens with the wording; time, that of what was shared in equal parts:"
            yield _costs(told)
        yield from _sensitivity(told)
    yield from _missing(told)
    yield _total(told)


def _figures(dataset: str, told: Mapping[str, Any]) -> "Iterator[RenderableType]":
    found = {
        (one["prompt"], one["model"]): one for one in told["standings"] if one["dataset"] == dataset
    }
    cells = {
        (one["prompt"], one["model"]): one for one in told["cells"] if one["dataset"] == dataset
    }
    rows = [
        (prompt, *(_figure(found.get((prompt, m)), cells[prompt, m]) for m in told["models"]))
        for prompt in told["prompts"]
    ]
    measure = next((one["measure"] for one in told["spread"] if one["dataset"] == dataset), "")
    yield f"{dataset}: {measure}" if measure else dataset
    names = (f">{model}" for model in told["models"])
    yield table("prompt", *names, rows=rows, strong=lambda cell: cell.endswith(f" {BEST}"))


def _figure(standing: Mapping[str, Any] | None, cell: Mapping[str, Any]) -> str:
    if standing is None:
        return "refused  " if cell["refused"] else "left out  "
    mark = BEST if standing["p_holm"] is None else ALIKE if standing["best"] else " "
    return f"{standing['mean']:.4f} {mark}"


def _costs(told: Mapping[str, Any]) -> "Table":
    rows = []
    for cell in told["cells"]:
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


def _plan(told: Mapping[str, Any]) -> "Table":
    rows = []
    for cell in told["cells"]:
        if cell["refused"]:
            cost, what = "", "refused"
        elif "tokens" not in cell:
            cost, what = "0", "finished"
        else:
            at_most = "at most " if cell["tokens_at_most"] else ""
            cost = f"{at_most}{cell['tokens']:,}"
            what = "left out: over the budget" if cell["left_out"] else "to be run"
        rows.append((cell["dataset"], cell["model"], cell["prompt"], cost, what))
    return table("data set", "model", "prompt", ">tokens", "", rows=rows)


def _sensitivity(told: Mapping[str, Any]) -> "Iterator[RenderableType]":
    several = [one for one in told["spread"] if one["prompts"] > 1]
    for dataset in dict.fromkeys(one["dataset"] for one in several):
        yield f"Spread over prompts on {dataset}:"
        yield _spreads([one for one in several if one["dataset"] == dataset])
    if told["flips"]:
        yield "Whether the better of two models hangs on the prompt:"
        yield _flips(told["flips"])
    for one in told["agreement"]:
        if one["tau"] is not None and one["prompts"] > 1:
            yield (
                f"{one['dataset']}: two of {one['prompts']} prompts order the models with a mean "
                f"Kendall tau of {one['tau']:.2f}."
            )


def _spreads(spreads: list[Mapping[str, Any]]) -> "Table":
    rows = []
    for one in spreads:
        gain, reach = one["gain"], one["gain_interval"]
        half = f" ±{(reach['high'] - reach['low']) / 2:.4f}" if reach else ""
        rows.append(
            (
                one["model"],
                str(one["prompts"]),
                *(f"{one[name]:.4f}" for name in ("low", "mean", "high", "sd", "range")),
                "-" if gain is None else f"{gain:+.4f}{half}",
                "",
            )
        )
    columns = ("model", ">n", ">min", ">mean", ">max", ">sd", ">range")
    return table(*columns, ">best - default", "", rows=rows)


def _flips(flips: list[Mapping[str, Any]]) -> "Table":
    rows = [
        (
            one["dataset"],
            f"{one['better']} > {one['worse']}",
            str(one["prompts"]),
            _share(one["flips"], one["flips_interval"]),
            _share(one["superiority"], one["superiority_interval"]),
            "",
        )
        for one in flips
    ]
    columns = ("data set", "by the means", ">prompts", ">order flips", ">ahead, random prompts")
    return table(*columns, "", rows=rows)


def _share(value: float, interval: Mapping[str, float] | None) -> str:
    reach = f" ({interval['low']:.0%}..{interval['high']:.0%})" if interval else ""
    return f"{value:.0%}{reach}"


def _missing(told: Mapping[str, Any]) -> Iterator[str]:
    """Name what is not in the table, and why."""
    for cell in told["cells"]:
        where = f"{cell['prompt']} with {cell['model']} on {cell['dataset']}"
        if cell["refused"]:
            yield f"refused: {where}: {cell['refused']}"
        elif cell.get("left_out") and not told["planned"]:
            yield f"left out: {where} would cost {counted(cell['tokens'], 'token')}."


def _total(told: Mapping[str, Any]) -> str:
    spent, apart = told["tokens"]["computed"], told["tokens"]["prompt_by_prompt"]
    saved = f"; prompt by prompt it would be {apart:,}" if apart > spent else ""
    budget = f" of {told['budget']:,}" if told["budget"] is not None else ""
    return f"In all {spent:,}{budget} tokens{saved}."
