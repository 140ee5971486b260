"""Several prompts of one model: read together, each gives what it gives alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.shared_prefix import (
    GroupTokens,
    encode_prompts_together,
    group_prompts,
    role_fingerprint,
    shared_head,
)
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt, parse_prompt
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import SparseRules
from embedder.types import Representation, Role
from tests.models import LINES
from tests.shapes import DEPTH, save_shape

TEXTS = [*LINES, "", "magma", "lava flows", "magma", " ".join(LINES)]
SHAPES = ("llama", "mistral", "gemma2", "opt", "gpt2", "gpt-neox")
ENDINGS = {
    "word": '{text}" in one word: "',
    "means": '{text}" means: "',
    "bare": '{text}"',
    "long": '{text}" is about the thing that people call "',
}
LIBRARY = (
    *("promptreps", "prompteol", "prompteol-filter", "mean", "metaeol", "prompteol-tp"),
    *("pretended-cot", "echo", "ck-cp"),
)


def prompt(
    name: str,
    template: str,
    tokens: str = "pieces",
    **rules: Any,  # noqa: ANN401
) -> Prompt:
    escaped = template.replace('"', '\\"')
    side = f'template = "{escaped}"\ntokens = "{tokens}"\n'
    made = parse_prompt(f'name = "{name}"\n[query]\n{side}[document]\n{side}')
    return replace(made, reading=replace(made.reading, **rules))


def load(folder: Path, prompts: list[Prompt]) -> list[LLMEncoder]:
    backbone, options = load_backbone(folder, LLMOptions(dtype="float32", max_text_tokens=60))
    return [LLMEncoder(backbone, one, options) for one in prompts]


def assert_alike(got: Representation, want: Representation) -> None:
    assert np.array_equal(got.owner, want.owner)
    assert (got.dense is None) == (want.dense is None)
    assert (got.sparse is None) == (want.sparse is None)
    if got.dense is not None and want.dense is not None:
        assert np.abs(got.dense - want.dense).max() <= 1e-5
    if got.sparse is not None and want.sparse is not None:
        difference = abs(got.sparse - want.sparse)
        assert difference.max() <= 1e-5 * max(1.0, want.sparse.max())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tokens", ["pieces", "whole"])
def test_prompts_that_begin_alike(tmp_path: Path, shape: str, tokens: str) -> None:
    prompts = [prompt(name, 'Here: "' + end, tokens) for name, end in ENDINGS.items()]
    encoders = load(save_shape(shape, tmp_path), prompts)
    assert [len(group) for group in group_prompts(encoders, Role.QUERY)] == [len(ENDINGS)]
    alone = [one.encode(TEXTS, Role.QUERY) for one in encoders]
    for got, want in zip(encode_prompts_together(encoders, TEXTS, Role.QUERY), alone, strict=True):
        assert_alike(got, want)


def test_prompts_of_different_wants_and_depths(tmp_path: Path) -> None:
    start = 'Here: "'
    prompts = [
        prompt("both", start + ENDINGS["word"], layer=3),
        prompt("dense", start + ENDINGS["means"], layer=3, sparse=None),
        prompt("sparse", start + ENDINGS["bare"], layer=3, dense=False),
        prompt("few", start + ENDINGS["word"], layer=3, sparse=SparseRules(top=2)),
        prompt("top", start + ENDINGS["means"], layer=DEPTH, sparse=None),
        prompt("low", start + ENDINGS["word"], layer=1, sparse=None),
        prompt("low with norm", start + ENDINGS["bare"], layer=1, norm="always", sparse=None),
        prompt("other start", 'There: "' + ENDINGS["means"], layer=3),
    ]
    encoders = load(save_shape("llama", tmp_path), prompts)
    found = [[one.prompt.name for one in group] for group in group_prompts(encoders, Role.DOCUMENT)]
    together = ["both", "dense", "sparse", "few", "top", "low", "low with norm"]
    assert found == [together, ["other start"]]
    alone = [one.encode(TEXTS, Role.DOCUMENT) for one in encoders]
    for got, want in zip(
        encode_prompts_together(encoders, TEXTS, Role.DOCUMENT), alone, strict=True
    ):
        assert_alike(got, want)


def test_one_wording_at_several_depths_is_read_once(tmp_path: Path) -> None:
    """The study once read all of STS-B for each block that PromptEOL was read at."""
    made = prompt("at", 'Here: "' + ENDINGS["word"], sparse=None)
    layers = (0, DEPTH - 2, 1)
    prompts = [replace(made, reading=replace(made.reading, layer=layer)) for layer in layers]
    encoders = load(save_shape("llama", tmp_path), prompts)
    alone = [one.encode(TEXTS, Role.QUERY) for one in encoders]
    fed = [len(encoders[0].fed(text, Role.QUERY).wordings[0].ids) for text in TEXTS]
    prefix = len(encoders[0].reader.frames[Role.QUERY][0].prefix)
    entered = count_entered(encoders[0], 0)
    deepest = count_entered(encoders[0], DEPTH - 1)
    for got, want in zip(encode_prompts_together(encoders, TEXTS, Role.QUERY), alone, strict=True):
        assert_alike(got, want)
    heads = sum(fed) - len(TEXTS) * (prefix + 1)
    assert sum(entered) == heads + len(layers) * len(TEXTS)
    assert not deepest, "no block is run above the highest that is read"


def test_library_prompts_whether_or_not_they_share(tmp_path: Path) -> None:
    prompts = [load_prompt(name) for name in LIBRARY]
    encoders = load(save_shape("llama", tmp_path), prompts)
    alone = [one.encode(TEXTS, Role.QUERY) for one in encoders]
    for got, want in zip(encode_prompts_together(encoders, TEXTS, Role.QUERY), alone, strict=True):
        assert_alike(got, want)


def test_equal_sides_are_read_once(tmp_path: Path) -> None:
    first = prompt("first", 'Here: "' + ENDINGS["word"])
    form = first.forms[0]
    asked = prompt("asked", 'Ask: "' + ENDINGS["word"]).forms[0]
    second = replace(first, name="second", forms=(replace(form, query=asked.query),))
    encoders = load(save_shape("llama", tmp_path), [first, second])
    assert role_fingerprint(encoders[0], Role.DOCUMENT) == role_fingerprint(
        encoders[1], Role.DOCUMENT
    )
    assert role_fingerprint(encoders[0], Role.QUERY) != role_fingerprint(encoders[1], Role.QUERY)
    assert role_fingerprint(encoders[0], Role.QUERY) != role_fingerprint(encoders[0], Role.DOCUMENT)
    rows = encode_prompts_together(encoders, TEXTS, Role.DOCUMENT)
    assert rows[0] is rows[1]
    assert [one.counts["texts"] for one in encoders] == [len(TEXTS), 0]


def test_several_wordings_and_other_positions_are_read_alone(tmp_path: Path) -> None:
    names = ("metaeol", "mean", "echo", "prompteol-tp", "ck-cp")
    for one in load(save_shape("llama", tmp_path), [load_prompt(name) for name in names]):
        assert shared_head(one, Role.QUERY) is None, one.prompt.name


def test_tally_by_hand_and_against_what_enters_the_model(tmp_path: Path) -> None:
    """What the blocks are fed is what was tallied, but for the prefix and padded endings."""
    prompts = [prompt(name, 'Here: "' + end) for name, end in ENDINGS.items()]
    encoders = load(save_shape("llama", tmp_path), prompts)
    alone = [GroupTokens.of(one, TEXTS, Role.QUERY) for one in encoders]
    for one, tally in zip(encoders, alone, strict=True):
        one.encode(TEXTS, Role.QUERY)
        assert tally.tokens == one.counts["tokens"]
    both = alone[0]
    for one in encoders[1:]:
        both = both.joined(one, TEXTS)
    rows = [[one.fed(text, Role.QUERY).wordings[0].ids for one in encoders] for text in TEXTS]
    heads = [shared(of) for of in rows]
    by_hand = sum(h + sum(len(ids) - h for ids in of) for h, of in zip(heads, rows, strict=True))
    assert both.tokens == by_hand < sum(tally.tokens for tally in alone)
    entered = count_entered(encoders[0], DEPTH - 1)
    encode_prompts_together(encoders, TEXTS, Role.QUERY)
    prefix = len(encoders[0].reader.frames[Role.QUERY][0].prefix)
    padded = [
        h + sum(max(len(ids) for ids in of) - h for _ in of)
        for h, of in zip(heads, rows, strict=True)
    ]
    apart = sum(prefix for h in heads if h > prefix)
    assert sum(entered) == sum(padded) - apart


def count_entered(encoder: LLMEncoder, block: int) -> list[int]:
    """Count the positions that enter a block from now on, pass by pass."""
    entered: list[int] = []
    encoder.backbone.layers[block].register_forward_pre_hook(
        lambda _, args, kwargs: entered.append(
            (args[0] if args else kwargs["hidden_states"]).shape[:2].numel()
        ),
        with_kwargs=True,
    )
    return entered


def shared(rows: list[list[int]]) -> int:
    most = min(map(len, rows)) - 1
    same = (len({ids[at] for ids in rows}) == 1 for at in range(most))
    return next((at for at, equal in enumerate(same) if not equal), most)


def test_a_prompt_that_writes_is_charged_with_what_it_may_write(tmp_path: Path) -> None:
    mode: dict[str, Any] = {"mode": "multi-token-single", "generated_tokens": 4}
    (one,) = load(save_shape("llama", tmp_path), [prompt("says", "{text} says", **mode)])
    tally = GroupTokens.of(one, TEXTS, Role.QUERY)
    fed = sum(one.fed(text, Role.QUERY).tokens for text in TEXTS)
    assert tally.tokens == fed + 4 * len(TEXTS)


def test_nothing_is_nothing(tmp_path: Path) -> None:
    prompts = [prompt(name, 'Here: "' + end) for name, end in ENDINGS.items()]
    encoders = load(save_shape("llama", tmp_path), prompts)
    rows = encode_prompts_together(encoders, [], Role.QUERY)
    assert [len(one) for one in rows] == [0] * len(ENDINGS)
    assert GroupTokens.of(encoders[0], [], Role.QUERY).joined(encoders[1], []).tokens == 0
