"""Objectives where no prompt is better than another, through the whole of `tune`."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template
from embedder.types import Role
from tuning.search.budget import Budget, Cost
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.result import TuningOutcome
from tuning.search.space import Around, Space
from tuning.search.types import Failure, Proposal, ProposerContext, Rules, Scored, TuningTask

Draws = NDArray[np.float64]
Law = Callable[[np.random.Generator, int], Draws]
"""Draws differences to the default whose mean is 0."""

GOOD = "good"
_CUT = np.exp(-5)  # of exponentials, which are cut at 5: what that takes off their mean
SPACE = Space(
    Prompt("plain", (PromptVariant("", (Template("{text}"),), (Template("{text}"),)),),
           ReadoutRules()),
    most_words=8,
)  # fmt: skip


def _gains(rng: np.random.Generator, n: int) -> Draws:
    """Many small losses and few large gains."""
    return np.asarray(0.08 * (np.minimum(rng.exponential(1, n), 5) - 1 + _CUT))


LAWS: dict[str, Law] = {
    "normal": lambda rng, n: rng.normal(0, 0.08, n).clip(-0.16, 0.16),
    "rare gains": _gains,
    "rare losses": lambda rng, n: -_gains(rng, n),
    "wide": lambda rng, n: rng.normal(0, 0.2, n),
    "binary": lambda rng, n: 0.3 * rng.choice([-1.0, 0, 1], n, p=[0.1, 0.8, 0.1]),
}


@dataclass
class Noise:
    """Every word adds noise of its own to each unit of queries; none adds to the mean.

    Attributes:
        law: of the noise of a word.
        queries: how many.
        seed: of the noise.
        copies: queries come in units of 1 to this many.
        worth: what the word GOOD adds to the mean.
    """

    law: Law
    queries: int
    seed: int
    copies: int = 1
    worth: float = 0.0
    units: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        sizes = np.random.default_rng([self.seed, 0]).integers(1, self.copies + 1, self.queries)
        self.units = np.repeat(np.arange(self.queries), sizes)[: self.queries]

    @property
    def texts(self) -> dict[str, str]:
        """Queries of a unit have one text."""
        return {str(at): f"text {unit}" for at, unit in enumerate(self.units.tolist())}

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Draws:
        """Return scores."""
        places = self.units[[int(query) for query in query_ids]]
        return np.array([self._means(prompt)[places] for prompt in prompts])

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """One evaluation a query."""
        return Cost(evaluations=len(query_ids))

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return none."""
        return []

    def _means(self, prompt: Prompt) -> Draws:
        words = SPACE.around(prompt, Role.QUERY).before.split()
        noise = [
            self.law(np.random.default_rng([self.seed, zlib.crc32(word.encode())]), self.queries)
            for word in words
        ]
        added = np.sum([np.zeros(self.queries), *noise], axis=0) + self.worth * (GOOD in words)
        return np.asarray(0.5 + np.clip(added, -1, 1))


class Climber:
    """Adds words to the best that it was told of, and tries new ones: what leaks, it finds."""

    name = "climber"

    def __init__(self, context: ProposerContext, rounds: int) -> None:
        self._rng = np.random.default_rng(context.seed)
        self._rounds, self._told = rounds, list[Scored]()

    def ask(self, n: int) -> list[Proposal]:
        """Propose n prompts, half of them children of the best."""
        if not self._rounds:
            return []
        self._rounds -= 1
        best = max(self._told, key=lambda result: result.mean, default=None)
        stem = SPACE.around(best.proposal.prompt, Role.QUERY).before if best else ""
        words = [f"w{self._rng.integers(10**9)} " for _ in range(n)]
        wordings = [stem + word if at % 2 else word for at, word in enumerate(words)]
        prompts = [
            SPACE.reworded(SPACE.default, {Role.QUERY: Around(each, "")}) for each in wordings
        ]
        return [Proposal(prompt, self.name, "words") for prompt in prompts]

    def tell(self, results: Sequence[Scored]) -> None:
        """Remember what was scored to the end."""
        self._told += [result for result in results if result.finished]


def tune_noise(objective: Noise, rounds: int = 2, batch: int = 8) -> TuningOutcome:
    """Run the whole search with the climber; of worth, the good word is a first prompt."""
    first = [Proposal(SPACE.default, "pool", "default")]
    if objective.worth:
        good = SPACE.reworded(SPACE.default, {Role.QUERY: Around(f"{GOOD} ", "")})
        first.append(Proposal(good, "pool", GOOD))
    task = TuningTask(
        objective,
        {str(at): frozenset([f"d{unit}"]) for at, unit in enumerate(objective.units.tolist())},
        SPACE,
        tuple(first),
        {"climber": partial(Climber, rounds=rounds)},
        Rules(seed=objective.seed, batch=batch),
        texts=objective.texts,
    )
    return tune(task, Budget(), Journal(None, {}))
