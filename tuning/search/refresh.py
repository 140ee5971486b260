"""Finalists of a search on some documents are ranked on more of them, read to their full length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from embedder.prompts.prompt import Prompt
from tuning.search.budget import Cost, Meter, SpentError
from tuning.search.scorer import Scorer
from tuning.search.space import key_of
from tuning.search.types import Objective, PreparesTogether

SHARE = 4  # of what is left, reading for finalists is kept back where it takes no more than this
NOT_PAID = (
    "finalists were ranked on the documents that the search read, cut as there: the budget does "
    "not pay for what they would find besides, and for all of the texts"
)


@runtime_checkable
class Refreshes(PreparesTogether, Protocol):
    """An objective on some documents, which ranks: finalists may find others than these."""

    def filling(self) -> Cost:
        """Tell what choosing these documents took."""
        ...

    def full_cost(self, prompt: Prompt) -> Cost:
        """Tell what reading these to their full length takes; nothing where they are, and all."""
        ...

    def refreshing(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Cost:
        """Tell what `missed` takes."""
        ...

    def missed(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> list[str]:
        """Return the documents, none of these, that queries would find under prompts."""
        ...

    def enlarged(self, document_ids: Sequence[str]) -> "Larger":
        """Return the objective on these and more documents, all read to their full length."""
        ...


class Larger(Objective, PreparesTogether, Protocol):
    """What finalists are ranked by."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """How finalists were ranked on SELECT.

    Attributes:
        added: documents that finalists would find and the search did not read.
        prompts: finalists, and the default.
        tau: Kendall's rank correlation of their means on SELECT, by the documents of the search
            as they were cut there, and by all of these to their full length; None of equal ones.
    """

    added: int
    prompts: int
    tau: float | None

    def __str__(self) -> str:
        tau = "no order" if self.tau is None else f"Kendall's tau {self.tau:+.2f}"
        return (
            f"{self.added:,} documents that finalists would find were added and all read to their "
            f"full length; {tau} of {self.prompts} prompts to the order by what the search read"
        )


def room_for_finalists(objective: Objective, prompt: Prompt, count: int, meter: Meter) -> Cost:
    """Return what is kept back for ranking finalists; nothing where it is too large a part.

    Args:
        objective: of the search.
        prompt: a long one.
        count: of finalists, and the default.
        meter: knows what is left.
    """
    if not isinstance(objective, Refreshes):
        return Cost()
    room = sum([objective.full_cost(prompt)] * count, Cost())
    return room if meter.fits(sum([room] * SHARE, Cost())) else Cost()


def refresh(
    scorer: Scorer, prompts: Sequence[Prompt], query_ids: Sequence[str], kept: Cost
) -> tuple[Scorer, int] | None:
    """Return what ranks finalists, charged its documents, and how many were added.

    Args:
        scorer: of the search, by an objective that `Refreshes`.
        prompts: the default and the finalists.
        query_ids: SELECT.
        kept: what must be left.

    Returns:
        None where the budget does not pay for it.
    """
    objective = scorer.objective
    assert isinstance(objective, Refreshes), objective
    cost = sum((scorer.cost(prompt, query_ids) for prompt in prompts), kept)
    asking = objective.refreshing(prompts, query_ids)
    # Of prompts whose scores an earlier run left nothing was read yet.
    cost = sum((scorer.preparing(prompt)[1] for prompt in prompts), cost)
    if not scorer.meter.fits(cost + asking):
        return None
    for prompt in prompts:
        scorer.prepare(prompt)
    work = lambda: objective.missed(prompts, query_ids)  # noqa: E731
    added = scorer.once("refresh", [key_of(prompt) for prompt in prompts], asking, work)
    larger = objective.enlarged(added)
    _, documents = larger.joint_preparation(prompts)
    reading = sum((larger.cost(prompt, query_ids) for prompt in prompts), documents)
    if not scorer.meter.fits(cost + reading):
        return None
    finals = scorer.judging(larger)
    finals.prepare_together(prompts, query_ids)
    return finals, len(added)


def rank_agreement(
    scorers: tuple[Scorer, Scorer], prompts: Sequence[Prompt], query_ids: Sequence[str]
) -> float | None:
    """Return Kendall's tau of prompts by two scorers; None where one of them has no order."""
    from scipy.stats import kendalltau

    try:
        means = [
            [float(scorer.scores(prompt, query_ids).mean()) for prompt in prompts]
            for scorer in scorers
        ]
    except SpentError:
        return None
    tau = float(kendalltau(*means).statistic)
    return tau if tau == tau else None
