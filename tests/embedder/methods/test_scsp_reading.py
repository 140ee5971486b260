"""SCSP through the encoder: the mean over kept tokens, against a selection made apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from embedder.methods.scsp import select_tokens
from embedder.models.loading import LLMOptions
from embedder.prompts.files import load_prompt
from embedder.types import Role
from tests.models import LINES, load_llm
from tests.shapes import save_shape

TEXTS = [" ".join(LINES[:3]), LINES[0], "", "magma"]


@pytest.mark.parametrize("shape", ["llama", "gemma2", "gpt2"])
@pytest.mark.parametrize("name", ["scsp", "echo-scsp"])
def test_the_mean_is_over_the_kept_tokens(tmp_path: Path, shape: str, name: str) -> None:
    prompt = load_prompt(name)
    assert prompt.select is not None
    encoder = load_llm(save_shape(shape, tmp_path), prompt, LLMOptions(dtype="float32"))
    got = encoder.states(TEXTS, Role.DOCUMENT)
    for row, text in zip(got, TEXTS, strict=True):
        fed = encoder.fed(text, Role.DOCUMENT).wordings[0]
        cache = DynamicCache()
        with torch.inference_mode():
            out = encoder.backbone.model(
                torch.tensor([fed.ids]), past_key_values=cache, output_hidden_states=True
            )
        states = out.hidden_states[prompt.reading.layer][0]
        at = [len(fed.ids) - 1]
        if fed.chunks:
            ask = encoder.backbone.tokenizer(prompt.select.ask, add_special_tokens=False).input_ids
            chunks = [(one.start, one.stop) for one in fed.chunks]
            keep = select_tokens(encoder.backbone.model, cache, chunks, ask, prompt.select)
            slot = fed.text_spans[-1][0]
            at = [i for i in slot if keep[i]]
            assert 0 < len(at) < len(slot) or len(slot) < 4
        want = states[at].mean(0).numpy()
        assert np.abs(row - want).max() <= 1e-5 * np.abs(want).max()
