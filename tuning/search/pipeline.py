"""Tune: split, search, select, confirm; the answer may be to keep the default."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import numpy as np

from embedder.prompts.prompt import Prompt
from tuning.search.budget import Budget, Cost, Meter, SpentError
from tuning.search.choice import PromptGain, finalists, measure_gain, select
from tuning.search.journal import Journal
from tuning.search.result import CHANGE, KEEP, TuningOutcome
from tuning.search.rounds import ReportRound, SearchState, search
from tuning.search.scorer import Scorer
from tuning.search.space import key_of
from tuning.search.split import FEW, folds, three_parts
from tuning.search.types import Proposal, Scored, Scores, TuningTask


class Sealed:
    """CONFIRM: queries whose scores are asked for once in a run, by one candidate.

    Attributes:
        openings: how many times it was opened.
    """

    def __init__(self, query_ids: Sequence[str], scorer: Scorer) -> None:
        self._ids, self._scorer = tuple(query_ids), scorer
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
        base = self._scorer.scores(default, self._ids)
        scores = self._scorer.scores(candidate.prompt, self._ids)
        return measure_gain(candidate, self._ids, (scores, base), task.rules)


def tune(
    task: TuningTask,
    budget: Budget,
    journal: Journal,
    report: ReportRound = lambda state: None,
    seconds: float = 0.0,
) -> TuningOutcome:
    """Run a search to its verdict.

    Args:
        task: what is tuned, and how.
        budget: never exceeded.
        journal: new, or of the same task and budget: then the run is taken up.
        report: called with the state after every batch.
        seconds: wall time of earlier sittings.

    Raises:
        SpentError: the budget does not even score the default.
    """
    scorer = Scorer(task.objective, journal, Meter(budget, before=seconds))
    if len(task.relevant) < FEW:
        outcome = _in_folds(task, scorer, report)
    else:
        outcome = _in_parts(task, scorer, report)
    verdict = {"verdict": outcome.verdict, "key": key_of(outcome.prompt)}
    journal.note("verdict", lambda: verdict)
    return outcome


def _in_parts(task: TuningTask, scorer: Scorer, report: ReportRound) -> TuningOutcome:
    parts = three_parts(task.relevant, task.rules.seed)
    default, rules = task.first_prompts[0].prompt, task.rules
    judge = Scorer(task.final, scorer.journal, scorer.meter) if task.final else scorer
    sealed = Sealed(parts.confirm, judge)
    longest = _longest(task)
    # What the end takes; longer prompts than any first prompt may leave finalists out.
    ending = [*sealed.cost([longest.prompt, default])]
    ending += [task.objective.cost(longest.prompt, parts.select)] * (rules.finalists + 1)
    scorer.meter.reserved = sum(ending, Cost())
    state = search(task, parts.search, scorer, report)
    scorer.meter.reserved = Cost()
    chosen = finalists(state.finished, state.scored[0], rules)
    chosen = _affordable(chosen, parts.select, sealed, scorer, default)
    queries = {name: len(ids) for name, ids in asdict(parts).items()}
    gains: list[PromptGain] = []
    winner: Proposal | None = None
    if chosen:
        score: Callable[[Prompt], Scores] = lambda prompt: scorer.scores(prompt, parts.select)  # noqa: E731
        gains, winner = select(chosen, parts.select, score, default, rules)
    if winner is None:
        reason = (
            "no finalist was better on SELECT" if chosen else "nothing was better on SEARCH"
        ) + f"; {state.ended}"
        return _outcome(KEEP, reason, default, state, (gains, None), queries)
    confirmed = sealed.open(winner, default, task)
    figures = f"{confirmed.gain:+.4f} on CONFIRM, p = {confirmed.p:.2g}"
    if confirmed.accepted(rules):
        return _outcome(CHANGE, figures, winner.prompt, state, (gains, confirmed), queries)
    reason = f"what SELECT chose was not surely better: {figures}"
    return _outcome(KEEP, reason, default, state, (gains, confirmed), queries)


def _longest(task: TuningTask) -> Proposal:
    """Return the longest of the first prompts that may be proposed and that the model can take."""
    allowed = [proposal for proposal in task.first_prompts if task.space.holds(proposal.prompt)]
    for proposal in sorted(allowed, key=lambda each: -task.space.words(each.prompt)):
        try:
            task.objective.cost(proposal.prompt, ())
        except ValueError:  # the race notes why, e.g. that it leaves no room for a text
            continue
        return proposal
    return task.first_prompts[0]


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


def _in_folds(task: TuningTask, scorer: Scorer, report: ReportRound) -> TuningOutcome:
    """With few queries: search without each fold in turn, and judge its winner on that fold."""
    default, rules = task.first_prompts[0], task.rules
    parts = folds(task.relevant, rules.seed)
    winners: list[Proposal] = []
    pairs: list[tuple[Scores, Scores]] = []
    everything: list[Scored] = []
    state: SearchState | None = None
    for at, part in enumerate(parts):
        others = [query for query in task.relevant if query not in set(part)]
        inner = replace(task, rules=replace(rules, seed=rules.seed + at))
        scorer.meter.reserved = _later(task, scorer, parts[at:], len(parts) - at)
        state = search(inner, others, scorer, report)
        scorer.meter.reserved = Cost()
        everything += state.scored
        chosen = finalists(state.finished, state.scored[0], rules)
        winner, scores = _judge_winner(chosen[0] if chosen else default, default, part, scorer)
        winners.append(winner)
        pairs.append((scores, scorer.scores(default.prompt, part)))
    assert state is not None
    ids = [query for part in parts for query in part]
    pooled = (
        np.concatenate([scores for scores, _ in pairs]),
        np.concatenate([base for _, base in pairs]),
    )
    counts = Counter(key_of(proposal.prompt) for proposal in winners)
    winner = max(winners, key=lambda proposal: counts[key_of(proposal.prompt)])
    gain = measure_gain(winner, ids, pooled, rules)
    queries = {"search": len(ids) - len(parts[0]), "select": len(ids), "confirm": 0}
    figures = f"{gain.gain:+.4f} out of fold, p = {gain.p:.2g}; too few queries to certify"
    state.scored = everything
    verdict = CHANGE if gain.accepted(rules) and winner.prompt != default.prompt else KEEP
    prompt = winner.prompt if verdict == CHANGE else default.prompt
    return _outcome(verdict, figures, prompt, state, ([gain], None), queries)


def _judge_winner(
    winner: Proposal, default: Proposal, part: Sequence[str], scorer: Scorer
) -> tuple[Proposal, Scores]:
    """Score the winner of a fold on it; where the budget has ended the default takes its place."""
    try:
        return winner, scorer.scores(winner.prompt, part)
    except SpentError:
        return default, scorer.scores(default.prompt, part)


def _later(
    task: TuningTask, scorer: Scorer, parts: Sequence[Sequence[str]], folds_left: int
) -> Cost:
    """Keep what judging this fold takes, and the shares of the folds after it."""
    longest = _longest(task)
    judging = [
        task.objective.cost(prompt, part)
        for part in parts
        for prompt in (longest.prompt, task.first_prompts[0].prompt)
    ]
    return scorer.meter.all_but_share(sum(judging, Cost()), folds_left)


def _outcome(
    verdict: str,
    reason: str,
    prompt: Prompt,
    state: SearchState,
    tested: tuple[list[PromptGain], PromptGain | None],
    queries: dict[str, int],
) -> TuningOutcome:
    return TuningOutcome(
        verdict=verdict,
        reason=reason,
        prompt=prompt,
        selected=tuple(tested[0]),
        confirmed=tested[1],
        scored=tuple(state.scored),
        queries=queries,
        spent=state.meter.spent,
        hits=state.scorer.hits,
    )
