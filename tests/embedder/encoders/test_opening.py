"""Opening an encoder: the writer of GenEOL comes with it where the prompt wants one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import load_encoder
from embedder.encoders.rewriting import RewritingEncoder
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt
from embedder.prompts.method_rules import RewritingRules
from embedder.types import Role
from tests.models import LINES, load_llm, save_llama


def test_a_prompt_that_rewrites_gets_a_writer(tmp_path: Path) -> None:
    folder = save_llama(tmp_path)
    prompt = replace(load_prompt("geneol"), rewrite=RewritingRules(per_instruction=1, shots=0))
    encoder = load_encoder(folder, prompt)
    assert isinstance(encoder, RewritingEncoder)
    (text,) = LINES[:1]
    got = encoder.encode([text], Role.QUERY).dense
    plain = load_llm(folder, replace(prompt, rewrite=None))
    texts = [text, *encoder.rewrite([text])[text]]
    assert len(texts) > 1
    mean = plain.states(texts, Role.QUERY).mean(axis=0)
    assert got is not None and np.abs(got[0] - mean / np.linalg.norm(mean)).max() < 1e-5
    assert encoder.fingerprint != plain.fingerprint


def test_another_prompt_opens_as_it_loads(tmp_path: Path) -> None:
    folder = save_llama(tmp_path)
    opened = load_encoder(folder, load_prompt("prompteol"))
    assert opened.fingerprint == load_llm(folder, load_prompt("prompteol")).fingerprint


def test_without_its_writer_it_is_refused(tmp_path: Path) -> None:
    backbone, options = load_backbone(save_llama(tmp_path), LLMOptions())
    with pytest.raises(ValueError, match="averages over rewritings"):
        LLMEncoder(backbone, load_prompt("geneol"), options)
