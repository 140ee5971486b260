"""Tune with few queries: each fold judges what searches on the folds before it found."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from embedder.prompts.prompt import Prompt
from eval.statistics.one_sided import one_sided_test, sums_of_clusters
from tuning.search.budget import Cost, SpentError
from tuning.search.choice import FLIPS, Judgement, PromptGain, finalists, measure_gain
from tuning.search.racing import worse_p
from tuning.search.result import CHANGE, KEEP, TuningOutcome
from tuning.search.rounds import ReportRound, SearchState, search
from tuning.search.scorer import Scorer
from tuning.search.sensitivity import measure_sensitivity
from tuning.search.split import folds, unit_numbers
from tuning.search.types import Proposal, Rules, Scored, Scores, TuningTask

SEARCH_TIME = 0.8  # of the seconds; the rest is for judging what was found
ALONE = "all but the default: no other prompt was scored to the end; --dry-run tells what one takes"


def tune_in_folds(task: TuningTask, scorer: Scorer, report: ReportRound) -> TuningOutcome:
    """Search on the first fold, judge on the second; search on both, judge on the third; and on.

    Folds that judge each other in a circle, as in cross-validation, depend on each other: what
    wins without a fold wins by the folds that its rivals are judged on, and a test of all
    differences errs in 7 to 11 % of runs on noise (`python -m benchmarks.tuning_power`). Here no
    search has seen what is judged after it, so that under noise each difference has mean 0
    whatever went before (Dawid, Prequential analysis, JRSS A 1984), and the mean gain is honest.
    Later folds, whose searches saw more, weigh more in the test.

    Raises:
        SpentError: the budget does not even score the default.
    """
    default, rules = task.first_prompts[0], task.rules
    parts = folds(task.relevant, rules.seed, task.texts)
    judge = scorer.judging(task.final) if task.final else scorer
    ids = [query for part in parts for query in part]
    base = judge.scores(default.prompt, ids)
    searcher = scorer.for_search(task.quick, default.prompt)
    winners, rows = list[Proposal](), list[Scores]()
    everything, remarks = list[Scored](), list[str]()
    for at in range(1, len(parts)):
        known = {query for part in parts[:at] for query in part}
        inner = replace(task, rules=replace(rules, seed=rules.seed + at - 1))
        scorer.meter.reserved = _later(task, judge, ids, (len(parts) - at, len(parts) - 1))
        scorer.meter.until = scorer.meter.moment(SEARCH_TIME / (len(parts) - at))
        inside = [query for query in task.relevant if query in known]
        state = search(inner, inside, searcher, report)
        scorer.meter.reserved, scorer.meter.until = Cost(), None
        everything += state.scored
        remarks += state.remarks
        winner = _winner(state, rules)
        winners.append(winner)
        rows.append(_judged(winner, default, parts[at], judge))
    state.scored, state.remarks = everything, remarks
    gain = _measured(task, parts, winners[-1], np.concatenate(rows), base)
    named = _named(winners, ids, judge) if gain.accepted(rules) else default
    count = len(gain.differences)
    queries = {"search": len(ids) - len(parts[-1]), "select": count, "confirm": 0}
    return _verdict(task, gain, named, state, queries)


def _measured(
    task: TuningTask,
    parts: Sequence[Sequence[str]],
    winner: Proposal,
    scores: Scores,
    base: Scores,
) -> PromptGain:
    """Compare what the searches found with the default, on all folds but the first."""
    judged = [query for part in parts[1:] for query in part]
    pair = scores, base[len(parts[0]) :]
    numbers = unit_numbers(task.relevant, judged, task.texts)
    gain = measure_gain(winner, judged, pair, task.rules, numbers)
    weights = np.repeat(np.sqrt(np.arange(1, len(parts))), [len(part) for part in parts[1:]])
    return replace(gain, p=_weighted_p(task, gain, weights))


def _winner(state: SearchState, rules: Rules) -> Proposal:
    """Return the best on SEARCH; a baseline only if it is surely better than the best wording."""
    chosen = finalists(state.finished, state.scored[0], rules)
    words = next((each for each in chosen if each.prompted), None)
    plain = next((each for each in chosen if not each.prompted), None)
    if words is None or plain is None:
        return chosen[0] if chosen else state.scored[0].proposal
    rows = [state.scorer.scores(each.prompt, state.ids) for each in (plain, words)]
    return plain if worse_p(rows[0] - rows[1]) <= rules.alpha else words


def _judged(winner: Proposal, default: Proposal, part: Sequence[str], judge: Scorer) -> Scores:
    """Score a winner on its fold; where the budget has ended the default takes its place."""
    try:
        return judge.scores(winner.prompt, part)
    except SpentError:
        return judge.scores(default.prompt, part)


def _later(task: TuningTask, judge: Scorer, ids: Sequence[str], counts: tuple[int, int]) -> Cost:
    """Keep what judging and naming winners takes, and the shares of the searches that are left.

    Args:
        task: its longest first prompt stands for any winner.
        judge: counts.
        ids: all queries.
        counts: of searches that are left, and of winners in the end.
    """
    searches, winners = counts
    ending = sum([judge.cost(longest(task, judge), ids)] * winners, Cost())
    return judge.meter.all_but_share(ending, searches)


def _weighted_p(task: TuningTask, gain: PromptGain, weights: Scores) -> float:
    """Test differences that count by the root of how many folds their search saw."""
    differences = np.array([*gain.differences.values()]) * weights
    numbers = unit_numbers(task.relevant, [*gain.differences], task.texts)
    sums = sums_of_clusters(differences[:, None], numbers)
    return float(one_sided_test(sums, np.random.default_rng([task.rules.seed, 2]), FLIPS)[0])


def _named(winners: Sequence[Proposal], ids: Sequence[str], judge: Scorer) -> Proposal:
    """Return the winner that is best on all queries; of equal ones that of the last search."""
    means: dict[int, float] = {}
    for at, winner in enumerate(winners):
        try:
            means[at] = float(judge.scores(winner.prompt, ids).mean())
        except SpentError:  # it is longer than any of the first prompts
            continue
    return winners[max(means, key=lambda at: (means[at], at), default=len(winners) - 1)]


def _verdict(
    task: TuningTask,
    gain: PromptGain,
    named: Proposal,
    state: SearchState,
    queries: dict[str, int],
) -> TuningOutcome:
    default = task.first_prompts[0].prompt
    accepted = named.prompt != default
    reason = f"{gain.gain:+.4f} out of fold, p = {gain.p:.2g}; too few queries to certify"
    decision = Judgement("of folds, later ones weighing more", gain.p, accepted)
    prompt = named.prompt if accepted else default
    tested = [replace(gain, proposal=named)] if accepted else [gain]
    return outcome_of(reason, prompt, state, (tested, None), queries, decision)


def longest(task: TuningTask, scorer: Scorer) -> Prompt:
    """Return the longest of the first prompts that may be proposed and that the model can take."""
    allowed = [each.prompt for each in task.first_prompts if task.space.holds(each.prompt)]
    for prompt in sorted(allowed, key=lambda each: -task.space.words(each)):
        if scorer.is_usable(prompt):
            return prompt
    return task.first_prompts[0].prompt


def outcome_of(
    reason: str,
    prompt: Prompt,
    state: SearchState,
    tested: tuple[list[PromptGain], PromptGain | None],
    queries: dict[str, int],
    decision: Judgement | None = None,
) -> TuningOutcome:
    """Put together what a run says; the verdict follows from the prompt."""
    default = state.task.first_prompts[0].prompt
    finished = (each.proposal.prompt for each in state.scored if each.finished)
    if all(each == default for each in finished):
        state.remarks.insert(0, ALONE)
    return TuningOutcome(
        verdict=KEEP if prompt == default else CHANGE,
        reason=reason,
        prompt=prompt,
        selected=tuple(tested[0]),
        confirmed=tested[1],
        scored=tuple(state.scored),
        queries=queries,
        spent=state.meter.spent,
        hits=state.scorer.hits,
        earlier=state.scorer.earlier.given,
        refresh=state.refresh,
        decision=decision,
        remarks=tuple(dict.fromkeys(state.remarks)),
        sensitivity=measure_sensitivity(state.scored, state.ids[: state.rules.block], default),
    )
