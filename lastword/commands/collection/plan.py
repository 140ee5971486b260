"""`lastword plan`: what an index will cost, before anything is made."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option, Typer

from embedder.checkpoints.bundled import BUNDLED_NAME
from lastword.cli.command import command
from lastword.cli.options import Output
from lastword.cli.screen import Screen, size, table

if TYPE_CHECKING:
    from lastword.cli.tables import Table
    from lastword.planning import PlanOptions
    from retrieval.planning.figures import IndexPlan, PlanFigure

app = Typer()

_GROUPS = ("collection", "index", "memory", "encoding", "factories", "scale")


@dataclass(frozen=True, slots=True)
class PlannedCollection:
    """How much is read, where no source is."""

    documents: Annotated[int | None, Option(help="How many there are.", min=1)] = None
    tokens: Annotated[int | None, Option(help="Of a text, in the mean.", min=1)] = None


@dataclass(frozen=True, slots=True)
class PlannedReading:
    """By what it is read, and where."""

    model: Annotated[str, Option(help="That reads them: a folder with config.json is enough.")] = (
        BUNDLED_NAME
    )
    prompt: Annotated[str, Option(help="That it reads by: a name or file; the model's own.")] = ""
    gpu: Annotated[
        list[str] | None, Option(help="Accelerators, as in h100:8; several are several answers.")
    ] = None
    utilisation: Annotated[
        float, Option(help="Part of their peak that reading texts reaches: an assumption.")
    ] = 0.4
    node_memory: Annotated[float, Option(help="GB of a node that serves.")] = 64.0
    probe: Annotated[
        bool, Option(help="Measure for at most 30 seconds how fast this machine reads.")
    ] = True

    def options(self) -> "PlanOptions":
        """Return them as `plan` takes them."""
        from lastword.planning import PlanOptions

        return PlanOptions(
            model=self.model,
            prompt=self.prompt,
            gpus=tuple(self.gpu or ()),
            utilisation=self.utilisation,
            node_memory=self.node_memory * 1e9,
            probe=self.probe,
        )


@command(
    app,
    [
        "lastword plan docs/",
        "lastword plan --documents 1000000 --tokens 200 --gpu h100:8",
        "lastword plan --documents 10000000 --tokens 150 --model ./llama-8b --no-probe --formulas",
    ],
)
def plan(
    collection: PlannedCollection,
    reading: PlannedReading,
    output: Output,
    source: Annotated[
        str | None, Argument(metavar="[SOURCE]", help="Read once, to count its documents.")
    ] = None,
    formulas: Annotated[bool, Option("--formulas", help="Show how figures come about.")] = False,
) -> None:
    """Foresee disk, hours, memory and nodes of an index, with a formula for every figure.

    Nothing is made. A source is counted, and its first thousand documents are measured; or say
    how many documents there are, of how many tokens. --json has all formulas.
    """
    from eval.data.sources import open_sources
    from lastword.planning import plan as foresee
    from retrieval.planning.plan import ASSUMED

    screen = Screen(output)
    with screen.waiting("Counting and measuring"):
        foreseen = foresee(
            None if source is None else open_sources(source),
            documents=collection.documents,
            tokens=collection.tokens,
            options=reading.options(),
        )
    screen.result(foreseen.to_json(), *_tables(foreseen))
    if formulas:
        for group in _GROUPS:
            for figure in getattr(foreseen, group):
                screen.remark(f"{figure.name}: {figure.formula}")
    if any(figure.formula == ASSUMED for figure in foreseen.collection):
        screen.remark(
            f"{reading.model} has no tokenizer here, so the tokens of its prompt, 20 before a text "
            "and 20 behind, are assumed"
        )
    if reading.probe and not any(each.name == "this machine" for each in foreseen.encoding):
        screen.remark("this machine did not read in 30 seconds, so its hours are left out")


def _tables(foreseen: "IndexPlan") -> "list[Table]":
    return [
        table(group, ">figure", "unit", rows=[_cells(figure) for figure in figures])
        for group in _GROUPS
        if (figures := getattr(foreseen, group))
    ]


def _cells(figure: "PlanFigure") -> tuple[str, str, str]:
    if figure.unit == "bytes":
        amount, unit = size(round(figure.value)).split(" ")
        return figure.name, amount, unit
    value = figure.value
    if 0 < value < 1:
        return figure.name, f"{value:.2g}", figure.unit
    decimals = 0 if float(value).is_integer() else 2
    return figure.name, f"{value:,.{decimals}f}", figure.unit
