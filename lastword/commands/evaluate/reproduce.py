"""The command that repeats published figures: reproduce."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Typer

from lastword.cli.command import command
from lastword.cli.options import Output
from lastword.cli.screen import Screen, table
from lastword.commands.evaluate.repeating import ReproduceOptions, repeat

if TYPE_CHECKING:
    from eval.tasks.published import Configuration, Reproduction
    from lastword.cli.tables import Table

app = Typer()

OUTSIDE = 1  # exit code: what came out is not what was published
MANY = 4  # data sets, from which on the list shows their mean only


@command(
    app,
    [
        "lastword reproduce --list",
        "lastword reproduce bm25-scifact",
        "lastword reproduce bundled-scifact bm25-scifact --data path/to/beir",
        "lastword reproduce tp-llama2-7b --model path/to/llama-2-7b --data path/to/sts",
    ],
)
def reproduce(
    repeating: ReproduceOptions,
    output: Output,
    names: Annotated[
        list[str] | None,
        Argument(metavar="NAME", help='From the list; a family such as "bm25" is all of it.'),
    ] = None,
) -> None:
    """Repeat published figures: run the checked-in configuration, compare what comes out.

    Exit code 0 where all figures are within their tolerance, 1 where one is not, 2 where a
    configuration cannot be run here.
    """
    from eval.tasks.published import find_configurations, load_configurations

    screen = Screen(output)
    if repeating.listing or not names:
        _list(find_configurations(names) if names else [*load_configurations().values()], screen)
        return
    outcomes: dict[str, list[Reproduction]] = {}
    failures: dict[str, str] = {}
    batch = find_configurations(names)
    for configuration in batch:
        try:
            outcomes[configuration.name] = repeat(configuration, repeating, screen)
        except (ValueError, OSError) as error:
            failures[configuration.name] = (
                f"{configuration.name} cannot be repeated here: {error} "
                f"(it needs {configuration.needs})"
            )
    data = [_facts(item, outcomes.get(item.name), failures.get(item.name)) for item in batch]
    tables = [_table(batch, outcomes)] if outcomes else []
    if tables or output.json:
        screen.result(data, *tables)
    if failures:
        more = f"; and {len(failures) - 1} more, see --json" if len(failures) > 1 else ""
        raise ValueError(next(iter(failures.values())) + more)
    if not all(outcome.within for reproductions in outcomes.values() for outcome in reproductions):
        raise Exit(OUTSIDE)


def _list(known: "Sequence[Configuration]", screen: Screen) -> None:
    rows = [
        (
            configuration.name,
            configuration.measure,
            " ".join(
                _number(figure.expected, configuration)
                for figure in configuration.figures
                if not figure.dataset or len(configuration.datasets) < MANY
            ),
            configuration.what,
        )
        for configuration in known
    ]
    screen.result(
        [asdict(configuration) for configuration in known],
        table("name", "measure", "published", "", rows=rows, texts=[""]),
    )
    screen.remark(
        "`lastword reproduce NAME` repeats one; --json says where the figures come from, with "
        "which settings, and what is needed."
    )


def _facts(
    configuration: "Configuration", outcomes: "Sequence[Reproduction] | None", failure: str | None
) -> dict[str, Any]:
    facts = {name: value for name, value in asdict(configuration).items() if name != "figures"}
    if outcomes is None:
        return facts | {"failure": failure}
    return facts | {
        "outcomes": [
            asdict(outcome.figure)
            | {"got": outcome.value, "difference": outcome.difference, "within": outcome.within}
            for outcome in outcomes
        ]
    }


def _table(
    batch: "Sequence[Configuration]", outcomes: "Mapping[str, Sequence[Reproduction]]"
) -> "Table":
    rows = [
        (
            configuration.name,
            outcome.figure.dataset or _whole(configuration),
            outcome.figure.run,
            configuration.measure,
            _number(outcome.figure.expected, configuration),
            _number(outcome.value, configuration),
            _number(outcome.difference, configuration, "+"),
            f"{'within' if outcome.within else 'OUTSIDE'} "
            f"{_number(outcome.figure.tolerance, configuration)}",
        )
        for configuration in batch
        for outcome in outcomes.get(configuration.name, ())
    ]
    columns = ("name", "data", "run", "measure", ">published", ">here", ">difference", "tolerance")
    return table(*columns, rows=rows)


def _whole(configuration: "Configuration") -> str:
    datasets = configuration.datasets
    return datasets[0] if len(datasets) == 1 else f"mean of {len(datasets)}"


def _number(value: float, configuration: "Configuration", sign: str = "") -> str:
    """Write a figure as its kind is printed: correlations times 100."""
    if configuration.benchmark == "sts":
        return f"{100 * value:{sign}z.2f}"
    return f"{value:{sign}z.4f}"
