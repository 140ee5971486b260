"""Tune with few queries: each fold judges what a search on the folds before it found."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from embedder.prompts.prompt import Prompt
from eval.statistics.one_sided import one_sided_test, sums_of_clusters
from tuning.search.budget import Cost
from tuning.search.choice import FLIPS, Judgement, PromptGain, finalists, measure_gain
from tuning.search.racing import worse_p
from tuning.search.result import CHANGE, KEEP, TuningOutcome
from tuning.search.rounds import ReportRound, SearchState, search
from tuning.search.scorer import Scorer
from tuning.search.sensitivity import measure_sensitivity
from tuning.search.split import folds, unit_numbers
from tuning.search.types import Prepares, Proposal, Rules, Scored, Scores, TuningTask

SEARCH_TIME = 0.8  # of the seconds; the rest is for judging what was found
OF_FOLDS = "of what searches found in all folds, later ones weighing more"
UNPAID = "the budget did not pay for judging the best that a search found, but for what is shorter"
ALONE = "all but the default: no other prompt was scored to the end; --dry-run tells what one takes"


def tune_in_folds(task: TuningTask, scorer: Scorer, report: ReportRound) -> TuningOutcome:
    """Search on the first fold, judge on the second; on both, and judge on the third; and on.

    Folds that judge each other in a circle, as in cross-validation, depend on each other: what
    wins without a fold wins by the folds that its rivals are judged on, and a test of all
    differences errs in 7 to 11 % of runs on noise (`python -m benchmarks.tuning_power`). Here no
    search has seen what is judged after it, so that under noise each difference has mean 0
    whatever went before (Dawid, Prequential analysis, JRSS A 1984). Later folds, whose searches
    saw more, weigh more in the test.

    The last search names the one prompt that may be taken, before the last and largest fold,
    CONFIRM, is read. All folds decide together whether searching finds gains at all; the gain that
    is reported is the prompt's own, on CONFIRM alone, and must be one.

    Raises:
        SpentError: the budget does not even score the default.
    """
    default, rules = task.first_prompts[0], task.rules
    parts = folds(task.relevant, rules.seed, task.texts)
    judge = scorer.judging(task.final) if task.final else scorer
    judge.scores(default.prompt, [query for part in parts for query in part])
    searcher = scorer.for_search(task.quick, default.prompt)
    rows, everything, remarks = list[Scores](), list[Scored](), list[str]()
    wordy = longest(task, judge, partial(_ending, judge, parts[1:]))  # stands for any winner
    for at in range(1, len(parts)):
        known = {query for part in parts[:at] for query in part}
        inner = replace(task, rules=replace(rules, seed=rules.seed + at - 1))
        kept = _ending(judge, parts[at:], wordy)  # and the shares of the searches that are left
        scorer.meter.reserved = scorer.meter.all_but_share(kept, len(parts) - at)
        scorer.meter.until = scorer.meter.moment(SEARCH_TIME / (len(parts) - at))
        inside = [query for query in task.relevant if query in known]
        state = search(inner, inside, searcher, report)
        scorer.meter.reserved, scorer.meter.until = Cost(), None
        everything += state.scored
        winner = _winner(state, rules, partial(_is_paid, judge, parts[at]))
        remarks += state.remarks
        rows.append(judge.scores(winner.prompt, parts[at]))
    # Of what several searches say with other numbers the last is enough.
    latest = {re.sub(r"\b[0-9]+\b", "", remark): remark for remark in remarks}
    state.scored, state.remarks = everything, [*latest.values()]
    pooled = _measured(task, parts[1:], winner, rows, judge)
    return _verdict(task, parts, (pooled, winner), judge, state)


def _measured(
    task: TuningTask,
    parts: Sequence[Sequence[str]],
    winner: Proposal,
    rows: Sequence[Scores],
    judge: Scorer,
) -> PromptGain:
    """Compare what searches found with the default, on the folds that judged it.

    A fold weighs by the root of how many folds its search saw.
    """
    judged = [query for part in parts for query in part]
    pair = np.concatenate(rows), judge.scores(task.first_prompts[0].prompt, judged)
    numbers = unit_numbers(task.relevant, judged, task.texts)
    weights = np.repeat(np.sqrt(np.arange(1, len(parts) + 1)), [len(part) for part in parts])
    sums = sums_of_clusters(((pair[0] - pair[1]) * weights)[:, None], numbers)
    p = one_sided_test(sums, np.random.default_rng([task.rules.seed, 2]), FLIPS)
    return replace(measure_gain(winner, judged, pair, task.rules, numbers), p=float(p[0]))


def _winner(state: SearchState, rules: Rules, is_paid: Callable[[Prompt], bool]) -> Proposal:
    """Return the best on SEARCH; a baseline only if it is surely better than the best wording."""
    best = finalists(state.finished, state.scored[0], rules)
    chosen = [each for each in best if is_paid(each.prompt)]
    if chosen[:1] != best[:1]:
        state.remarks.append(f"{UNPAID}: {best[0].title}")
    words = next((each for each in chosen if each.prompted), None)
    plain = next((each for each in chosen if not each.prompted), None)
    if words is None or plain is None:
        return chosen[0] if chosen else state.scored[0].proposal
    rows = [state.scorer.scores(each.prompt, state.ids) for each in (plain, words)]
    return plain if worse_p(rows[0] - rows[1]) <= rules.alpha else words


def _is_paid(judge: Scorer, part: Sequence[str], prompt: Prompt) -> bool:
    return judge.meter.fits(judge.cost(prompt, part))


def _ending(judge: Scorer, parts: Sequence[Sequence[str]], prompt: Prompt) -> Cost:
    """Return what judging winners of the tokens of a prompt takes, each fold one of its own."""
    objective = judge.objective  # whose scores may all be known
    costs = [objective.cost(prompt, part) for part in parts]
    if isinstance(objective, Prepares):
        costs += [objective.preparation(prompt)[1]] * len(parts)
    return sum(costs, Cost())


def _verdict(
    task: TuningTask,
    parts: Sequence[Sequence[str]],
    found: tuple[PromptGain, Proposal],
    judge: Scorer,
    state: SearchState,
) -> TuningOutcome:
    """Take the one prompt of the last search if all folds say that searching finds gains."""
    (pooled, named), default = found, task.first_prompts[0].prompt
    searched, confirm = sum(map(len, parts[:-1])), parts[-1]
    queries = {"search": searched, "select": searched - len(parts[0]), "confirm": len(confirm)}
    if named.prompt == default:
        reason = f"the last search found nothing better; {state.ended}"
        return outcome_of(reason, default, state, ([pooled], None), queries)
    pair = judge.scores(named.prompt, confirm), judge.scores(default, confirm)
    numbers = unit_numbers(task.relevant, confirm, task.texts)
    own = measure_gain(named, confirm, pair, task.rules, numbers)
    decision = Judgement(OF_FOLDS, pooled.p, own.accepted(task.rules, pooled.p))
    reason = f"{own.gain:+.4f} on CONFIRM, p = {pooled.p:.2g} ({OF_FOLDS})"
    if not decision.accepted:
        reason = f"what the last search found was not surely better: {reason}"
    prompt = named.prompt if decision.accepted else default
    return outcome_of(reason, prompt, state, ([pooled], own), queries, decision)


def longest(task: TuningTask, scorer: Scorer, ending: Callable[[Prompt], Cost]) -> Prompt:
    """Return the longest first prompt that may be proposed, and judged by half of the budget.

    The default where there is none: a budget that pays for it is no less than one for a search.

    Args:
        task: its first prompts.
        scorer: tells which of them the model can take.
        ending: what judging takes at the end, with prompts like one.
    """
    allowed = [each.prompt for each in task.first_prompts if task.space.holds(each.prompt)]
    for prompt in sorted(allowed, key=lambda each: -task.space.words(each)):
        if scorer.is_usable(prompt) and scorer.meter.fits(ending(prompt) + ending(prompt)):
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
