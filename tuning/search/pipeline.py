"""Tune: split, search, select, confirm; the answer may be to keep the default."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from embedder.files.kept_scores import EarlierScores
from embedder.prompts.prompt import Prompt
from tuning.search.budget import Budget, Cost, Meter
from tuning.search.choice import PromptGain, Sample, decide, finalists, measure_gain, select
from tuning.search.folding import SEARCH_TIME, longest, outcome_of, tune_in_folds
from tuning.search.journal import Journal
from tuning.search.refresh import (
    NOT_PAID,
    Refresh,
    Refreshes,
    rank_agreement,
    refresh,
    room_for_finalists,
)
from tuning.search.result import CHANGE, KEEP, TuningOutcome
from tuning.search.rounds import ReportRound, SearchState, search
from tuning.search.scorer import Scorer
from tuning.search.signal import Signal
from tuning.search.space import key_of
from tuning.search.split import plan_split, three_parts, unit_numbers
from tuning.search.types import Proposal, TuningTask


class Sealed:
    """CONFIRM: queries whose scores are asked for once in a run, by one candidate.

    Attributes:
        openings: how many times it was opened.
    """

    def __init__(
        self, query_ids: Sequence[str], scorer: Scorer, units: Sequence[int] | None = None
    ) -> None:
        self._ids, self._scorer, self._units = tuple(query_ids), scorer, units
        self.openings = 0

    def __len__(self) -> int:
        return len(self._ids)

    def cost(self, prompts: Sequence[Prompt]) -> list[Cost]:
        """Return the cost of scoring prompts on it, without scoring them."""
        return [self._scorer.cost(prompt, self._ids) for prompt in prompts]

    def open(self, candidate: Proposal, default: Prompt, task: TuningTask) -> PromptGain:
        """Compare one candidate with the default.

        Raises:
            ValueError: it was opened before.
        """
        if self.openings:
            raise ValueError("CONFIRM was read once, and is read only once")
        self.openings += 1
        self._scorer.sealed = frozenset()
        base = self._scorer.scores(default, self._ids)
        scores = self._scorer.scores(candidate.prompt, self._ids)
        return measure_gain(candidate, self._ids, (scores, base), task.rules, self._units)


def tune(
    task: TuningTask,
    budget: Budget,
    journal: Journal,
    report: ReportRound = lambda state: None,
    seconds: float = 0.0,
    earlier: EarlierScores | None = None,
) -> TuningOutcome:
    """Run a search to its verdict.

    Args:
        task: what is tuned, and how.
        budget: never exceeded.
        journal: new, or of the same task and budget: then the run is taken up.
        report: called with the state after every block of queries that is scored.
        seconds: wall time of earlier sittings.
        earlier: scores of earlier runs, which cost nothing; takes those of this one. A run that
            is taken up must have begun with the same.

    Raises:
        SpentError: the budget does not even score the default.
        ValueError: there are too few queries; nothing was done.
    """
    plan = plan_split(task.relevant, task.rules.seed, task.rules.alpha, task.texts)
    scorer = Scorer(task.objective, journal, Meter(budget, before=seconds), earlier)
    if task.signal is not None:
        task.signal.check(scorer.once, scorer.meter)
    if isinstance(task.objective, Refreshes):
        scorer.once("pool", "documents", task.objective.filling(), lambda: None)
    if plan.folded:
        outcome = tune_in_folds(task, scorer, report)
    else:
        outcome = _in_parts(task, scorer, report)
    outcome = replace(outcome, plan=plan)
    if task.signal is not None:
        outcome = _settled(outcome, task.signal, task.first_prompts[0].prompt)
    verdict = {"verdict": outcome.verdict, "key": key_of(outcome.prompt)}
    journal.note("verdict", lambda: verdict)
    prompts = {"default": outcome.default, "chosen": outcome.prompt}
    ids = tuple(task.relevant)
    tokens = {
        name: task.objective.cost(prompt, ids).tokens / len(ids) for name, prompt in prompts.items()
    }
    signal = task.signal.describe() if task.signal else ""
    return replace(outcome, query_tokens=tokens, signal=signal, alpha=task.rules.alpha)


def _settled(outcome: TuningOutcome, signal: Signal, default: Prompt) -> TuningOutcome:
    """Keep the default where the signal that a search went by does not support its claim."""
    if outcome.verdict != CHANGE:
        return outcome
    assert outcome.tested is not None  # nothing is taken untested
    seen = outcome.tested.outcomes
    if not (doubt := signal.doubt(seen.wins, seen.losses)):
        return outcome
    decision = replace(outcome.decision, accepted=False) if outcome.decision else None
    return replace(outcome, verdict=KEEP, reason=doubt, prompt=default, decision=decision)


def _in_parts(task: TuningTask, scorer: Scorer, report: ReportRound) -> TuningOutcome:
    parts = three_parts(task.relevant, task.rules.seed, task.texts)
    select_units, confirm_units = (
        unit_numbers(task.relevant, part, task.texts) for part in (parts.select, parts.confirm)
    )
    default, rules = task.first_prompts[0].prompt, task.rules
    scorer.sealed = frozenset(parts.confirm)
    judge = scorer.judging(task.final) if task.final else scorer
    sealed = Sealed(parts.confirm, judge, confirm_units)
    ending = _ending(task, scorer, sealed, parts.select)
    wordy = longest(task, scorer, ending)  # what is longer may leave finalists out
    room = room_for_finalists(task.objective, wordy, rules.finalists + 1, scorer.meter)
    scorer.meter.reserved = ending(wordy) + room
    scorer.meter.until = scorer.meter.moment(SEARCH_TIME)
    state = search(task, parts.search, scorer.for_search(task.quick, default), report)
    scorer.meter.reserved, scorer.meter.until = Cost(), None
    chosen = finalists(state.finished, state.scored[0], rules)
    chosen = _affordable(chosen, parts.select, sealed, scorer, default)
    queries = {name: len(ids) for name, ids in asdict(parts).items()}
    if not chosen:
        reason = f"nothing was better on SEARCH; {state.ended}"
        return outcome_of(reason, default, state, ([], None), queries)
    sample = Sample(parts.select, tuple(select_units))
    prompts = [default, *(each.prompt for each in chosen)]
    ranking = _ranking(state, scorer, prompts, parts.select, sealed)
    gains, candidate = select(
        chosen, sample, lambda prompt: ranking.scores(prompt, parts.select), default, rules
    )
    if candidate is None:
        reason = f"no finalist was better on SELECT; {state.ended}"
        return outcome_of(reason, default, state, (gains, None), queries)
    confirmed = sealed.open(candidate, default, task)
    before = next(gain for gain in gains if gain.proposal is candidate)
    # What only ranks prompts, on some of the documents, is no evidence of a gain.
    decision = decide(confirmed, None if task.final else before, rules)
    reason = f"{confirmed.gain:+.4f} on CONFIRM, p = {decision.p:.2g} ({decision.statistic})"
    if not decision.accepted:
        reason = f"what SELECT chose was not surely better: {reason}"
    prompt = candidate.prompt if decision.accepted else default
    return outcome_of(reason, prompt, state, (gains, confirmed), queries, decision)


def _ending(
    task: TuningTask, scorer: Scorer, sealed: Sealed, select_ids: Sequence[str]
) -> Callable[[Prompt], Cost]:
    """Return what tells what the end takes with finalists of the tokens of a prompt."""
    default = task.first_prompts[0].prompt
    judging = scorer if task.quick else task.objective  # what SEARCH has not prepared counts too

    def take(prompt: Prompt) -> Cost:
        ranked = [judging.cost(prompt, select_ids)] * (task.rules.finalists + 1)
        return sum([*sealed.cost([prompt, default]), *ranked], Cost())

    return take


def _ranking(
    state: SearchState,
    scorer: Scorer,
    prompts: Sequence[Prompt],
    select_ids: Sequence[str],
    sealed: Sealed,
) -> Scorer:
    """Return what ranks finalists on SELECT: with what they find themselves, where it is paid."""
    objective = scorer.objective
    if not isinstance(objective, Refreshes) or objective.full_cost(prompts[0]) == Cost():
        return scorer
    last = sealed.cost(prompts)
    kept = last[0] + max(last[1:], key=lambda cost: cost.tokens)
    found = refresh(scorer, prompts, select_ids, kept)
    if found is None:
        state.remarks.append(NOT_PAID)
        return scorer
    tau = rank_agreement((scorer, found[0]), prompts, select_ids)
    state.refresh = Refresh(found[1], len(prompts), tau)
    return found[0]


def _affordable(
    chosen: list[Proposal],
    select_ids: Sequence[str],
    sealed: Sealed,
    scorer: Scorer,
    default: Prompt,
) -> list[Proposal]:
    """Leave out the last finalists while scoring them, and confirming one, does not fit."""
    while chosen:
        prompts = [default, *(proposal.prompt for proposal in chosen)]
        last = sealed.cost(prompts)
        most = max(last[1:], key=lambda cost: (cost.tokens, cost.evaluations))
        costs = [scorer.cost(prompt, select_ids) for prompt in prompts]
        if scorer.meter.fits(sum([*costs, last[0], most], Cost())):
            break
        chosen = chosen[:-1]
    return chosen
