"""Layers, the final norm and what is averaged, on every shape, beside transformers' own states."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from embedder.encoders.llm import LLMEncoder
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt
from embedder.prompts.method_rules import FilterRules
from embedder.prompts.readout_rules import ReadoutRules
from embedder.types import Role
from tests.models import LINES, save_llama
from tests.shapes import DEPTH, SHAPES, save_shape

TEXTS = [LINES[0], "magma", LINES[4]]
TOPS = {"gpt2": "transformer.ln_f", "gpt-neox": "gpt_neox.final_layer_norm"}
TOPS |= {"opt": "model.decoder.final_layer_norm", "opt-post": "model.decoder.project_out"}


def states(folder: Path, **rules: object) -> tuple[NDArray[np.float32], LLMEncoder]:
    backbone, options = load_backbone(folder, LLMOptions(dtype="float32"))
    reading = replace(ReadoutRules(sparse=None), **rules)  # type: ignore[arg-type]
    prompt = replace(load_prompt("prompteol"), reading=reading, text_rules="")
    encoder = LLMEncoder(backbone, prompt, options)
    return encoder.states(TEXTS, Role.QUERY), encoder


def plain(encoder: LLMEncoder, text: str, layer: int) -> torch.Tensor:
    ids = torch.tensor([encoder.fed(text, Role.QUERY).wordings[0].ids])
    with torch.no_grad():
        out = encoder.backbone.model(ids, output_hidden_states=True)
    return out.hidden_states[layer][0, -1]  # type: ignore[no-any-return]


def near(got: NDArray[np.float32], want: torch.Tensor) -> None:
    assert np.abs(got - want.numpy()).max() <= 1e-5 * float(want.abs().max())


@pytest.mark.parametrize("shape", SHAPES)
def test_the_final_norm_is_found_and_may_be_put_on_or_left_off(tmp_path: Path, shape: str) -> None:
    folder = save_shape(shape, tmp_path)
    top, _ = states(folder)
    without, encoder = states(folder, norm="never")
    inner, _ = states(folder, layer=3, norm="always")
    norm: nn.Module = encoder.backbone.model.get_submodule(TOPS.get(shape, "model.norm"))
    with torch.no_grad():
        for row, text in enumerate(TEXTS):
            near(top[row], plain(encoder, text, -1))
            near(norm(torch.from_numpy(without[row])).numpy(), plain(encoder, text, -1))
            near(inner[row], norm(plain(encoder, text, 3)))


@pytest.mark.parametrize("layer", [DEPTH, 0.5, 0.84, 1.0, 0, -3])
def test_depth_is_a_number_or_a_share(tmp_path: Path, layer: int | float) -> None:
    got, encoder = states(save_shape("llama", tmp_path), layer=layer)
    block = {0.5: 3, 0.84: 5, 1.0: DEPTH}.get(layer, int(layer))
    for row, text in enumerate(TEXTS):
        near(got[row], plain(encoder, text, block))


def test_several_wordings_are_averaged_raw_or_as_unit_rows(tmp_path: Path) -> None:
    folder = save_llama(tmp_path)
    backbone, options = load_backbone(folder, LLMOptions())
    prompt = load_prompt("ck")
    apart = LLMEncoder(backbone, prompt, options).states_each(TEXTS, Role.QUERY)
    assert apart.shape == (2, len(TEXTS), 32)
    lengths = np.linalg.norm(apart, axis=2, keepdims=True)
    for unit, rows in ((False, apart), (True, apart / lengths)):
        rules = replace(prompt, reading=replace(prompt.reading, unit=unit))
        got = LLMEncoder(backbone, rules, options).encode(TEXTS, Role.QUERY).dense
        mean = rows.mean(axis=0)
        assert got is not None
        assert np.abs(got - mean / np.linalg.norm(mean, axis=1, keepdims=True)).max() < 1e-6


def test_a_spectral_filter_needs_states_as_wide_as_the_head(tmp_path: Path) -> None:
    backbone, options = load_backbone(save_shape("opt-post", tmp_path), LLMOptions())
    prompt = load_prompt("prompteol-filter")
    inner = replace(prompt, reading=replace(prompt.reading, layer=2))
    with pytest.raises(ValueError, match="head of width 24, and the states read have 32"):
        LLMEncoder(backbone, inner, options).states(TEXTS, Role.QUERY)


def test_a_spectral_filter_makes_rows_smaller(tmp_path: Path) -> None:
    folder = save_llama(tmp_path)
    backbone, options = load_backbone(folder, LLMOptions())
    prompt = load_prompt("prompteol-filter")
    assert prompt.filter is not None
    encoder = LLMEncoder(backbone, prompt, options)
    whole = LLMEncoder(backbone, replace(prompt, filter=None), options)
    start, end = prompt.filter.span(32)
    head = backbone.model.get_output_embeddings().weight.detach().double().numpy()
    kept = np.linalg.svd(head, full_matrices=False)[2][start:end].T
    want = np.abs(whole.states(TEXTS, Role.QUERY) @ kept)  # the sign of a direction is free
    got = encoder.states(TEXTS, Role.QUERY)
    assert encoder.width == end - start == got.shape[1]
    assert np.abs(np.abs(got) - want).max() <= 1e-4 * want.max()


def test_a_spectral_filter_that_asks_for_too_much_is_refused_before_a_text_is_read(
    tmp_path: Path,
) -> None:
    """An index folder was begun, and the filter refused at the first row."""
    backbone, options = load_backbone(save_llama(tmp_path), LLMOptions(dtype="float32"))
    prompt = replace(load_prompt("prompteol-filter"), filter=FilterRules(0.99, 999))
    with pytest.raises(ValueError, match=r"filter\.skip 0\.99 and filter\.dim 999 ask for"):
        LLMEncoder(backbone, prompt, options)
