"""Read several answers per text: greedy generation up to a closing quote, and how to pool it.

The alternative representations of PromptReps (Zhuang et al., EMNLP 2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from embedder.models.backbone import Backbone
from embedder.models.request import ReadRequest
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
    ids: list[list[int]] = [[] for _ in rows]
    tokens: list[list[str]] = [[] for _ in rows]
    outputs: list[list[tuple[Tensor, Tensor]]] = [[] for _ in rows]  # states and logits
    stopped = [False] * len(rows)
    step = backbone.read(prefix, rows, request, keep_cache=True)
    for position in range(limit):
        assert step.hidden is not None and step.logits is not None  # the request has both
        chosen = step.logits.argmax(dim=1).tolist()
        active = [row for row in range(len(rows)) if not stopped[row]]
        for row in list(active):
            token = backbone.tokenizer.decode([chosen[row]])
            stopped[row] = STOP in token
            if not stopped[row]:
                tokens[row].append(token)
                ids[row].append(chosen[row])
            elif outputs[row]:
                active.remove(row)
        # Copies, so that the batch's own logits, of the whole vocabulary, can be freed.
        hiddens, scores = step.hidden[active], step.logits[active]
        for row, hidden, logits in zip(active, hiddens, scores, strict=True):
            outputs[row].append((hidden, logits))
        if position + 1 == limit or all(stopped):
            break
        step = backbone.extend(step, [[token] for token in chosen], request)
    answers = []
    for row, pairs in enumerate(outputs):
        hidden, logits = (torch.stack(parts) for parts in zip(*pairs, strict=True))
        text = tuple(tokens[row])
        answers.append(GreedyAnswer(text, hidden, logits, stopped[row], tuple(ids[row])))
    return answers


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
