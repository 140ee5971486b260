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
    """What the model said about one text.

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
    position, so that no text is left without an answer.
    """
    wanted = ReadRequest()
    step = backbone.read(prefix, rows, wanted, keep_cache=True)
    hidden, logits, chosen = [], [], []
    for position in range(limit):
        if step.hidden is None or step.logits is None:
            raise AssertionError("a pass that was asked for states and logits gave none")
        hidden.append(step.hidden)
        logits.append(step.logits)
        chosen.append(step.logits.argmax(dim=1))
        if position + 1 < limit:
            step = backbone.extend(step, chosen[-1][:, None].tolist(), wanted)
    tokens = torch.stack(chosen, dim=1).tolist()  # (n, limit)
    return [
        _cut(backbone, ids, torch.stack(hidden, dim=1)[row], torch.stack(logits, dim=1)[row])
        for row, ids in enumerate(tokens)
    ]


def pool_answers(said: GreedyAnswer, mode: Mode, last: int = 0) -> tuple[Tensor, Tensor]:
    """Turn one text's tokens into rows; `last` keeps only so many at the end, 0 keeps all.

    Returns:
        hidden (r, dim) and logits (r, vocab); r is 1 for the single modes.
    """
    hidden, logits = said.hidden[-last:].float(), said.logits[-last:].float()
    if mode == "multi-word-multi":  # the paper's code: unit states are averaged inside a word
        hidden = torch.nn.functional.normalize(hidden)
    if mode in ("first-word-single", "multi-word-multi") and said.stopped:
        groups = _words(said.tokens[-last:])
        hidden = torch.stack([hidden[group].mean(dim=0) for group in groups])
        logits = torch.stack([logits[group].amax(dim=0) for group in groups])
    if mode in ("first-word-single", "multi-token-single"):
        return hidden.mean(dim=0, keepdim=True), logits.amax(dim=0, keepdim=True)
    return hidden, logits


def _cut(backbone: Backbone, ids: list[int], hidden: Tensor, logits: Tensor) -> GreedyAnswer:
    tokens = [backbone.tokenizer.decode([i]) for i in ids]
    end = next((at for at, token in enumerate(tokens) if STOP in token), len(tokens))
    kept = max(end, 1)  # an empty answer falls back to the first position
    stopped = end < len(tokens)
    return GreedyAnswer(
        tuple(tokens[:end]), hidden[:kept], logits[:kept], stopped, tuple(ids[:end])
    )


def _words(tokens: tuple[str, ...]) -> list[list[int]]:
    """Group token positions into words; a token that begins with a space begins a word."""
    groups: list[list[int]] = [[0]]
    for position, token in enumerate(tokens[1:], start=1):
        if token.startswith(" "):
            groups.append([])
        groups[-1].append(position)
    return groups
