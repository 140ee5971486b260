"""What encoders of one backbone share: it is computed for the first of them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from embedder.encoders.llm import LLMEncoder
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt
from embedder.prompts.method_rules import FilterRules
from embedder.types import Role
from tests.models import LINES


def test_a_second_encoder_computes_nothing_of_the_vocabulary_again(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each encoder of a search sorted the whole vocabulary, and made its terms and bases anew."""
    backbone, options = load_backbone(llama, LLMOptions(dtype="float32"))
    prompt = replace(load_prompt("promptreps"), filter=FilterRules(1, 8))
    first = LLMEncoder(backbone, prompt, options)
    expected = first.encode(LINES, Role.QUERY)
    monkeypatch.setattr(
        "embedder.models.backbone.tokenizer_digest", lambda _: pytest.fail("digest computed again")
    )
    second = LLMEncoder(backbone, replace(prompt, name="another"), options)
    assert second.table is first.table
    assert second.reader.spectrum is first.reader.spectrum
    assert second.fingerprint == first.fingerprint
    got = second.encode(LINES, Role.QUERY)
    assert expected.dense is not None and got.dense is not None
    assert (got.dense == expected.dense).all()
    assert first.table is not None
    other = backbone.vocabulary(replace(first.table.rules, top=3))
    assert other is not first.table and other.rules.top == 3


def test_a_trained_head_gets_a_basis_of_its_own(llama: Path) -> None:
    backbone, options = load_backbone(llama, LLMOptions(dtype="float32"))
    prompt = replace(load_prompt("promptreps"), filter=FilterRules(1, 8))
    before = LLMEncoder(backbone, prompt, options).reader.spectrum
    with torch.no_grad():
        backbone.model.get_output_embeddings().weight[:, 0] *= 3.0
    after = LLMEncoder(backbone, prompt, options).reader.spectrum
    assert not torch.equal(before, after)
