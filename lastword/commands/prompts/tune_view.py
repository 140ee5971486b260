"""What people see of a search for prompts: while it runs, before it and after."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lastword.cli.screen import duration, table

if TYPE_CHECKING:
    from lastword.cli.tables import Table
    from tuning.search.result import TuningOutcome
    from tuning.search.rounds import SearchState


_OF_DOCUMENTS = ("tokens_of_its_documents", "tokens_of_choosing_them")  # 0 for queries alone
_LABELS = {
    "gain_accepted_in_four_of_five_runs": "smallest gain to detect",
    "calls_of_trying_the_signal": "calls of trying the signal, at most",
    "chat_tokens_of_trying_the_signal": "chat tokens of trying it, at most",
    "tokens_at_the_end": "tokens of judging at the end",
    "prompts_raced_to_the_end": "prompts that it pays for",
    "seconds_at_the_end": "time of judging at the end",
    "too_few_queries_to_certify": "judged in folds",
}


def describe_progress(state: "SearchState") -> str:
    """Describe in a line how a search stands."""
    from tuning.search.types import proposer_title

    meter, done = state.meter, sum(result.finished for result in state.scored)
    rate = meter.spent.tokens / max(meter.seconds, 0.1)
    speed = f", {rate:,.0f} tokens/s" if meter.spent.tokens else ""
    return (
        f"{proposer_title(state.making)}: best {state.best.mean:.4f}, "
        f"default {state.scored[0].mean:.4f}, {len(state.scored)} prompts, {done} to the end{speed}"
    )


def estimate_table(estimate: Mapping[str, Any]) -> "Table":
    """Lay out what a search would take."""
    rows = [
        [_LABELS.get(name, name.replace("seconds", "time").replace("_", " ")), _shown(name, value)]
        for name, value in estimate.items()
        if value is not None and (value or name not in _OF_DOCUMENTS)
    ]
    return table("", "", rows=rows)


def _shown(name: str, value: Any) -> str:  # noqa: ANN401
    """Write a value as people read it: times in minutes, shares in decimals, yes and no."""
    if name.startswith("seconds"):
        return f"about {duration(value)}"
    if isinstance(value, Mapping):
        return ", ".join(f"{part} {number:,}" for part, number in value.items())
    if name == "prompts_raced_to_the_end" and not value:
        return "none: give a larger --budget"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value < 1:
        return f"{value:.3f}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def outcome_tables(outcome: "TuningOutcome") -> "list[Table]":
    """Lay out the best prompts on SEARCH, what was tested, and what else there is to know."""
    (heads, *best), tested = outcome.best_prompts(), outcome.tested_prompts()
    tables = [table(f">{heads[0]}", *heads[1:], rows=best, texts=[heads[-1]])]
    if tested:
        heads = ("on", "prompt", ">gain", "95 %", ">p", ">lower bound")
        tables.append(table(*heads, rows=tested[1:]))
    tables.append(table("", "", rows=list(outcome.facts())))
    return tables
