"""Generated answers become rows: means, maxima and words, by hand."""

import pytest
import torch

from embedder.models.greedy import GreedyAnswer, pool_answers
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
