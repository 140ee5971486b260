"""Which positions are read, and what becomes of their states: by hand."""

import numpy as np
import pytest
import torch

from embedder.inputs.tokenized import TokenizedText
from embedder.models.pooling import KeepStates, TokenPooling, find_pooling, read_positions
from embedder.prompts.readout_rules import ReadoutRules


def reading(span: str, pool: str) -> ReadoutRules:
    return ReadoutRules(span=span, pool=pool, sparse=None)  # type: ignore[arg-type]


ROW = TokenizedText(list(range(10)), text_spans=[[range(2, 4)], [range(5, 7), range(8, 9)]])


@pytest.mark.parametrize(
    ("span", "pool", "want"),
    [
        ("prompt", "last", [9]),
        ("prompt", "mean", list(range(10))),
        ("text", "last", [3]),
        ("text", "mean", [2, 3]),
        ("text", "max", [1, 2]),  # the answer about a token stands one before it
        ("copy", "last", [8]),
        ("copy", "mean", [5, 6, 8]),
    ],
)
def test_positions(span: str, pool: str, want: list[int]) -> None:
    assert read_positions(ROW, reading(span, pool)).tolist() == want


def test_an_empty_span_is_read_at_the_last_token() -> None:
    empty = TokenizedText([1, 2, 3], text_spans=[[range(1, 1)]])
    assert read_positions(empty, reading("text", "mean")).tolist() == [2]


def test_an_empty_copy_is_read_as_the_program_of_echo_reads_it() -> None:
    """Its mean over no token was the prompt's last state here; there it is zeros."""
    empty = TokenizedText([1, 2, 3, 4], text_spans=[[range(1, 1)], [range(3, 3)]])
    assert read_positions(empty, reading("copy", "mean")).tolist() == []
    assert read_positions(empty, reading("copy", "last")).tolist() == [0]
    full = TokenizedText([1, 2, 3, 4], text_spans=[[range(1, 2)], [range(2, 4)]])
    states = torch.arange(24.0).reshape(2, 4, 3)
    for rows, want in (
        ([empty, full], [torch.zeros(3), states[1, 2:].mean(0)]),  # as many positions as rows
        ([full, empty], [states[0, 2:].mean(0), torch.zeros(3)]),
    ):
        got = find_pooling(rows, reading("copy", "mean")).mean_pool(states, 0)
        assert torch.equal(got, torch.stack(want))


def test_means_and_peaks() -> None:
    states = torch.arange(24.0).reshape(2, 4, 3)
    chosen = TokenPooling(np.array([0, 0, 1]), np.array([11, 12, 13]))
    got = chosen.mean_pool(states, seen=10)
    assert torch.equal(got, torch.stack([(states[0, 1] + states[0, 2]) / 2, states[1, 3]]))
    logits = torch.tensor([[[0.0, -1.0], [1.0, -2.0], [3.0, -3.0], [9.0, 9.0]]])
    peak = TokenPooling(np.array([0, 0]), np.array([1, 2])).max_pool_logits(logits, seen=0)
    assert torch.allclose(peak, torch.log1p(torch.tensor([[3.0, 0.0]])))


def test_one_position_each_is_the_state_itself() -> None:
    states = torch.randn(2, 3, 4, dtype=torch.bfloat16)
    got = find_pooling(
        [TokenizedText([1, 2]), TokenizedText([1, 2, 3])], reading("prompt", "last")
    ).mean_pool(states, 0)
    assert torch.equal(got, torch.stack([states[0, 1], states[1, 2]]))


def test_positions_of_the_shared_prefix_are_refused() -> None:
    chosen = TokenPooling(np.array([0]), np.array([4]))
    with pytest.raises(ValueError, match="shared prefix cannot be read"):
        chosen.mean_pool(torch.zeros(1, 3, 2), seen=5)


def test_held_states_are_a_copy() -> None:
    states = torch.zeros(1, 2, 3)
    held = KeepStates()
    held.mean_pool(states, 7)
    states += 1
    assert held.states is not None and held.seen == 7 and not held.states.any()
