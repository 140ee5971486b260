"""An objective that is arithmetic: each word has a worth, each query some noise of its own."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template
from embedder.types import Role
from tuning.search.budget import Cost
from tuning.search.space import Space
from tuning.search.types import Failure, MakeProposer, Proposal, Rules, Scores, TuningTask

SPACE = Space(
    Prompt(
        "plain",
        (PromptVariant("", (Template("ask {text} :"),), (Template("{text}"),)),),
        ReadoutRules(),
    ),
    most_words=12,
)


def noise(*facts: object) -> float:
    """Return a number in 0..1 that hangs on nothing but the facts."""
    data = hashlib.sha256(repr(facts).encode()).digest()
    return int.from_bytes(data[:8], "big") / 2**64


@dataclass
class Arithmetic:
    """Scores of prompts, without any model.

    Attributes:
        worth: word -> what it adds to the mean.
        spread: of the noise of a prompt on a query.
        queries: how many.
        seed: of the noise.
        sleep: seconds that a call takes.
        asked: query ids of every call, with the prompt's hash.
    """

    worth: dict[str, float] = field(default_factory=dict)
    spread: float = 0.3
    queries: int = 160
    seed: int = 0
    sleep: float = 0.0
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    @property
    def relevant(self) -> dict[str, frozenset[str]]:
        """Each query has a document of its own."""
        return {f"q{at}": frozenset([f"d{at}"]) for at in range(self.queries)}

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return scores."""
        time.sleep(self.sleep)
        self.asked += [(prompt.hash, tuple(query_ids)) for prompt in prompts]
        return np.array([[self._score(prompt, one) for one in query_ids] for prompt in prompts])

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Five tokens a query, and one for each word."""
        words = SPACE.words(prompt)
        return Cost(tokens=(5 + words) * len(query_ids), evaluations=len(query_ids))

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return none."""
        return []

    def _score(self, prompt: Prompt, query: str) -> float:
        around = SPACE.around(prompt, Role.QUERY)
        words = set(f"{around.before} {around.after}".split())
        gain = sum(self.worth.get(word, 0.0) for word in words)
        base = 0.3 + 0.4 * noise(self.seed, query)
        return float(
            np.clip(base + gain + self.spread * (noise(self.seed, prompt.hash, query) - 0.5), 0, 1)
        )


def task(objective: Arithmetic, makers: Mapping[str, MakeProposer], seed: int = 0) -> TuningTask:
    """Return a task whose pool is the default alone."""
    pool = (Proposal(SPACE.default, "pool", "default"),)
    return TuningTask(objective, objective.relevant, SPACE, pool, makers, Rules(seed=seed))
