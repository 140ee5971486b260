"""The outcome of a search for prompts on the screen."""

from functools import partial

from tests.arithmetic import Arithmetic, task
from tests.killed_tuning import LIBRARY
from tuning.proposers.evolve import Evolve
from tuning.search.budget import Budget
from tuning.search.journal import Journal
from tuning.search.pipeline import tune


def test_an_outcome_prints_verdict_prompts_tests_and_costs() -> None:
    """It was the repr of a dataclass, with every score of every prompt."""
    outcome = tune(
        task(Arithmetic({"good": 0.1}), {"evolve": partial(Evolve, library=LIBRARY)}),
        Budget(tokens=20_000),
        Journal(None, {}),
    )
    verdict, best, *tested, costs = str(outcome).split("\n\n")
    assert verdict == f"{outcome.verdict}: {outcome.reason}"
    columns, *prompts = best.split("\n")
    assert columns.split() == ["SEARCH", "prompt", "query", "wording"] and 1 <= len(prompts) <= 10
    means = [float(line.split()[0]) for line in prompts]
    assert means == sorted(means, reverse=True)
    assert max(map(len, prompts)) < 200
    gains = [*outcome.selected, *([outcome.confirmed] if outcome.confirmed else [])]
    assert gains and sum(f"{gain.gain:+.4f}" in tested[0] for gain in gains) == len(gains)
    assert f"spent: {outcome.spent.tokens:,} tokens, {outcome.spent.evaluations:,} evalu" in costs
    assert repr(outcome).startswith("TuningOutcome(verdict=")
