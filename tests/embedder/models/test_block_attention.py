"""Attention in blocks is attention: against PyTorch's own in float64, and inside a model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import scaled_dot_product_attention

from embedder.encoders.llm import LLMEncoder
from embedder.models.block_attention import BLOCK, NAME, attend_in_blocks, block_mask
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt
from embedder.types import Role
from tests.models import LINES

HALF = LLMOptions(dtype="bfloat16", device="cpu")


def causal(length: int, seen: int, window: int = 0) -> torch.Tensor:
    mask = torch.ones(length, seen, dtype=torch.bool).tril(seen - length)
    if window:
        mask &= ~torch.ones(length, seen, dtype=torch.bool).tril(seen - length - window)
    return mask[None, None]


def padded(lengths: list[int]) -> torch.Tensor:
    longest = max(lengths)
    keys = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return keys[:, None, None].expand(-1, 1, longest, -1)


MASKS = {
    "one block": causal(5, 5),
    "after a prefix": causal(BLOCK + 3, BLOCK + 20),
    "three blocks": causal(2 * BLOCK + 1, 2 * BLOCK + 1),
    "a window": causal(2 * BLOCK, 2 * BLOCK + 9, window=11),
    "both ways, padded": padded([7, BLOCK + 30, 1]),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("heads", [(4, 4), (6, 2), (3, 1)])
@pytest.mark.parametrize("additive", [False, True])
def test_equals_fused_attention(name: str, heads: tuple[int, int], additive: bool) -> None:
    mask = MASKS[name]
    rng = torch.Generator().manual_seed(0)
    length, seen = mask.shape[2:]
    query = torch.randn(3, heads[0], length, 8, generator=rng)
    key = torch.randn(3, heads[1], seen, 8, generator=rng)
    value = torch.randn(3, heads[1], seen, 6, generator=rng)
    groups = heads[0] // heads[1]
    keys, values = (part.double().repeat_interleave(groups, dim=1) for part in (key, value))
    expected = scaled_dot_product_attention(query.double(), keys, values, mask, scale=0.3)
    if additive:
        mask = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    got = attend_in_blocks(query, key, value, block_mask(mask), 0.3)
    assert torch.allclose(got.transpose(1, 2).double(), expected, atol=1e-6)


def test_rows_are_cut_where_scores_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = (torch.randn(5, heads, 70, 8) for heads in (4, 2, 2))
    mask = block_mask(padded([70, 3, 9, 1, 64]))
    whole = attend_in_blocks(query, key, value, mask, 0.3)
    monkeypatch.setattr("embedder.models.block_attention.ROOM", 1)
    assert torch.allclose(attend_in_blocks(query, key, value, mask, 0.3), whole, atol=1e-6)


def test_only_keys_that_are_seen_are_multiplied() -> None:
    blocks = block_mask(causal(2 * BLOCK + 1, 2 * BLOCK + 11)).blocks
    assert [end for _, end in blocks] == [BLOCK + 10, 2 * BLOCK + 10, 2 * BLOCK + 11]


def test_a_token_that_sees_nothing_is_no_nan() -> None:
    mask = causal(3, 3)
    mask[:, :, 0] = False
    states = torch.randn(1, 1, 3, 4)
    assert attend_in_blocks(states, states, states, block_mask(mask), 1.0).isfinite().all()


def test_bfloat16_on_a_processor_attends_in_blocks(llama: Path) -> None:
    """And float32 does not: rows of indexes stay what they are to the last bit."""
    for options, name in ((HALF, NAME), (LLMOptions(dtype="float32", device="cpu"), "sdpa")):
        model = load_backbone(llama, options)[0].model
        assert model.config._attn_implementation == name


@pytest.mark.parametrize("prompt", ["promptreps", "prompteol-tp", "mean"])
def test_rows_are_those_of_fused_attention(llama: Path, prompt: str) -> None:
    """Within what bfloat16 costs a random model with large scores, alone and in a batch."""
    texts = [*LINES, " ".join(LINES), "", "a"]
    exact = load_backbone(llama, LLMOptions(dtype="float32", device="cpu"))
    expected = dense(LLMEncoder(exact[0], load_prompt(prompt), exact[1]), texts)
    for name in (NAME, "sdpa"):
        backbone, options = load_backbone(llama, HALF)
        backbone.model.set_attn_implementation(name)
        encoder = LLMEncoder(backbone, load_prompt(prompt), options)
        rows = dense(encoder, texts)
        assert (rows * expected).sum(axis=1).min() > 0.998
        alone = np.concatenate([dense(encoder, [text]) for text in texts])
        assert (rows * alone).sum(axis=1).min() > 0.9995


def dense(encoder: LLMEncoder, texts: list[str]) -> NDArray[np.float32]:
    rows = encoder.encode(texts, Role.DOCUMENT).dense
    assert rows is not None
    return rows


def test_auto_is_bfloat16_where_it_is_multiplied(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_backbone(llama, HALF)[0]
    for stored in (torch.bfloat16, torch.float16, torch.float32):
        folder = tmp_path / str(stored)
        model.model.to(stored).save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        for native in (True, False):
            monkeypatch.setattr(
                "embedder.models.loading.multiplies_bfloat16", lambda has=native: has
            )
            dtype = load_backbone(folder, LLMOptions(device="cpu"))[1].dtype
            half = native and stored != torch.float32
            assert dtype == ("bfloat16" if half else "float32")
