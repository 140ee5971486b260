"""The outcome of a search for prompts on the screen."""

import itertools
from dataclasses import replace
from functools import partial

from embedder.prompts.method_rules import PostRules
from embedder.types import Role
from tests.arithmetic import SPACE, Arithmetic, task
from tests.killed_tuning import LIBRARY
from tuning.proposers.evolve import OWN, Evolve, name_gene
from tuning.search.budget import Budget
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.sensitivity import Sensitivity, measure_sensitivity
from tuning.search.space import Around
from tuning.search.types import Proposal, Scored
from tuning.search.wording import describe_change, wording_of


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


def test_wordings_are_compared_on_the_block_that_all_were_scored_on() -> None:
    """Races drop bad wordings: what is left says too little of how much hangs on the words."""
    default, words = SPACE.default, SPACE.reworded(SPACE.default, {Role.QUERY: Around("so ", "")})
    others = [
        Scored(Proposal(words, "evolve"), {"a": 0.5, "b": 0.0}, False, "hopeless"),
        Scored(Proposal(SPACE.empty(), "pool"), {"a": 1.0, "b": 1.0, "c": 1.0}, True),
        Scored(Proposal(replace(default, adapt="x#y"), "soft"), {"a": 0.1, "b": 0.1}, True),
        Scored(Proposal(replace(words, fusion="rrf"), "evolve"), {"a": 0.0, "b": 0.0}, True),
    ]
    own = Scored(Proposal(default, "pool", "default"), {"a": 0.5, "b": 0.5}, True)
    found = measure_sensitivity([own, *others], ("a", "b"), default)
    assert found == Sensitivity(2, (0.25, 0.5, 1.0), 0.5)
    assert found.quartiles == (0.375, 0.5, 0.75) and found.worse == 1
    assert measure_sensitivity([own, *others[2:]], ("a", "b"), default) is None


def test_an_outcome_says_what_is_taken() -> None:
    """A map that won was shown as "the new prompt", with the old wording."""
    default = SPACE.default
    mapped = Proposal(replace(default, adapt="x#y"), "baselines", "whitened", prompted=False)
    fused = Proposal(replace(default, fusion="minmax:dense=0.4,bm25=0.6"), "evolve", "crossover")
    assert describe_change(mapped, default) == (
        "take a map of query vectors; words unchanged (baselines: whitened)"
    )
    assert describe_change(fused, default).startswith(
        "take fusion minmax:dense=0.4,bm25=0.6; words"
    )
    assert describe_change(Proposal(SPACE.empty(), "pool"), default) == "take the new prompt"
    assert wording_of(mapped.prompt, default) == "(as the default)"


def test_the_best_wording_of_folds_has_its_own_gain_or_none() -> None:
    """Where a baseline won the folds, its gain stood beside the best wording as if it were its."""
    objective = Arithmetic({"good": 0.1}, queries=40)
    tuned = task(objective, {"evolve": partial(Evolve, library=LIBRARY)})
    outcome = tune(tuned, Budget(evaluations=2_000), Journal(None, {}))
    assert outcome.folded and outcome.confirmed is not None
    assert str(outcome.best_wording).startswith(f"{outcome.confirmed.gain:+.4f} on CONFIRM (95 %")
    plain = Proposal(outcome.default, "baselines", "whitened", prompted=False)
    won = replace(outcome, confirmed=replace(outcome.confirmed, proposal=plain))
    assert str(won.best_wording).endswith("on SEARCH, by which it was chosen, and not tested")


def test_the_best_wording_is_the_one_that_select_would_send_on() -> None:
    """Of two that were surely better it was the one of the smaller p, by chance of the flips."""
    tuned = task(Arithmetic({"good": 0.1}), {"evolve": partial(Evolve, library=LIBRARY)})
    outcome = tune(tuned, Budget(tokens=20_000), Journal(None, {}))
    known, gains = outcome.selected[0], []
    for word, gain, p in (("a ", 0.2, 0.0003), ("b ", 0.3, 0.0004), ("c ", 0.4, 0.2)):
        prompt = SPACE.reworded(SPACE.default, {Role.QUERY: Around(word, "")})
        proposal, mean = Proposal(prompt, "evolve", word), known.default + gain
        gains.append(replace(known, proposal=proposal, mean=mean, p=p))
    best = replace(outcome, selected=tuple(gains)).best_wording
    assert best is not None and best.proposal.how == "b "


def test_post_processing_is_named_as_what_is_taken() -> None:
    """It was "take the new prompt", whose words were those of the default."""
    whitened = replace(SPACE.default, post=PostRules())
    taken = Proposal(whitened, "baselines", "whitened", prompted=False)
    assert describe_change(taken, SPACE.default) == (
        "take post-processing of documents and queries; words unchanged (baselines: whitened)"
    )


def test_rules_of_reading_are_named() -> None:
    """Rows of a table read "another fusion"."""
    assert name_gene("fusion", "minmax:dense=0.4,bm25=0.6") == "fusion minmax:dense=0.4,bm25=0.6"
    assert name_gene("layer", -3) == "layer -3"
    assert name_gene("sparse_top", OWN) == "sparse top as the default has it"
    assert name_gene("prepend", (1, 5)) == "token prepending in blocks 1 to 4"


def test_a_search_reports_at_every_block() -> None:
    """The bar stayed at 0 % through the first prompts, and moved once a batch after them."""
    left: list[float] = []
    outcome = tune(
        task(Arithmetic({"good": 0.1}), {"evolve": partial(Evolve, library=LIBRARY)}),
        Budget(tokens=20_000),
        Journal(None, {}),
        lambda state: left.append(state.meter.left),
    )
    assert left == sorted(left, reverse=True)
    steps = [before - after for before, after in itertools.pairwise(left)]
    assert len(left) > len(outcome.scored) and max(steps) < 0.05
