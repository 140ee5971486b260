"""What is accepted: one candidate, one-sided, by SELECT and CONFIRM together."""

import itertools
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from benchmarks.tuning_noise import LAWS, Noise, tune_noise
from embedder.prompts.prompt import Prompt
from embedder.types import Role
from eval.statistics.one_sided import one_sided_test, sums_of_clusters
from tests.arithmetic import SPACE, Arithmetic, task
from tests.killed_tuning import LIBRARY, MAKERS
from tuning.proposers.evolve import Evolve
from tuning.search.budget import Budget
from tuning.search.choice import Sample, decide, finalists, joined_p, measure_gain, select
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.result import CHANGE, KEEP
from tuning.search.space import Around
from tuning.search.split import folds
from tuning.search.types import Proposal, Rules, Scored, Scores


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def proposal(word: str, prompted: bool = True) -> Proposal:
    prompt = SPACE.reworded(SPACE.default, {Role.QUERY: Around(f"{word} ", "")})
    return Proposal(prompt, "test", word, prompted=prompted)


def hall(values: np.ndarray) -> float:
    """Student's t without the root of n, bent by twice the skewness seen."""
    deviation = values.std()
    if deviation < 1e-9:
        return float(np.sign(values.mean()) * np.inf) if values.any() else 0.0
    ratio = values.mean() / deviation
    skewness = 2 * ((values - values.mean()) ** 3).mean() / deviation**3
    bent = ratio + skewness * ratio**2 / 3 + skewness**2 * ratio**3 / 27
    return float(bent + skewness / (6 * len(values)))


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_exact_p_by_counting_all_patterns(n: int) -> None:
    differences = rng().normal(0.1, 0.3, (n, 3)).round(2)
    observed = [hall(column) for column in differences.T]
    largest = [
        max(hall(np.array(signs) * column) for column in differences.T)
        for signs in itertools.product([1, -1], repeat=n)
    ]
    expected = [np.mean([each >= one - 1e-9 for each in largest]) for one in observed]
    assert one_sided_test(differences, rng()).tolist() == pytest.approx(expected)


def test_one_sided_p_has_a_side() -> None:
    gains = np.full((6, 1), 0.1)
    assert one_sided_test(gains, rng())[0] == 2**-6
    assert one_sided_test(-gains, rng())[0] == 1
    assert one_sided_test(np.zeros((6, 2)), rng()).tolist() == [1, 1]


def test_many_flips_agree_with_all() -> None:
    differences = rng().normal(0.06, 0.2, (20, 2))
    more = np.vstack([differences, np.zeros((5, 2))])
    padded = np.vstack([more, np.full((1, 2), 1e-9)])  # 21 that differ are too many to count all
    all_patterns, some = one_sided_test(more, rng()), one_sided_test(padded, rng(), 20_000)
    assert some == pytest.approx(all_patterns, abs=0.02)


@pytest.mark.parametrize("n", [25, 60])
def test_rare_large_losses_are_not_taken_for_gain(n: int) -> None:
    """Exponential losses: Student's t says p <= .05 in 10 % of 25, this test in about 5 %."""
    generator = rng()
    drawn = 0.2 * (1 - generator.exponential(1, (400, n, 1)))
    errors = np.mean([one_sided_test(each, generator, 500)[0] <= 0.05 for each in drawn])
    assert errors <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_sums_of_clusters_by_hand() -> None:
    differences = np.array([[1.0], [2.0], [4.0], [8.0]])
    assert sums_of_clusters(differences, ["b", "a", "b", "c"]).tolist() == [[5], [2], [8]]
    with pytest.raises(ValueError, match="4 items need as many clusters; got 2"):
        sums_of_clusters(differences, ["b", "a"])


def test_equal_queries_count_once() -> None:
    """Ten copies of three queries were thirty wins; they are three, and p is 1/8."""
    scores, base = np.full(30, 0.6), np.full(30, 0.5)
    ids = [str(at) for at in range(30)]
    copies = measure_gain(
        proposal("good"), ids, (scores, base), Rules(), [at % 3 for at in range(30)]
    )
    alone = measure_gain(proposal("good"), ids, (scores, base), Rules())
    assert (copies.units, copies.p) == (3, 1 / 8) and alone.units == 30 and alone.p < 0.001
    assert copies.bound < alone.bound and not copies.accepted(Rules()) and alone.accepted(Rules())


