"""A plan is arithmetic: every figure by hand."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import lastword as lw
from embedder.checkpoints.bundled import BUNDLED_MODEL, BUNDLED_NAME
from embedder.inspect.model_flops import ModelShape
from embedder.inspect.prompt_tokens import count_prompt_tokens
from embedder.prompts.files import load_prompt
from index.documents import Document
from retrieval.planning.factories import vector_bytes
from retrieval.planning.figures import GPU, PlanFigure
from retrieval.planning.plan import ASSUMED, Machines, PlannedTexts, plan_index
from retrieval.planning.sample import measure_source

HERE = lw.PlanOptions(probe=False)
SHAPE = ModelShape(
    hidden=8, layers=2, heads=4, kv_heads=2, head_dim=2,
    intermediate=16, mlp_matrices=3, vocabulary=100,
)  # fmt: skip
TEXTS = PlannedTexts(documents=1000, tokens=10, terms=6, prefix=5, suffix=2, sparse=3)


def named(figures: tuple[PlanFigure, ...]) -> dict[str, float]:
    return {figure.name: figure.value for figure in figures}


def test_operations_of_a_small_decoder() -> None:
    matrices = 8 * 8 + 2 * (8 * 4) + 8 * 8 + 3 * 8 * 16  # queries, keys and values, output, MLP
    assert SHAPE.block_matrices == matrices == 576
    assert SHAPE.parameters == 2 * 576 + 8 * 100
    positions = sum(5 + at for at in range(1, 13))  # token number `at` looks at 5 + at
    attention = 2 * (2 * 4 * 2) * positions  # scores, then values: two operations for each number
    assert SHAPE.flops(12, 5) == 2 * (2 * 576 * 12 + attention) + 2 * 8 * 100


def test_a_config_is_read_and_others_are_refused(tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 16, "vocab_size": 100,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert ModelShape.of_model(str(tmp_path)) == SHAPE
    with pytest.raises(ValueError, match="mixture of experts"):
        ModelShape.of_config({**config, "num_local_experts": 8}, "m")
    with pytest.raises(ValueError, match=r"m: its config.json has no intermediate_size"):
        ModelShape.of_config({**config, "intermediate_size": None}, "m")


def test_bytes_and_hours() -> None:
    machines = Machines([GPU.parse("h100:2")], utilisation=0.5, tokens_per_second=100.0)
    plan = plan_index(TEXTS, SHAPE, machines)
    assert named(plan.index) == {
        "texts and ids": 1000 * (45 + 60),
        "dense, float32": 1000 * 32,
        "sparse": 1000 * (3 * 6 + 8),
        "bm25": 1000 * (6 * 3 + 8),
        "together": 1000 * (105 + 32 + 26 + 26),
    }
    assert named(plan.memory) == {
        "weights, float32": 4 * (2 * 576 + 8 * 100),
        "rows of a segment": 1000 * ((3 + 6) * 8 + 8),
        "index in memory, Flat": 1000 * (32 + 26 + 26),
    }
    hours = 1000 * SHAPE.flops(12, 5) / (2 * 989e12 * 0.5) / 3600
    assert named(plan.encoding) == pytest.approx(
        {"this machine": 1000 * 10 / 100 / 3600, "h100:2": hours}
    )
    shards = [each for each in plan.scale if each.unit == "shards"]
    assert [each.value for each in shards] == [200, 2000, 20_000]
    # 1 G x (32 of a vector + 26 + 26 of postings) / (.7 x 64 GB) = 1.88
    assert named(plan.scale)["1 G: Flat"] == 2
    every = [
        *plan.collection,
        *plan.index,
        *plan.memory,
        *plan.encoding,
        *plan.factories,
        *plan.scale,
    ]
    assert all(figure.formula for figure in every)


def test_bytes_a_vector_are_those_of_faiss() -> None:
    faiss = pytest.importorskip("faiss")
    costs = {name: value for name, (value, _) in vector_bytes(128, 16).items()}
    assert (costs["Flat"], costs["SQfp16"], costs["SQ8"]) == (512, 256, 128)
    assert (costs["Flat, float16"], costs["Flat, int8"]) == (256, 136)
    links = 32 * 8 + 128 / 31 + 12
    assert costs["HNSW32,SQ8"] == 128 + links
    centroids = 4 * 128 * 16 / 16
    for name in ("IVF16,PQ16", "IVF16,RaBitQ"):
        code = faiss.index_factory(128, name, faiss.METRIC_INNER_PRODUCT).code_size
        assert costs[name] == code + 8 + centroids


def test_a_source_is_counted() -> None:
    texts = ["green tea green", "black tea"]
    size = measure_source([Document(f"{at}", "", text) for at, text in enumerate(texts)])
    assert (size.documents, size.terms) == (2, 2)
    assert size.tokens >= 2
    with pytest.raises(ValueError, match="the source has no documents"):
        measure_source([])


def test_what_is_missing_or_unknown_is_said() -> None:
    with pytest.raises(ValueError, match="a plan needs a source, or documents and tokens"):
        lw.plan(documents=3, options=HERE)
    with pytest.raises(ValueError, match=r"--gpu is one of .* as in h100:8; got 'abacus'"):
        lw.plan(documents=3, tokens=3, options=replace(HERE, gpus=["abacus"]))
    with pytest.raises(ValueError, match="takes a number of at least 1"):
        GPU.parse("h100:0")
    with pytest.raises(ValueError, match="utilisation is above 0"):
        lw.plan(documents=3, tokens=3, options=replace(HERE, utilisation=0))


def test_tokens_of_a_prompt_are_those_of_the_model() -> None:
    """They were taken to be 20 before and 20 behind, whatever the prompt."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(BUNDLED_MODEL / "tokenizer.json"))
    before, behind = (
        len(tokenizer.encode(text, add_special_tokens=False).ids)
        for text in ('passage : "', '" in one word : "')
    )
    facts = named(lw.plan(documents=3, tokens=10, options=HERE).collection)
    given = [facts[f"tokens {place} a text"] for place in ("before", "behind")]
    assert given == [1 + before, behind]  # the model begins every text with a token of its own
    shape = ModelShape.of_model(BUNDLED_NAME)
    assert facts["operations a text"] == shape.flops(10 + behind, 1 + before)


def test_wordings_that_share_a_text_read_it_once() -> None:
    """SmolLM2's prompt has two endings behind one text; MetaEOL reads a text for each of eight."""
    counted = [
        count_prompt_tokens(load_prompt(name), BUNDLED_MODEL) for name in ("smollm2", "metaeol")
    ]
    shared, apart = (each for each in counted if each is not None)
    assert shared.readings == 1 and apart.readings == 8
    texts = PlannedTexts(documents=1, tokens=10, terms=6, prefix=5, suffix=2, readings=8)
    facts = named(plan_index(texts, SHAPE, Machines()).collection)
    assert facts["operations a text"] == 8 * SHAPE.flops(12, 5)


def test_without_a_tokenizer_they_are_assumed_and_a_dense_prompt_has_no_postings(
    tmp_path: Path,
) -> None:
    shutil.copy(BUNDLED_MODEL / "config.json", tmp_path)
    options = replace(HERE, model=str(tmp_path), prompt="prompteol")
    planned = lw.plan(documents=3, tokens=10, options=options)
    facts = {figure.name: figure for figure in planned.collection}
    for place in ("before", "behind"):
        assert facts[f"tokens {place} a text"].value == 20
        assert facts[f"tokens {place} a text"].formula == ASSUMED
    assert named(planned.index)["sparse"] == 0
