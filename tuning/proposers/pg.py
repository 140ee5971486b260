"""Learn which token belongs in which slot by policy gradient, from scores alone.

Black-box discrete prompt learning (Diao et al., TMLR 2023): a categorical distribution for each
slot, samples, and the variance-reduced gradient 1/(I-1) sum (r_i - mean r) grad log p(x_i). The
reward of a sample is its mean gain over the default on the same queries, each query's gain in
standard deviations over the batch, so that no query outweighs the others (the z-scores of
RLPrompt, Deng et al., EMNLP 2022). An empty slot is one of the choices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embedder.types import Float64Array
from tuning.proposers.vocabulary import SLOTS, Vocabulary, in_front, influential_words
from tuning.search.space import key_of
from tuning.search.types import Proposal, ProposerContext, Scored

CLUSTERS = 200  # of the vocabulary, whose words are tried for their influence
SAMPLES = 8  # prompts of a step
STEPS = 150  # at most
RATE = 0.3  # of Adam, on logits
ENTROPY = 0.05  # weight of the bonus at the first step; it falls to 0


@dataclass(slots=True)
class Policy:
    """A distribution over fillings.

    Attributes:
        context: what it works with.
        vocabulary: all words.
        name: "pg".
    """

    context: ProposerContext
    vocabulary: Vocabulary
    name: str = "pg"
    _words: tuple[str, ...] = ()
    _logits: Float64Array = field(init=False)
    _moments: list[Float64Array] = field(default_factory=list)
    _samples: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    _default: dict[str, float] = field(default_factory=dict)
    _step: int = 0
    _rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.context.seed, 31])

    def ask(self, n: int) -> list[Proposal]:
        """Draw fillings."""
        if self._step >= STEPS:
            return []
        if not self._words:
            self._words = influential_words(self.context, self.vocabulary, CLUSTERS)
            self._logits = np.zeros((SLOTS, len(self._words) + 1))
            self._moments = [np.zeros_like(self._logits), np.zeros_like(self._logits)]
        self._samples = {}
        proposals = []
        for _ in range(SAMPLES):
            drawn = np.array([self._rng.choice(len(p), p=p) for p in _softmax(self._logits)])
            words = [self._words[at] for at in drawn if at < len(self._words)]
            prompt = in_front(self.context.space, words)
            self._samples[key_of(prompt)] = drawn
            proposals.append(Proposal(prompt, self.name, f"step {self._step + 1}"))
        return proposals

    def tell(self, results: Sequence[Scored]) -> None:
        """Learn from the drawn fillings, dropped early or not."""
        for result in results:
            if result.proposal.prompt == self.context.space.default:
                self._default = dict(result.scores)
        own_results = [
            result for result in results if key_of(result.proposal.prompt) in self._samples
        ]
        if not own_results:
            self._step += bool(self._words)
            return
        rewards = self._rewards(own_results)
        drawn = np.array([self._samples[key_of(result.proposal.prompt)] for result in own_results])
        self._learn(rewards, drawn)

    def _rewards(self, results: Sequence[Scored]) -> Float64Array:
        """Return the mean gain of each, on the queries that all were scored on."""
        shared = [query for query in self._default if all(query in r.scores for r in results)]
        if not shared:
            return np.zeros(len(results))
        base = np.array([self._default[query] for query in shared])
        gains = np.array([[r.scores[query] for query in shared] for r in results]) - base
        spread = gains.std(axis=0)
        scaled = gains / np.maximum(spread, max(float(spread.mean()), 1e-9))
        return np.asarray(scaled.mean(axis=1))

    def _learn(self, rewards: Float64Array, drawn: NDArray[np.int64]) -> None:
        """Take a step of Adam uphill."""
        chances = _softmax(self._logits)
        centred = rewards - rewards.mean()
        scaled = centred / max(float(rewards.std()), 1e-3)
        gradient = np.zeros_like(self._logits)
        for reward, sample in zip(scaled, drawn, strict=True):
            gradient += reward * (np.eye(self._logits.shape[1])[sample] - chances)
        gradient /= max(1, len(drawn) - 1)
        logs = np.log(chances + 1e-12)
        left = 1 - self._step / STEPS
        surprise = -(logs + 1) - (chances * -(logs + 1)).sum(axis=1, keepdims=True)
        gradient += ENTROPY * left * chances * surprise
        self._step += 1
        first, second = self._moments
        first += 0.1 * (gradient - first)
        second += 0.01 * (gradient**2 - second)
        step = first / (1 - 0.9**self._step)
        self._logits += RATE * step / (np.sqrt(second / (1 - 0.99**self._step)) + 1e-8)


def _softmax(logits: Float64Array) -> Float64Array:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances: Float64Array = raised / raised.sum(axis=1, keepdims=True)
    return chances