def test_joined_p_by_hand() -> None:
    """Two p of .05 of like sizes are z = 1.645 twice: 2 * 1.645 / sqrt(2) = 2.326, p = .01."""
    assert joined_p((0.05, 0.05), (30, 30)) == pytest.approx(0.01, abs=2e-4)
    assert joined_p((0.05, 0.5), (1, 10**9)) == pytest.approx(0.5, abs=1e-3)
    assert joined_p((1.0, 0.001), (30, 30)) == 1.0
    assert joined_p((0.001, 1.0), (30, 30)) == 1.0


def test_a_candidate_needs_a_gain_on_confirm() -> None:
    """However sure SELECT was: the gain that is reported is CONFIRM's alone."""
    ids = [str(at) for at in range(40)]
    noise = rng().normal(0, 0.05, 40)
    base = np.full(40, 0.5)
    sure = measure_gain(proposal("good"), ids, (base + 0.1 + noise, base), Rules())
    none = measure_gain(proposal("good"), ids, (base - noise.mean() + noise - 1e-3, base), Rules())
    assert joined_p((sure.p, none.p), (40, 40)) < 0.05
    assert not decide(none, sure, Rules()).accepted
    assert decide(sure, none, Rules()).accepted and not decide(none, None, Rules()).accepted


def _select(words: np.ndarray, plain: np.ndarray) -> str:
    base = np.full(len(words), 0.5)
    candidates = [proposal("words"), proposal("plain", prompted=False)]
    rows = {candidates[0].prompt: base + words, candidates[1].prompt: base + plain}
    sample = Sample(tuple(map(str, range(len(base)))), tuple(range(len(base))))
    _, chosen = select(candidates, sample, lambda p: rows.get(p, base), SPACE.default, Rules())
    return chosen.how if chosen else "none"


def test_a_baseline_stands_in_the_way_only_where_it_is_sure() -> None:
    """The test of words against a baseline was two-sided: words that were surely worse won."""
    noise = rng().normal(0, 0.1, 60)
    noise -= noise.mean()
    other = np.roll(noise, 7)
    assert _select(other + 0.02, noise + 0.01) == "words"  # the baseline may be noise
    assert _select(other + 0.10, noise + 0.05) == "words"  # surely better than a sure baseline
    assert _select(other + 0.05, noise + 0.05) == "plain"  # not better than a sure baseline
    assert _select(other + 0.01, noise + 0.10) == "plain"  # surely worse than it
    assert _select(other - 0.01, noise + 0.01) == "plain"
    assert _select(other - 0.01, noise - 0.01) == "none"


def test_a_baseline_takes_one_place_of_the_finalists() -> None:
    """Baselines that led took all four places, or the last wording's, and no wording was told."""
    makes = [("a", False), ("b", False), ("c", True), ("d", True), ("e", True), ("f", True)]
    ranked = [
        Scored(proposal(how, prompted), {"q": 0.9 - 0.1 * at}, True)
        for at, (how, prompted) in enumerate(makes)
    ]
    default = Scored(Proposal(SPACE.default, "pool", "default"), {"q": 0.2}, True)
    assert [each.how for each in finalists(ranked, default, Rules())] == ["a", "c", "d", "e"]
    assert [each.how for each in finalists(ranked[2:], default, Rules())] == ["c", "d", "e", "f"]
    assert [each.how for each in finalists(ranked, default, Rules(finalists=1))] == ["a"]


def test_no_search_sees_the_fold_that_judges_it() -> None:
    """Means and failures that were told held scores of held-out folds: 8-13 % of noise passed."""
    objective = Arithmetic({"good": 0.2}, spread=0.2, queries=40)
    outcome = tune(task(objective, MAKERS), Budget(evaluations=6_000), Journal(None, {}))
    parts = folds(objective.relevant, 0)
    default = SPACE.default.hash
    for before, part in itertools.pairwise(parts):
        readings = [
            at for at, (prompt, ids) in enumerate(objective.asked)
            if prompt != default and set(ids) & set(part)
        ]  # fmt: skip
        assert objective.asked[readings[0]][1] == part  # the winner, on all of it
        assert any({*ids} & {*before} for _, ids in objective.asked[: readings[0]])
    judged = set(outcome.selected[0].differences)
    assert judged == {query for part in parts[1:] for query in part}


