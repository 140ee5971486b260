"""Choose words by gradient: a backward pass says which word at a place would lower the loss.

After GReaTer (Das et al., ICLR 2025), with InfoNCE over fixed document vectors in place of a
task loss. Candidates are the words of the vocabulary rather than what the model itself would say
there, and a word is kept only if the true score is better, where the reference always moves on.
Candidates are one token each behind a space. Prompts are deployed and scored as text, so where a
tokenizer cuts the first word otherwise the gradient is a guess and the score is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.proposers.gradients import GradientModel, batches
from tuning.proposers.vocabulary import Vocabulary, in_front
from tuning.search.budget import Cost
from tuning.search.space import key_of
from tuning.search.types import Proposal, ProposerContext, Scored

if TYPE_CHECKING:
    from torch import Tensor

QUERIES = 48  # of a gradient
PICKS = 4  # words that are scored at a place
MOST_WORDS = 6  # in front of the prompt


@dataclass(slots=True)
class Gradient:
    """Words in front of the prompt, changed place by place.

    Attributes:
        context: what it works with.
        gradients: gives gradients.
        vocabulary: words to choose from.
        name: "grad".
    """

    context: ProposerContext
    gradients: GradientModel
    vocabulary: Vocabulary
    name: str = "grad"
    _words: tuple[str, ...] = ()
    _best: float = -1.0
    _fillings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _place: int = 0
    _idle: int = 0

    def ask(self, n: int) -> list[Proposal]:
        """Propose the most promising words at the next place."""
        if self._idle > len(self._words) + 1:
            return []
        place = self._place if self._place <= len(self._words) else 0
        if place == len(self._words) and len(self._words) >= MOST_WORDS:
            place = 0
        self._place = place + 1
        self._idle += 1
        dropped = (
            [self._words[:place] + self._words[place + 1 :]] if place < len(self._words) else []
        )
        replaced = [
            (*self._words[:place], word, *self._words[place + 1 :]) for word in self._picked(place)
        ]
        proposals = []
        for words in (*replaced, *dropped):
            prompt = in_front(self.context.space, words)
            self._fillings[key_of(prompt)] = words
            method = f"word {place + 1} by gradient"
            proposals.append(Proposal(prompt, self.name, method))
        return proposals

    def tell(self, results: Sequence[Scored]) -> None:
        """Keep what is better."""
        for result in results:
            words = self._fillings.get(key_of(result.proposal.prompt))
            if result.proposal.prompt == self.context.space.default:
                words = ()
            if words is not None and result.finished and result.mean > self._best:
                self._best, self._words, self._idle = result.mean, words, 0

    def _picked(self, place: int) -> list[str]:
        """Return the words of the steepest descent at a place; one more place grows the prompt."""
        rng = np.random.default_rng([self.context.seed, 51, len(self._fillings)])
        queries = batches(self.context.search, QUERIES, rng)[0]
        cost = Cost(tokens=self.gradients.tokens(queries, len(self._words) + 1))
        key = [place, list(self._words), queries]
        words: list[str] = self.context.once(
            "gradient", key, cost, lambda: self._steepest(place, queries)
        )
        return words

    def _steepest(self, place: int, queries: Sequence[str]) -> list[str]:
        import torch

        rows = torch.from_numpy(self.vocabulary.rows)
        positions = [self.vocabulary.words.index(word) for word in self._words]
        embedded = rows[positions]
        neutral = rows.mean(0, keepdim=True)
        if place == len(positions):
            embedded = torch.cat([embedded, neutral])
        gradient = self._gradient(embedded, queries)[place]
        promise = (rows - embedded[place]) @ gradient  # first-order change of the loss
        order: Any = torch.argsort(promise, stable=True).tolist()
        picked = [self.vocabulary.words[at] for at in order if at not in positions]
        return picked[:PICKS]

    def _gradient(self, embedded: "Tensor", queries: Sequence[str]) -> "Tensor":
        """Return (words, dim) gradients of the loss with respect to input embeddings."""
        import torch

        soft = embedded.clone().requires_grad_(True)
        loss = self.gradients.loss(queries, self.gradients.vectors(queries, soft))
        (gradient,) = torch.autograd.grad(loss, soft)
        return gradient
