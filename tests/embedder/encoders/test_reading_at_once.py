"""Texts that are read in several workers get the rows that one thread gives them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

from embedder.checkpoints.bundled import BUNDLED_MODEL
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.shared_prefix import encode_prompts_together
from embedder.models import batching
from embedder.models.backbone import Backbone
from embedder.models.loading import LLMOptions, load_backbone
from embedder.models.workers import run_at_once
from embedder.progress import watching
from embedder.prompts.files import load_prompt
from embedder.prompts.prompt import Prompt
from embedder.types import Representation, Role
from tests.models import LINES, save_llama

TEXTS = [" ".join((LINES[at % 5] * 2).split()[: 2 + at % 23]) for at in range(40)]
PROMPTS = (
    "promptreps",
    "prompteol-tp",  # hooks the embeddings and two blocks
    "prompteol-cp",  # hooks an attention
    "echo",
    "metaeol",  # eight prefixes
    "prompteol-filter",
)
ALONE = ("scsp", "generated")


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    assert torch.get_num_threads() == 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reading")]
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = save_llama(tmp_path_factory.mktemp("llama"))
    return load_backbone(folder, options())[0]


def options() -> LLMOptions:
    return LLMOptions(dtype="float32", device="cpu", token_budget=96)


def prompt_of(name: str) -> Prompt:
    if name != "generated":
        return load_prompt(name)
    prompt = load_prompt("promptreps")
    reading = replace(prompt.reading, mode="multi-token-single", generated_tokens=3)
    return replace(prompt, reading=reading)


def content(rows: Representation) -> list[bytes]:
    sparse = rows.sparse
    dense = [] if rows.dense is None else [rows.dense.tobytes()]
    return dense + ([] if sparse is None else [sparse.data.tobytes(), sparse.indices.tobytes()])


def in_one_thread(encoder: LLMEncoder) -> list[bytes]:
    torch.set_num_threads(1)
    rows = content(encoder.encode(TEXTS, Role.DOCUMENT))
    torch.set_num_threads(3)
    return rows


def count_replicas(encoder: LLMEncoder) -> int:
    """Encode and return how many backbones read at once; 1 where one did alone."""
    counts = [1]

    def counted(batches: Any, runs: Any, tell: Any) -> Any:  # noqa: ANN401  (passed on)
        counts.append(len({id(run.args[0].backbone.model) for run in runs}))
        return run_at_once(batches, runs, tell)

    with patch.object(batching, "run_at_once", counted):
        encoder.encode(TEXTS, Role.DOCUMENT)
    return counts[-1]


@pytest.mark.parametrize("name", PROMPTS)
def test_rows_of_one_thread(backbone: Backbone, name: str) -> None:
    encoder = LLMEncoder(backbone, prompt_of(name), options())
    told: list[int] = []
    with watching(told.append, len(TEXTS)):
        rows = encoder.encode(TEXTS, Role.DOCUMENT)
    assert told[-1] == len(TEXTS) and len(told) > 3 and told == sorted(told)
    assert content(rows) == in_one_thread(encoder)
    assert count_replicas(encoder) == 3


@pytest.mark.parametrize("name", ALONE)
def test_prompts_that_are_read_alone(backbone: Backbone, name: str) -> None:
    """They do more than passes: they tokenise, or go on from tokens that the model wrote."""
    assert count_replicas(LLMEncoder(backbone, prompt_of(name), options())) == 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rows_of_the_bundled_model(dtype: str) -> None:
    backbone, resolved = load_backbone(
        BUNDLED_MODEL, replace(options(), dtype=dtype, token_budget=200)
    )
    encoder = LLMEncoder(backbone, load_prompt("promptreps"), resolved)
    assert content(encoder.encode(TEXTS, Role.DOCUMENT)) == in_one_thread(encoder)
    assert count_replicas(encoder) == 3


def test_prompts_read_together(backbone: Backbone) -> None:
    """Endings after one text, which go on from a cache of their batch."""
    prompt = load_prompt("promptreps")
    dense = replace(prompt, reading=replace(prompt.reading, sparse=None))
    encoders = [LLMEncoder(backbone, one, options()) for one in (prompt, dense)]
    rows = encode_prompts_together(encoders, TEXTS, Role.DOCUMENT)
    torch.set_num_threads(1)
    alone = encode_prompts_together(encoders, TEXTS, Role.DOCUMENT)
    torch.set_num_threads(3)
    assert list(map(content, rows)) == list(map(content, alone))


def test_a_prefix_is_kept_for_later_calls(backbone: Backbone) -> None:
    """Replicas read it where it is missing, and all later passes find it."""
    encoder = LLMEncoder(backbone, load_prompt("promptreps"), options())
    backbone.prefixes._prefixes.clear()
    encoder.encode(TEXTS, Role.DOCUMENT)
    (prefix,) = backbone.prefixes._prefixes
    assert prefix == encoder.reader.frames[Role.DOCUMENT][0].prefix


def test_a_changed_weight_is_read(tmp_path: Path) -> None:
    """Training goes on between two calls: replicas have the weights of the model itself."""
    backbone = load_backbone(save_llama(tmp_path), options())[0]
    encoder = LLMEncoder(backbone, load_prompt("promptreps"), options())
    before = content(encoder.encode(TEXTS, Role.DOCUMENT))
    backbone.prefixes._prefixes.clear()
    with torch.no_grad():
        backbone.model.model.norm.weight.mul_(torch.linspace(0.5, 1.5, 32))
    assert content(encoder.encode(TEXTS, Role.DOCUMENT)) == in_one_thread(encoder) != before


def test_a_model_that_somebody_hooked_is_read_alone(backbone: Backbone) -> None:
    """The hook is called in this thread, with the model's own modules."""
    seen: set[tuple[int, int]] = set()
    encoder = LLMEncoder(backbone, load_prompt("promptreps"), options())
    block = backbone.layers[0]
    with block.register_forward_hook(
        lambda module, *_: seen.add((id(module), threading.get_ident()))
    ):
        assert count_replicas(encoder) == 1
    assert seen == {(id(block), threading.get_ident())}


def test_threads_that_read_at_once(backbone: Backbone) -> None:
    """Each of them has workers, one after the other; queries of one batch go between."""
    encoders = [LLMEncoder(backbone, prompt_of(name), options()) for name in PROMPTS[:3]]
    alone = [in_one_thread(encoder) for encoder in encoders]
    queries = [content(encoder.encode(TEXTS[:1], Role.DOCUMENT)) for encoder in encoders]

    def encode(call: int) -> bool:
        at, short = call % 3, call % 2
        torch.get_num_threads()  # torch sets a thread's number when it is first needed
        torch.set_num_threads(3)
        rows = encoders[at].encode(TEXTS[:1] if short else TEXTS, Role.DOCUMENT)
        return content(rows) == (queries if short else alone)[at]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(encode, range(24)))
