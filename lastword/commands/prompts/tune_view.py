"""What people see of a search for prompts: while it runs, before it and after."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lastword.cli.screen import table

if TYPE_CHECKING:
    from lastword.cli.tables import Table
    from tuning.search.choice import PromptGain
    from tuning.search.pipeline import TuningOutcome
    from tuning.search.rounds import SearchState

SHOWN = 10


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
