"""Read several answers per text: greedy generation up to a closing quote, and how to pool it.

The alternative representations of PromptReps (Zhuang et al., EMNLP 2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from embedder.models.backbone import Backbone
from embedder.models.request import ForwardOutput, ReadRequest
from embedder.prompts.readout_rules import Mode

STOP = '"'


@dataclass(frozen=True, slots=True, eq=False)
class GreedyAnswer:
    """The tokens that a model generates after one text.

    Attributes:
        tokens: (t,) strings of the generated tokens before the stop.
        hidden: (t, dim) the state that predicted each token.
        logits: (t, vocab) the logits that predicted it.
        stopped: whether a token with a quote ended it; False where it ran into the limit.
        ids: (t,) the same tokens as ids.
    """

    tokens: tuple[str, ...]
    hidden: Tensor
    logits: Tensor
    stopped: bool
    ids: tuple[int, ...] = ()


def greedy_answers(
    backbone: Backbone, prefix: tuple[int, ...], rows: Sequence[Sequence[int]], limit: int
) -> list[GreedyAnswer]:
    """Generate greedily after every row until a token holds a quote, at most `limit` tokens.

    The stopping token contributes nothing. A text whose first token stops keeps that first
    position, so that no text is left without an answer. Generation ends when every text has
    stopped.
    """
    request = ReadRequest()
    answers = [_OpenAnswer() for _ in rows]
    step = backbone.read(prefix, rows, request, keep_cache=True)
    for position in range(limit):
        if step.hidden is None or step.logits is None:
            raise AssertionError("a pass that was asked for states and logits gave none")
        chosen = step.logits.argmax(dim=1).tolist()
        _extend_answers(answers, backbone, step, chosen)
        if position + 1 == limit or all(answer.stopped for answer in answers):
            break
        step = backbone.extend(step, [[token] for token in chosen], request)
    return [answer.close() for answer in answers]


@dataclass(slots=True)
class _OpenAnswer:
    """A `GreedyAnswer` that tokens are still added to."""

    tokens: list[str] = field(default_factory=list)
    hidden: list[Tensor] = field(default_factory=list)
    logits: list[Tensor] = field(default_factory=list)
    stopped: bool = False
    ids: list[int] = field(default_factory=list)

    def close(self) -> GreedyAnswer:
        """Return the answer."""
        hidden, logits = torch.stack(self.hidden), torch.stack(self.logits)
        return GreedyAnswer(tuple(self.tokens), hidden, logits, self.stopped, tuple(self.ids))


def _extend_answers(
    answers: Sequence[_OpenAnswer], backbone: Backbone, step: ForwardOutput, chosen: Sequence[int]
) -> None:
    """Add a token to every answer that has not stopped; a text's first position is always kept."""
    assert step.hidden is not None and step.logits is not None
    kept: list[int] = []
    for row, (answer, token) in enumerate(zip(answers, chosen, strict=True)):
        if answer.stopped:
            continue
        string = backbone.tokenizer.decode([token])
        answer.stopped = STOP in string
        if not answer.stopped:
            answer.tokens.append(string)
            answer.ids.append(token)
        if not answer.stopped or not answer.hidden:
            kept.append(row)
    # Copies, so that the batch's own logits, of the whole vocabulary, can be freed.
    for row, hidden, logits in zip(kept, step.hidden[kept], step.logits[kept], strict=True):
        answers[row].hidden.append(hidden)
        answers[row].logits.append(logits)


def pool_answers(answer: GreedyAnswer, mode: Mode, last: int = 0) -> tuple[Tensor, Tensor]:
    """Turn one text's tokens into rows; `last` keeps only so many at the end, 0 keeps all.

    Returns:
        hidden (r, dim) and logits (r, vocab); r is 1 for the single modes.
    """
    hidden, logits = answer.hidden[-last:].float(), answer.logits[-last:].float()
    if mode == "multi-word-multi":  # the paper's code: unit states are averaged inside a word
        hidden = torch.nn.functional.normalize(hidden)
    if mode in ("first-word-single", "multi-word-multi") and answer.stopped:
        groups = _words(answer.tokens[-last:])
        hidden = torch.stack([hidden[group].mean(dim=0) for group in groups])
        logits = torch.stack([logits[group].amax(dim=0) for group in groups])
    if mode in ("first-word-single", "multi-token-single"):
        return hidden.mean(dim=0, keepdim=True), logits.amax(dim=0, keepdim=True)
    return hidden, logits


def _words(tokens: tuple[str, ...]) -> list[list[int]]:
    """Group token positions into words; a token that begins with a space begins a word."""
    groups: list[list[int]] = [[0]]
    for position, token in enumerate(tokens[1:], start=1):
        if token.startswith(" "):
            groups.append([])
        groups[-1].append(position)
    return groups
