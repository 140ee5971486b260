"""Adapted queries: they fit the model, and are read as the model reads words."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from embedder.encoders.adapted import AdaptedEncoder, encoder_of
from embedder.encoders.llm import LLMEncoder
from embedder.models.backbone import Backbone
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt
from embedder.prompts.method_rules import RewritingRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.query_adapter import QueryAdapter
from embedder.types import Role
from tests.models import save_llama, save_tokenizer
from tests.planted import PlantedObjective, plain_prompt
from tuning.proposers import soft
from tuning.proposers.gradients import GradientModel
from tuning.proposers.soft_vectors import SoftOptions
from tuning.proposers.vocabulary import Vocabulary
from tuning.search.budget import Cost
from tuning.search.types import ProposerContext

TEXTS = ["what is paris", "volcanoes erupt, magma rises", ""]


def worded(backbone: Backbone, prompt: Prompt, folder: Path) -> AdaptedEncoder:
    """Return an encoder whose soft tokens are the embeddings of the words " city lava"."""
    ids = backbone.tokenizer(" city lava", add_special_tokens=False).input_ids
    with torch.no_grad():  # the module rather than its weight: some scale what they look up
        rows = backbone.model.get_input_embeddings()(torch.tensor(ids)).numpy()
    named = QueryAdapter(soft=rows[None].copy()).save(folder)
    encoder = encoder_of(backbone, replace(prompt, adapt=named), LLMOptions(max_text_tokens=32))
    assert isinstance(encoder, AdaptedEncoder)
    return encoder


def gemma(folder: Path) -> Path:
    """Save a model that caps its logits."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=save_tokenizer(folder), hidden_size=32, intermediate_size=64,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        final_logit_softcapping=1.0, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config)
    model.lm_head.weight.data.mul_(50)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("save", [save_llama, gemma])
def test_sparse_rows_are_those_of_the_words_that_soft_tokens_equal(
    save: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    backbone, options = load_backbone(save(tmp_path / "model"), LLMOptions(max_text_tokens=32))
    prompt = load_prompt("promptreps")
    encoder = worded(backbone, prompt, tmp_path)
    got = encoder.encode(TEXTS, Role.QUERY)
    inner = LLMEncoder(backbone, prompt, options)
    window = inner.prepare(TEXTS, Role.QUERY)
    ids = backbone.tokenizer(" city lava", add_special_tokens=False).input_ids
    rows = [one.wordings[0] for one in window]
    head = [int(row.ids[0] == backbone.tokenizer.bos_token_id) for row in rows]
    put = [
        replace(row, ids=[*row.ids[:at], *ids, *row.ids[at:]])
        for row, at in zip(rows, head, strict=True)
    ]
    fed = [replace(one, wordings=(row,)) for one, row in zip(window, put, strict=True)]
    answer = inner.reader.read(fed, Role.QUERY)
    expected = inner.collect([inner.keep_terms(window, np.arange(len(TEXTS)), answer)])
    assert got.dense is not None and expected.dense is not None
    assert got.sparse is not None and expected.sparse is not None
    np.testing.assert_allclose(got.dense, expected.dense, atol=1e-5)
    np.testing.assert_allclose(got.sparse.toarray(), expected.sparse.toarray(), atol=1e-5)


def test_what_a_prompt_does_not_read_is_not_returned(tmp_path: Path) -> None:
    backbone, _ = load_backbone(save_llama(tmp_path / "model"), LLMOptions())
    for dense, sparse in ((True, False), (False, True)):
        prompt = load_prompt("promptreps").reading_only(dense=dense, sparse=sparse)
        encoder = worded(backbone, prompt, tmp_path)
        for texts in (TEXTS, []):
            got = encoder.encode(texts, Role.QUERY)
            assert ((got.dense is not None), (got.sparse is not None)) == (dense, sparse)


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("soft", {"soft": (1, 4, 32)}),
        ("router", {"soft": (2, 4, 68), "router": (32, 2)}),
        ("matrix", {"matrix": (32, 32)}),
        ("matrix", {"matrix": (68, 32)}),
        ("offset", {"offset": (1,)}),
    ],
)
def test_arrays_of_another_model_are_refused(
    name: str, shapes: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    held = QueryAdapter(**{one: np.ones(shape, np.float32) for one, shape in shapes.items()})
    prompt = replace(plain_prompt(), adapt=held.save(tmp_path))
    with pytest.raises(ValueError, match=f"adaptation's {name} .* another model"):
        encoder_of(PlantedObjective(0, queries=2).backbone, prompt, LLMOptions())


def test_queries_that_do_not_fit_beside_soft_tokens_are_refused(tmp_path: Path) -> None:
    backbone = PlantedObjective(0, queries=2).backbone
    held = QueryAdapter(soft=np.ones((1, 4, 68), np.float32))
    encoder = encoder_of(backbone, replace(plain_prompt(), adapt=held.save(tmp_path)), LLMOptions())
    assert len(encoder.encode(["kelp " * 123], Role.QUERY)) == 1
    with pytest.raises(ValueError, match="lower max_text_tokens by 4"):
        encoder.encode(["kelp " * 200], Role.QUERY)


def test_rewriting_and_adapting_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="leave it or adapt out"):
        replace(plain_prompt(), adapt="a#0", rewrite=RewritingRules())


