"""What people see of a search for prompts: while it runs, before it and after."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lastword.cli.screen import LINE_EVERY, Screen, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from lastword.cli.tables import Table
    from tuning.search.choice import PromptGain
    from tuning.search.pipeline import TuningOutcome
    from tuning.search.rounds import SearchState

SHOWN = 10


@contextmanager
def watched(screen: Screen) -> "Iterator[Callable[[SearchState], None]]":
    """Show how far a search is: a bar of the budget, or a line now and then."""
    if not screen.speaks:
        yield lambda state: None
        return
    from rich import progress
    from rich.console import Console
    from rich.table import Column

    wrapped = Column(overflow="fold")  # by default every column is cut where a line is too long
    console = Console(stderr=True, highlight=False)
    bar = progress.Progress(
        progress.TextColumn("Tuning", markup=False),
        progress.BarColumn(bar_width=20),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[status]}", markup=False, table_column=wrapped),
        progress.TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=1.0, status="")
        last = time.monotonic()

        def report(state: "SearchState") -> None:
            nonlocal last
            bar.update(task, completed=1 - state.meter.left, status=describe_progress(state))
            if bar.disable and time.monotonic() - last > LINE_EVERY:
                last = time.monotonic()
                screen.remark(describe_progress(state))

        yield report


def describe_progress(state: "SearchState") -> str:
    """Describe in a line how a search stands."""
    from tuning.search.types import proposer_title

    lost = sum(not one.finished for one in state.scored)
    means = f"best {state.best.mean:.4f} (default {state.scored[0].mean:.4f})"
    return (
        f"{proposer_title(state.making)}: {means} on SEARCH, "
        f"{len(state.scored)} prompts, {lost} races lost, {state.meter.left:.0%} left"
    )


def estimate_table(told: Mapping[str, Any]) -> "Table":
    """Lay out what a search would take."""
    rows = []
    for name, value in told.items():
        if isinstance(value, Mapping):
            text = ", ".join(f"{part} {number:,}" for part, number in value.items())
        elif isinstance(value, bool):
            text = "yes" if value else "no"
        else:
            text = f"{value:,.0f}" if isinstance(value, int | float) else str(value)
        rows.append([name.replace("_", " "), text])
    return table("", "", rows=rows)


def outcome_tables(outcome: "TuningOutcome") -> "list[Table]":
    """Lay out the best prompts on SEARCH, and what was tested."""
    finished = sorted((one for one in outcome.scored if one.finished), key=lambda one: -one.mean)
    rows = [
        [
            f"{one.mean:.4f}",
            one.proposal.title,
            _wording(one.proposal.prompt),
        ]
        for one in finished[:SHOWN]
    ]
    shown = [table(">SEARCH", "prompt", "query wording", rows=rows, texts=["query wording"])]
    tested = [("SELECT", one) for one in outcome.selected]
    if outcome.confirmed is not None:
        tested.append(("CONFIRM", outcome.confirmed))
    if tested:
        heads = ("on", "prompt", ">gain", "95 %", ">p", ">lower bound")
        shown.append(table(*heads, rows=[_row(where, one) for where, one in tested]))
    return shown


def _row(where: str, one: "PromptGain") -> list[str]:
    interval = one.interval
    return [
        where,
        one.proposal.title,
        f"{one.gain:+.4f}",
        f"{interval.low:+.4f}..{interval.high:+.4f}" if interval else "-",
        f"{one.p:.2g}",
        f"{one.bound:+.3f}",
    ]


def _wording(prompt: Any) -> str:  # noqa: ANN401 - a Prompt
    return str(prompt.forms[0].query[0].text)
