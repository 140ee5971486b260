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

    lost = sum(not result.finished for result in state.scored)
    means = f"best {state.best.mean:.4f} (default {state.scored[0].mean:.4f})"
    return (
        f"{proposer_title(state.making)}: {means} on SEARCH, "
        f"{len(state.scored)} prompts, {lost} races lost, {state.meter.left:.0%} left"
    )


def estimate_table(estimate: Mapping[str, Any]) -> "Table":
    """Lay out what a search would take."""
    rows = []
    for name, value in estimate.items():
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
    finished = [result for result in outcome.scored if result.finished]
    finished.sort(key=lambda result: -result.mean)
    rows = [
        [
            f"{result.mean:.4f}",
            result.proposal.title,
            result.proposal.prompt.forms[0].query[0].text,
        ]
        for result in finished[:SHOWN]
    ]
    tables = [table(">SEARCH", "prompt", "query wording", rows=rows, texts=["query wording"])]
    tested = [("SELECT", gain) for gain in outcome.selected]
    if outcome.confirmed is not None:
        tested.append(("CONFIRM", outcome.confirmed))
    if tested:
        heads = ("on", "prompt", ">gain", "95 %", ">p", ">lower bound")
        tables.append(table(*heads, rows=[_row(part, gain) for part, gain in tested]))
    return tables


def _row(part: str, gain: "PromptGain") -> list[str]:
    interval = gain.interval
    return [
        part,
        gain.proposal.title,
        f"{gain.gain:+.4f}",
        f"{interval.low:+.4f}..{interval.high:+.4f}" if interval else "-",
        f"{gain.p:.2g}",
        f"{gain.bound:+.3f}",
    ]