def test_halves_are_read_as_float32(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    digest = QueryAdapter(offset=np.ones(68, np.float32)).digest
    save_file({"offset": np.ones(68, np.float16)}, tmp_path / "half.safetensors")
    held = QueryAdapter.load(f"{tmp_path / 'half.safetensors'}#{digest}")
    assert held.offset is not None and held.offset.dtype == np.float32


class Shared:
    """Every query has the same answer, and no decoys."""

    def __init__(self, objective: PlantedObjective) -> None:
        self._held = objective

    def positives(self, query_id: str) -> NDArray[np.float32]:
        return self._held.positives("q0")

    def negatives(self, query_id: str) -> NDArray[np.float32]:
        return self._held.negatives("q0")[:0]

    def text(self, query_id: str) -> str:
        return self._held.text(query_id)


def test_an_answer_that_two_queries_share_is_no_negative() -> None:
    objective = PlantedObjective(0, queries=4)
    encoder = LLMEncoder(objective.backbone, plain_prompt(), LLMOptions())
    box = GradientModel(encoder, Shared(objective))
    same = torch.from_numpy(np.repeat(objective.positives("q0"), 2, axis=0))
    assert float(box.loss(["q0", "q1"], same)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("anchor", "passes"), [(0.0, 2), (1.0, 3)])
def test_training_is_charged_whole_and_leaves_the_model_alone(
    anchor: float, passes: int, tmp_path: Path
) -> None:
    objective = PlantedObjective(0, queries=24)
    encoder = LLMEncoder(objective.backbone, plain_prompt(), LLMOptions())
    charged: list[int] = []

    def once(kind: str, key: Any, cost: Cost, work: Any) -> Any:  # noqa: ANN401
        charged.append(cost.tokens)
        return work()

    def absent(prompt: Prompt, query_ids: Sequence[str]) -> Any:  # noqa: ANN401
        raise AssertionError("soft looks at no scores")

    bench = ProposerContext(
        objective.space, 0, tuple(objective.texts), once, absent, absent, objective.relevant
    )
    options = SoftOptions(vectors=2, epochs=3, anchor=anchor)
    box, before = GradientModel(encoder, objective), torch.get_rng_state()
    make = partial(soft.Soft, gradients=box, folder=tmp_path, options=options)
    make(bench, vocabulary=Vocabulary.of(objective.backbone)).ask(4)
    fed = sum(len(row) for row in box.ids(list(objective.texts)))
    each = fed // 24  # tokens of a query: 18 are learned from, and 6 watched, once more before
    learned = 2 * (each + 2) * 18 + (passes - 2) * each * 18
    assert charged == [3 * (learned + (each + 2) * 6) + (each + 2) * 6] and fed == each * 24
    assert all(one.grad is None for one in objective.backbone.model.parameters())
    assert torch.equal(before, torch.get_rng_state())
