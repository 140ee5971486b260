"""Generated answers become rows: means, maxima and words, by hand."""

from pathlib import Path

import pytest
import torch

from embedder.models.backbone import Backbone
from embedder.models.greedy import STOP, GreedyAnswer, greedy_answers, pool_answers
from embedder.models.loading import LLMOptions, load_backbone
from embedder.models.request import ReadRequest
from embedder.prompts.readout_rules import Mode

SAID = GreedyAnswer(
    tokens=("big", "gest", " city"),
    hidden=torch.tensor([[2.0, 0.0], [0.0, 4.0], [6.0, 8.0]]),
    logits=torch.tensor([[1.0, 5.0], [3.0, 2.0], [0.0, 7.0]]),
    stopped=True,
)


@pytest.mark.parametrize(
    ("mode", "last", "hidden", "logits"),
    [
        ("multi-token-single", 0, [[8 / 3, 4.0]], [[3.0, 7.0]]),
        ("multi-token-single", 2, [[3.0, 6.0]], [[3.0, 7.0]]),
        ("multi-token-single", 1, [[6.0, 8.0]], [[0.0, 7.0]]),
        ("multi-token-multi", 0, SAID.hidden.tolist(), SAID.logits.tolist()),
        ("multi-token-multi", 9, SAID.hidden.tolist(), SAID.logits.tolist()),
        ("first-word-single", 0, [[3.5, 5.0]], [[3.0, 7.0]]),
        ("multi-word-multi", 0, [[0.5, 0.5], [0.6, 0.8]], [[3.0, 5.0], [0.0, 7.0]]),
    ],
)
def test_pooling(
    mode: Mode, last: int, hidden: list[list[float]], logits: list[list[float]]
) -> None:
    states, scores = pool_answers(SAID, mode, last)
    assert torch.allclose(states, torch.tensor(hidden))
    assert torch.allclose(scores, torch.tensor(logits))


def read_to_the_limit(
    backbone: Backbone, rows: list[list[int]], limit: int
) -> list[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Run all passes of a batch, and cut each row at its first quote afterwards."""
    step = backbone.read((), rows, ReadRequest(), keep_cache=True)
    steps = [step]
    for _ in range(limit - 1):
        assert step.logits is not None
        chosen = step.logits.argmax(dim=1)[:, None].tolist()
        step = backbone.extend(step, chosen, ReadRequest())
        steps.append(step)
    cut = []
    for row in range(len(rows)):
        ids = [int(step.logits[row].argmax()) for step in steps if step.logits is not None]
        quotes = [at for at, token in enumerate(ids) if STOP in backbone.tokenizer.decode([token])]
        end = quotes[0] if quotes else limit
        kept = steps[: max(end, 1)]
        hidden = torch.stack([step.hidden[row] for step in kept if step.hidden is not None])
        logits = torch.stack([step.logits[row] for step in kept if step.logits is not None])
        cut.append((ids[:end], hidden, logits))
    return cut


@pytest.mark.parametrize("closing", [None, 1, 3])
def test_reading_stops_when_every_answer_is_closed(llama: Path, closing: int | None) -> None:
    """All passes were run, even where every text had closed its quote after one word."""
    backbone, _ = load_backbone(llama, LLMOptions(dtype="float32"))
    (quote,) = backbone.tokenizer.convert_tokens_to_ids(['"'])
    passes: list[int] = []

    def close(_: object, __: object, logits: torch.Tensor) -> torch.Tensor:
        """Make rows say a quote in pass `closing`, and the first of two already before it."""
        passes.append(1)
        closes = closing is not None and len(passes) >= closing
        logits = logits.index_fill(-1, torch.tensor([quote]), 1e4 if closes else -1e4)
        if closing is not None and len(passes) == closing - 1:
            logits[0, :, quote] = 1e4
        return logits

    backbone.model.get_output_embeddings().register_forward_hook(close)
    rows = [[5, 6, 7], [8, 9, 10]]
    expected = read_to_the_limit(backbone, rows, 5)
    assert len(passes) == 5
    passes.clear()
    answers = greedy_answers(backbone, (), rows, 5)
    assert len(passes) == (closing or 5)
    for answer, (ids, hidden, logits) in zip(answers, expected, strict=True):
        assert list(answer.ids) == ids and answer.stopped == (closing is not None)
        assert torch.equal(answer.hidden, hidden) and torch.equal(answer.logits, logits)
        assert answer.logits.untyped_storage().nbytes() == logits.numel() * logits.element_size()
    assert [len(answer.hidden) for answer in answers] == {None: [5, 5], 1: [1, 1], 3: [1, 2]}[
        closing
    ]
