"""The types that the loop, proposers and objectives exchange."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from embedder.prompts.prompt import Prompt
from tuning.search.budget import Cost
from tuning.search.signal import Signal
from tuning.search.space import Space

Scores = NDArray[np.float64]
FIRST_PROMPTS = "pool"  # what made them, as journals and outcomes have it


def proposer_title(name: str) -> str:
    """Return what people read as the name of a proposer."""
    return "first prompts" if name == FIRST_PROMPTS else name


@dataclass(frozen=True, slots=True)
class Proposal:
    """A prompt that a proposer wants to be tried.

    Attributes:
        prompt: as it would be used.
        made_by: name of the proposer; FIRST_PROMPTS for what is always tried.
        how: what was done, for people.
        parents: keys of the prompts that it comes from.
        prompted: False for what changes vectors rather than words (a baseline).
    """

    prompt: Prompt
    made_by: str
    how: str = ""
    parents: tuple[str, ...] = ()
    prompted: bool = True

    @property
    def title(self) -> str:
        """What made it and how, for people."""
        return f"{proposer_title(self.made_by)}: {self.how}"


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of a proposal on the queries that it was raced over.

    Attributes:
        proposal: what was proposed.
        scores: query id -> score in 0..1.
        finished: whether it was raced over all of SEARCH.
        reason: why not; "" where it was.
    """

    proposal: Proposal
    scores: Mapping[str, float]
    finished: bool
    reason: str = ""

    @property
    def decision(self) -> str:
        """What became of it in the race."""
        return self.reason or "raced to the end"

    @property
    def mean(self) -> float:
        """Over the queries that were scored; 0 without any."""
        return float(np.mean([*self.scores.values()])) if self.scores else 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A query that a prompt answered badly.

    Attributes:
        query: text.
        answer: text of a relevant document.
        mistake: text of the best-ranked document that is not relevant.
        rank: of the answer; None where it was not returned.
    """

    query: str
    answer: str
    mistake: str
    rank: int | None


class Objective(Protocol):
    """What tuning sees of the world."""

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return (prompts, queries) scores in 0..1, higher is better."""
        ...

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Tell exactly what scoring one prompt on queries takes.

        Raises:
            ValueError: the prompt cannot be used.
        """
        ...

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> Sequence[Failure]:
        """Return what went wrong, the worst first, for queries that the prompt was scored on.

        Charged like scores, unless the objective says `tells_failures = False`: it never has any.
        """
        ...


@runtime_checkable
class Prepares(Protocol):
    """An objective that must encode documents or pseudo-queries before it scores some prompts."""

    def preparation(self, prompt: Prompt) -> tuple[str, Cost]:
        """Tell what stands for these texts under a prompt, and what encoding them takes."""
        ...


@runtime_checkable
class PreparesTogether(Prepares, Protocol):
    """An objective that encodes documents for several prompts in less than one after the other."""

    def joint_preparation(self, prompts: Sequence[Prompt]) -> tuple[list[str], Cost]:
        """Tell what stands for the texts of prompts, and what encoding them together takes."""
        ...

    def read_together(self, prompts: Sequence[Prompt]) -> None:
        """Encode the texts of prompts together, at the latest when one of them is scored."""
        ...


@runtime_checkable
class TellsTexts(Protocol):
    """An objective on a collection whose texts can be shown."""

    def search_texts(self, query_ids: Sequence[str]) -> Sequence[str]:
        """Return queries and their answers."""
        ...

    def card(self, seed: int) -> Sequence[str]:
        """Return some documents that show what the collection is about."""
        ...


@runtime_checkable
class ReadsAlike(Protocol):
    """An objective that reads a query once for several prompts, so that it is paid for once."""

    def reading_key(self, prompt: Prompt) -> str:
        """Tell what a query is read by: prompts of the same key need one reading."""
        ...


@runtime_checkable
class Settles(Protocol):
    """An objective whose `cost` is an upper bound, e.g. of what a chat model will read."""

    def used(self) -> Cost:
        """Return what the last call really took."""
        ...


@runtime_checkable
class Repeatable(Protocol):
    """An objective whose scores other runs may use, as long as all is what they hang on."""

    def score_key(self, prompt: Prompt, query_id: str) -> str:
        """Return 32 hex digits that stand for a score and all that it hangs on."""
        ...


Once = Callable[[str, Any, Cost, Callable[[], Any]], Any]
"""Charges work and does it once, however often a run is taken up (see `Journal.once`)."""


@dataclass(frozen=True, slots=True)
class ProposerContext:
    """What a proposer works with.

    Attributes:
        space: what may be changed.
        seed: of everything that it draws.
        search: query ids that it may look at.
        once: for work of its own that costs something.
        scores: scores of a prompt on queries of `search`, charged like any other.
        failures: what a prompt got wrong among queries of `search` that it was scored on.
        answers: query id of `search` -> its relevant documents that no query outside of it
            shares: what vectors may be learned from. A map learned from the answers of a query
            gains on all queries that share them (scifact: a ridge map gains three to nine times
            as much where queries are split by chance as where documents are).
        texts: gives the queries of `search` and their answers, which no wording may repeat.
        card: gives some documents that show what the collection is about.
        affords: tells whether the budget pays for scoring a prompt on queries so many times.
    """

    space: Space
    seed: int
    search: tuple[str, ...]
    once: Once
    scores: Callable[[Prompt, Sequence[str]], Scores]
    failures: Callable[[Prompt, Sequence[str]], Sequence[Failure]]
    answers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    texts: Callable[[], Sequence[str]] = tuple
    card: Callable[[], Sequence[str]] = tuple
    affords: Callable[[Prompt, Sequence[str], float], bool] = lambda prompt, query_ids, times: True


class Proposer(Protocol):
    """Proposes prompts and learns how they scored; owns no evaluation.

    What it proposes may depend on nothing but its context and the results that `tell` passed.
    One that cannot try something says why in `remarks`, a sequence of sentences, if it has any.
    """

    @property
    def name(self) -> str:
        """The name by which users choose it."""
        ...

    def ask(self, n: int) -> list[Proposal]:
        """Propose about n prompts; none at all means that it is done."""
        ...

    def tell(self, results: Sequence[Scored]) -> None:
        """Take in how proposals did: its own, and before them all wordings that were tried."""
        ...


@dataclass(frozen=True, slots=True)
class Rules:
    """How a search goes and which prompts it accepts.

    Attributes:
        seed: of splits, proposers, tests and intervals.
        alpha: of the tests by which a prompt is accepted, and of racing.
        min_effect: smallest mean gain that is worth changing a prompt for.
        finalists: prompts that are scored on SELECT.
        block: queries that are raced over at a time.
        batch: prompts that a proposer is asked for at a time.
        length_penalty: taken from the mean of a prompt of the most words, when ranking.
        delta: probability of a lower bound that is too high.
    """

    seed: int = 0
    alpha: float = 0.05
    min_effect: float = 0.0
    finalists: int = 4
    block: int = 25
    batch: int = 12
    length_penalty: float = 0.002
    delta: float = 0.05

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and 0 < self.delta < 1):
            raise ValueError("alpha and delta are probabilities above 0 and below 1")
        if min(self.finalists, self.block, self.batch) < 1 or self.min_effect < 0:
            raise ValueError("finalists, block and batch are at least 1, min_effect at least 0")


MakeProposer = Callable[[ProposerContext], Proposer]


@dataclass(frozen=True, slots=True)
class TuningTask:
    """One thing to tune.

    Attributes:
        objective: scores prompts.
        relevant: query id -> its relevant documents, by which queries are split.
        space: what may be changed.
        first_prompts: tried before any proposer, the default at the front.
        proposers: name -> maker; used one after the other.
        rules: how.
        final: judges on CONFIRM; None is the objective itself. Another where that ranks only.
        texts: query id -> text, so that queries of the same text stay together; may be empty.
        signal: tried before the search, where there are no judgements.
        quick: scores on SEARCH nearly as the objective does, for less; None is the objective.
    """

    objective: Objective
    relevant: Mapping[str, frozenset[str]]
    space: Space
    first_prompts: tuple[Proposal, ...]
    proposers: Mapping[str, MakeProposer]
    rules: Rules = field(default_factory=Rules)
    final: Objective | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    signal: Signal | None = None
    quick: Objective | None = None