def test_the_gain_of_folds_is_that_of_the_one_prompt() -> None:
    """Four searches' winners made a gain, which was written beside the prompt of one of them.

    The prompt is named before CONFIRM is read, and nothing but it and the default is read there.
    """
    objective = Arithmetic({"good": 0.2}, spread=0.2, queries=40)
    outcome = tune(task(objective, MAKERS), Budget(evaluations=6_000), Journal(None, {}))
    *_, confirm = folds(objective.relevant, 0)
    assert outcome.queries == {"search": 24, "select": 16, "confirm": 16}
    own, (pooled,) = outcome.confirmed, outcome.selected
    assert own is not None and outcome.taken == own.proposal and set(own.differences) == {*confirm}
    assert outcome.verdict == CHANGE and outcome.decision is not None
    assert outcome.decision.p == pooled.p and f"{own.gain:+.4f} on CONFIRM" in outcome.reason
    read = {prompt for prompt, ids in objective.asked if {*ids} & {*confirm}}
    assert read == {SPACE.default.hash, outcome.prompt.hash}
    assert [row[1] for row in outcome.tested_prompts()[1:]] == [
        "what each search found, not one prompt", own.proposal.title
    ]  # fmt: skip
    best = outcome.best_wording
    assert best is not None and (best.part, best.proposal) == ("CONFIRM", own.proposal)


def test_folds_take_no_prompt_without_a_gain_of_its_own() -> None:
    """However sure earlier searches were."""
    relevant = Arithmetic(queries=40).relevant
    *_, confirm = folds(relevant, 0)

    class Fading(Arithmetic):
        def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
            scores = super().__call__(prompts, query_ids)
            late = np.isin(query_ids, confirm)
            return np.where(late, super().__call__([SPACE.default], query_ids) - 0.001, scores)

    objective = Fading({"good": 0.3}, queries=40)
    outcome = tune(task(objective, MAKERS), Budget(evaluations=6_000), Journal(None, {}))
    assert outcome.decision is not None and outcome.decision.p < 0.05
    assert not outcome.decision.accepted and outcome.verdict == KEEP


def test_every_fold_has_its_share_of_the_time() -> None:
    """The search before the first fold took all seconds; later ones knew the default only."""
    objective = Arithmetic({"good": 0.2}, spread=0.2, queries=40, sleep=0.001)
    makers = {"evolve": partial(Evolve, library=LIBRARY)}
    outcome = tune(task(objective, makers), Budget(seconds=1.5), Journal(None, {}))
    third = set(folds(objective.relevant, 0)[2])
    tried = {prompt for prompt, ids in objective.asked if third & set(ids)}
    assert len(tried) > 2 and outcome.queries["search"] == 24


@pytest.mark.parametrize(("queries", "copies"), [(32, 1), (100, 1), (60, 3)])
def test_noise_is_taken_for_gain_in_at_most_a_twentieth_of_runs(queries: int, copies: int) -> None:
    """16 searches; five per cent and three sigma. The benchmark makes 400 of fifteen kinds."""
    outcomes = [
        tune_noise(Noise(LAWS["normal"], queries, seed, copies), rounds=1) for seed in range(16)
    ]
    assert {outcome.folded for outcome in outcomes} == {queries != 100}
    assert sum(outcome.verdict == CHANGE for outcome in outcomes) <= 3
    gains = [outcome.confirmed.gain for outcome in outcomes if outcome.confirmed]
    assert abs(np.mean(gains)) <= 3 * np.std(gains) / len(gains) ** 0.5


def test_a_winner_that_the_budget_cannot_judge_gives_way() -> None:
    """What folds take at the end was nothing, since the longest first prompt was known there."""
    makers = {"evolve": partial(Evolve, library=LIBRARY)}
    asked = task(Arithmetic({"good": 0.1}, queries=40), makers)
    outcome = tune(asked, Budget(tokens=20_000), Journal(None, {}))
    assert outcome.confirmed is not None and outcome.spent.tokens <= 20_000
    shorter = [remark for remark in outcome.remarks if "but for what is shorter" in remark]
    assert shorter and outcome.confirmed.proposal.title not in shorter[-1]
