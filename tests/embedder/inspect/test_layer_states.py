"""States behind every block in one pass: those that the prompt reads at that block, exactly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedder.inspect.layer_states import LayerReader
from embedder.inspect.preview_words import words_of
from embedder.prompts.files import load_prompt
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import Norm
from embedder.types import Role
from tests.models import load_llm

TEXT = "Volcanoes erupt when magma rises."


@pytest.mark.parametrize("name", ["prompteol", "promptreps", "prompteol-tp", "prompteol-cp"])
@pytest.mark.parametrize("norm", ["top", "always", "never"])
def test_rows_are_those_of_a_prompt_that_reads_there(llama: Path, name: str, norm: Norm) -> None:
    prompt = load_prompt(name)

    def at(layer: int) -> Prompt:
        reading = replace(prompt.reading, layer=layer, norm=norm, sparse=None)
        return replace(prompt, reading=reading)

    reader = LayerReader(load_llm(llama, at(-1)))
    rows = reader.rows(TEXT, Role.QUERY, norm)
    assert rows.shape == (reader.blocks + 1, 32)
    for depth in range(1, reader.blocks + 1):
        wanted = load_llm(llama, at(depth)).encode([TEXT], Role.QUERY).dense
        assert wanted is not None and np.allclose(rows[depth], wanted[0], atol=1e-6)


def test_the_top_says_what_the_model_says(llama: Path) -> None:
    encoder = load_llm(llama, load_prompt("prompteol"))
    said = LayerReader(encoder).say(TEXT, Role.DOCUMENT, 5)
    assert [one.depth for one in said] == [0, 1, 2, 3]
    assert said[-1].cosine == pytest.approx(1) and abs(said[0].cosine) < 1
    wanted = words_of(encoder, TEXT, Role.DOCUMENT, 5)
    assert [word for word, _ in said[-1].words] == [word for word, _ in wanted]
    assert [share for _, share in said[-1].words] == pytest.approx([n for _, n in wanted], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mean", "not read where it ends"),
        ("smollm2", "several wordings"),
        ("scsp", "not read where it ends"),
    ],
)
def test_what_has_no_state_of_one_pass_is_refused(llama: Path, name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        LayerReader(load_llm(llama, load_prompt(name)))
