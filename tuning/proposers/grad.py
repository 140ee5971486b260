"""Choose words by gradient: a backward pass says which word at a place would lower the loss.

After GReaTer (Das et al., ICLR 2025), with InfoNCE over fixed document vectors in place of a
task loss. Half of the candidates are what the model itself would say there, the others may be any
word of the vocabulary; both are ordered by the loss that the gradient promises, and by how
surprised the model would be. A word is kept only if the true score is better, where the reference
always moves on. Words that come out as other tokens when their text is cut again are rejected,
since prompts are deployed as text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from embedder.inputs.tokenized import common_start
from embedder.models.soft_prompt import SoftTokens, soft_logits
from tuning.proposers.baselines import LEAST, learnable, too_few
from tuning.proposers.gradients import GradientModel, batches
from tuning.proposers.vocabulary import LEAD, Vocabulary, in_front
from tuning.search.budget import Cost
from tuning.search.space import key_of
from tuning.search.types import Proposal, ProposerContext, Scored

if TYPE_CHECKING:
    from torch import Tensor

QUERIES = 48  # of a gradient
PICKS = 4  # words that are scored at a place
LIKELY = 200  # words that the model would say at a place
FLUENCY = 0.2  # weight of the model's surprise, in standard deviations (GReaTer: .15-.2)
MOST_WORDS = 6  # in front of the prompt


@dataclass
class Gradient:
    """Words in front of the prompt, changed place by place.

    Attributes:
        context: what it works with.
        gradients: gives gradients.
        vocabulary: words to choose from.
        name: "grad".
        remarks: why nothing was proposed.
    """

    context: ProposerContext
    gradients: GradientModel
    vocabulary: Vocabulary
    name: str = "grad"
    remarks: list[str] = field(default_factory=list)
    _words: tuple[str, ...] = ()
    _best: float = -1.0
    _fillings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _place: int = 0
    _idle: int = 0

    def ask(self, n: int) -> list[Proposal]:
        """Propose the most promising words at the next place."""
        if len(self._answers) < LEAST:
            self.remarks = [f"grad was skipped: {too_few(len(self._answers))}"]
            return []
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
        replaced = [self._with(place, word) for word in self._picked(place)]
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

    @cached_property
    def _answers(self) -> dict[str, frozenset[str]]:
        return learnable(self.context)

    @cached_property
    def _model(self) -> GradientModel:
        return self.gradients.under(self.context.space.default).within(self._answers)

    @cached_property
    def _front(self) -> list[int]:
        """The ids that stand before words in front of the prompt, whatever the query."""
        query = next(iter(self._answers))
        worded = in_front(self.context.space, [self.vocabulary.words[0]])
        models = (self._model, self._model.under(worded))
        return common_start([model.ids([query])[0] for model in models])

    @cached_property
    def _ids(self) -> list[int]:
        """The token of each word of the vocabulary."""
        texts = [f"{LEAD} {word}" for word in self.vocabulary.words]
        cut = self.gradients.encoder.backbone.tokenizer(texts, add_special_tokens=False)
        return [ids[-1] for ids in cut.input_ids]

    def _with(self, place: int, word: str) -> tuple[str, ...]:
        return (*self._words[:place], word, *self._words[place + 1 :])

    def _picked(self, place: int) -> list[str]:
        """Return the words of the steepest descent at a place; one more place grows the prompt."""
        rng = np.random.default_rng([self.context.seed, 51, len(self._fillings)])
        queries = batches(list(self._answers), QUERIES, rng)[0]
        said = len(self._front) + len(self._words)  # what the model goes on from
        tokens = self._model.tokens(queries, len(self._words) + 1) + said
        key = [place, list(self._words), queries]
        words: list[str] = self.context.once(
            "gradient", key, Cost(tokens=tokens), lambda: self._steepest(place, queries)
        )
        return words

    def _steepest(self, place: int, queries: Sequence[str]) -> list[str]:
        import torch

        rows = torch.from_numpy(self.vocabulary.rows)
        positions = [self.vocabulary.words.index(word) for word in self._words]
        embedded = rows[positions]
        if place == len(positions):
            embedded = torch.cat([embedded, rows.mean(0, keepdim=True)])
        gradient = self._gradient(embedded, queries)[place]
        promise = _standard((rows - embedded[place]) @ gradient)  # first-order change of the loss
        surprise = self._surprise(embedded[:place])
        order: Any = torch.argsort(promise + FLUENCY * _standard(surprise), stable=True).tolist()
        likely = set(torch.argsort(surprise, stable=True)[:LIKELY].tolist())
        said = self._first([at for at in order if at in likely], place, PICKS // 2)
        others = self._first([at for at in order if at not in said], place, PICKS - len(said))
        return [self.vocabulary.words[at] for at in (*said, *others)]

    def _first(self, order: Sequence[int], place: int, most: int) -> list[int]:
        """Return the first places of words that are not there yet and stay the same as text."""
        chosen: list[int] = []
        for at in order:
            word = self.vocabulary.words[at]
            if len(chosen) == most:
                break
            if word not in self._words and self._is_stable(self._with(place, word)):
                chosen.append(at)
        return chosen

    def _is_stable(self, words: Sequence[str]) -> bool:
        """Tell whether the text of words is cut into these words again."""
        tokenizer = self.gradients.encoder.backbone.tokenizer
        ids = tokenizer(" ".join(words), add_special_tokens=False).input_ids
        return [tokenizer.decode([at]).strip() for at in ids] == list(words)

    def _surprise(self, before: "Tensor") -> "Tensor":
        """Return (words,): the negative log-probability of each after what stands before it."""
        import torch

        soft = SoftTokens(before, None, [len(self._front)])
        ids = self._front or [self.gradients.encoder.backbone.tokenizer.eos_token_id or 0]
        with torch.no_grad():
            _, logits = soft_logits(self.gradients.encoder.backbone, [ids], soft)
        surprise: Tensor = -logits[0].float().log_softmax(0)[self._ids].cpu()
        return surprise

    def _gradient(self, embedded: "Tensor", queries: Sequence[str]) -> "Tensor":
        """Return (words, dim) gradients of the loss with respect to input embeddings."""
        import torch

        soft = embedded.clone().requires_grad_(True)
        places = [len(self._front)] * len(queries)
        vectors = self._model.vectors(queries, SoftTokens(soft, None, places))
        (gradient,) = torch.autograd.grad(self._model.loss(queries, vectors), soft)
        return gradient.cpu()


def _standard(values: "Tensor") -> "Tensor":
    """Return values with mean 0 and spread 1, of equal ones zeros."""
    spread = values.std(correction=0)
    return (values - values.mean()) / spread.clamp_min(1e-12)
