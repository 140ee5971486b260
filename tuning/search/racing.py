"""Race prompts over blocks of queries: a prompt that the leader beats is scored no further.

Paired t-tests on blocks as in CAPO (Zehle et al., AutoML 2025), at a stricter level, since .2
loses good prompts where queries are few. Where the budget cannot take all that are left to the
end, the worse half goes after each block (successive halving, Jamieson & Talwalkar, AISTATS 2016).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embedder.prompts.prompt import Prompt
from tuning.search.budget import NOTHING, SpentError
from tuning.search.journal import DamagedJournalError
from tuning.search.scorer import Scorer
from tuning.search.types import Proposal, Rules, Scored, Scores

HOPELESS = 5.0  # standard errors below the default after one block
BUDGET_ENDED = "the budget ended"
TIME_OVER = "the time was over"
SHORTEST = 8  # queries of a first block
FIRST_BLOCK = 1 / 3  # of a race's time that its first block may take, so that some reach the end


@dataclass(slots=True)
class Runner:
    """One proposal on its way."""

    proposal: Proposal
    reason: str = ""


def race(
    scorer: Scorer,
    incumbents: Sequence[Proposal],
    candidates: Sequence[Proposal],
    blocks: Sequence[Sequence[str]],
    rules: Rules,
) -> tuple[list[Scored], bool]:
    """Race proposals against each other and against the incumbents.

    Args:
        scorer: gives scores.
        incumbents: the default first, then perhaps the best so far; scored on all blocks.
        candidates: the proposals to race.
        blocks: of query ids, raced over one after the other.
        rules: alpha.

    Returns:
        The result of each proposal, in order; and whether the budget ended the race.
    """
    runners = [Runner(proposal) for proposal in candidates]
    everything = [query for block in blocks for query in block]
    seen: list[str] = []
    spent = False
    scorer.prepare_together([proposal.prompt for proposal in candidates], everything)
    blocks = _fit_first_block(scorer, runners, blocks, everything)
    for number, block in enumerate(blocks):
        seen += block
        began = scorer.meter.seconds
        until = scorer.meter.moment(1 if number else FIRST_BLOCK)
        for runner in runners:
            if not runner.reason:
                spent = not _score_block(scorer, runner, block, until) or spent
        alive = [runner for runner in runners if not runner.reason]
        if spent or not alive:
            break
        _drop(scorer, incumbents, alive, seen, rules)
        if number == 0:
            _drop_hopeless(scorer, incumbents[0], alive, seen)
            _drop_alike(scorer, incumbents, alive, seen)
        pace = (scorer.meter.seconds - began) / len(alive) / len(block)
        coming = blocks[number + 1] if number + 1 < len(blocks) else ()
        _halve(scorer, runners, (seen, coming, everything), pace)
    return [_result(scorer, runner, everything) for runner in runners], spent


def _result(scorer: Scorer, runner: Runner, everything: Sequence[str]) -> Scored:
    """Return what is known of a runner; it finished if that is a score of every query."""
    known = scorer.known(runner.proposal.prompt, everything)
    finished = not runner.reason and len(known) == len(everything)
    reason = runner.reason or ("" if finished else BUDGET_ENDED)
    return Scored(runner.proposal, known, finished, reason)


def _fit_first_block(
    scorer: Scorer,
    runners: Sequence[Runner],
    blocks: Sequence[Sequence[str]],
    everything: Sequence[str],
) -> list[Sequence[str]]:
    """Shorten the first block, or leave the last runners out, so that it takes half at most.

    A first block that spends the budget leaves nobody who could reach the end.
    """
    first = blocks[0]
    usable = [scorer.is_usable(runner.proposal.prompt) for runner in runners]

    def fits(racing: Sequence[Runner], queries: Sequence[str]) -> bool:
        known = zip(racing, usable, strict=False)  # the first runners
        prompts = [runner.proposal.prompt for runner, reads in known if reads]
        return _leaves_half(scorer, prompts, queries, everything)

    size, racing = len(first), list(runners)
    while size > SHORTEST and not fits(racing, first[:size]):
        size = max(SHORTEST, size // 2)
    while len(racing) > 1 and not fits(racing, first[:size]):
        racing = racing[: (len(racing) + 1) // 2]
    for runner in runners[len(racing) :]:
        runner.reason = "the budget has no room for it"
    return [part for part in (first[:size], first[size:], *blocks[1:]) if part]


def _halve(
    scorer: Scorer,
    runners: Sequence[Runner],
    queries: tuple[Sequence[str], Sequence[str], Sequence[str]],
    pace: float,
) -> None:
    """Drop the worse half while the budget does not take all that are left to the end.

    Once only, where half of the budget takes the next block of those that stay.

    Args:
        scorer: knows the scores of what was seen, and the budget.
        runners: all of the race.
        queries: those that were raced over, those of the next block, and all.
        pace: seconds of a score.
    """
    seen, coming, everything = queries
    alive = [runner for runner in runners if not runner.reason]
    if len(alive) < 2 or not coming:
        return
    left, end = len(everything) - len(seen), scorer.meter.end
    slow = scorer.is_late(end, pace * left * len(alive))
    alive.sort(key=lambda runner: -float(scorer.scores(runner.proposal.prompt, seen).mean()))
    prompts = [runner.proposal.prompt for runner in alive]
    while len(alive) > 1 and (
        slow or not scorer.meter.fits(scorer.joint_cost(prompts, everything))
    ):
        kept = (len(alive) + 1) // 2
        for runner in alive[kept:]:
            runner.reason = f"in the worse half after {len(seen)} queries"
        alive, prompts, slow = alive[:kept], prompts[:kept], False
        if _leaves_half(scorer, prompts, coming, everything):
            break


def _leaves_half(
    scorer: Scorer, prompts: Sequence[Prompt], block: Sequence[str], everything: Sequence[str]
) -> bool:
    """Tell whether half of the budget takes a block, and one prompt to the end besides."""
    cost = scorer.joint_cost(prompts, block)
    one = scorer.cost(prompts[0], everything) if prompts else NOTHING
    return scorer.meter.fits(cost + cost) and scorer.meter.fits(cost + one)


def _score_block(scorer: Scorer, runner: Runner, block: Sequence[str], until: float | None) -> bool:
    """Score a block, unless the time for it is over; return False where the budget has ended."""
    try:
        if scorer.is_late(until):
            runner.reason = TIME_OVER
            return True
        scorer.scores(runner.proposal.prompt, block)
    except SpentError:
        runner.reason = BUDGET_ENDED
        return False
    except DamagedJournalError:
        raise
    except ValueError as error:
        runner.reason = f"cannot be used: {' '.join(str(error).split())}"
    return True


def _drop(
    scorer: Scorer,
    incumbents: Sequence[Proposal],
    alive: Sequence[Runner],
    seen: Sequence[str],
    rules: Rules,
) -> None:
    """Drop the prompts that the leader beats, one-sided."""
    prompts = [*(runner.proposal.prompt for runner in alive), *(each.prompt for each in incumbents)]
    rows = [scorer.scores(prompt, seen) for prompt in prompts]
    leader = max(rows, key=lambda row: float(row.mean()))
    for runner, row in zip(alive, rows, strict=False):  # rows of incumbents come last
        if worse_p(leader - row) < rules.alpha:
            runner.reason = f"beaten after {len(seen)} queries"


def _drop_hopeless(
    scorer: Scorer, default: Proposal, alive: Sequence[Runner], seen: Sequence[str]
) -> None:
    base = scorer.scores(default.prompt, seen)
    for runner in alive:
        behind = base - scorer.scores(runner.proposal.prompt, seen)
        error = float(behind.std(ddof=1)) / np.sqrt(len(behind)) if len(behind) > 1 else 0.0
        if not runner.reason and behind.mean() > HOPELESS * error > 0:
            runner.reason = "hopeless after one block"


def _drop_alike(
    scorer: Scorer, incumbents: Sequence[Proposal], alive: Sequence[Runner], seen: Sequence[str]
) -> None:
    """Of prompts with the same scores on the first block keep the first, and shorter ones.

    Where all answers are perfect already, nothing but length tells prompts apart.
    """
    lengths: dict[bytes, int] = {}
    for incumbent in incumbents:
        scores = scorer.scores(incumbent.prompt, seen).tobytes()
        lengths[scores] = min(_length(incumbent), lengths.get(scores, _length(incumbent)))
    for runner in alive:
        scores = scorer.scores(runner.proposal.prompt, seen).tobytes()
        length = _length(runner.proposal)
        if scores in lengths and length >= lengths[scores] and not runner.reason:
            runner.reason = "no different from another prompt"
        lengths[scores] = min(length, lengths.get(scores, length))


def _length(proposal: Proposal) -> int:
    """Count the characters of all wordings."""
    return sum(len(template.text) for form in proposal.prompt.forms for template in form.all)


def worse_p(differences: Scores) -> float:
    """Return the p-value of a paired t-test that the mean is not above 0."""
    from scipy.special import stdtr

    n = len(differences)
    if n < 2 or not differences.any():
        return 1.0
    spread = float(differences.std(ddof=1))
    mean = float(differences.mean())
    if spread == 0:
        return 0.0 if mean > 0 else 1.0
    return float(stdtr(n - 1, -mean / (spread / np.sqrt(n))))
