"""Fine-tuning against the engine that will read the model, its loss by hand, its runs repeated."""

import json
import math
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import normalize

from embedder.encoders.llm import LLMEncoder
from embedder.models import sparse as sparsify
from embedder.models.loading import LLMOptions
from embedder.prompts.files import load_prompt
from embedder.train.contrast.adapted import load_adapted
from embedder.train.contrast.finetune_settings import FineTuneSettings, Lora
from embedder.train.contrast.last_tokens import LastTokens
from embedder.train.contrast.run import ContrastObjective, FineTuneRun, check_trainable, fine_tune
from embedder.train.contrast.worded import WordedPairs, same_answers, worded
from embedder.train.data.pair_files import PairFiles
from embedder.train.device import Device
from embedder.train.loss import better_than_answer, info_nce, weight_products
from embedder.types import Role
from tests.embedder.train.test_pair_files import write_pairs
from tests.folders import ROOT
from tests.models import load_llm
from tests.shapes import save_shape

PROMPTS = ("promptreps", "prompteol")
TEXTS = ["Whales sing.", "", "The 3 oldest oysters, don't they sleep? 'Yes', say " + "many " * 60]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.jsonl")


@pytest.fixture(scope="module")
def tuning(llama: Path, pairs: Path) -> FineTuneSettings:
    return FineTuneSettings(
        model=str(llama),
        pairs=(str(pairs),),
        prompts=PROMPTS,
        batch=3,
        group_size=3,
        epochs=3,
        rate=1e-3,
        warm_up=2,
        temperature=0.05,
        hybrid=True,
        margin=0.3,
        precision="float32",
        checkpoint_every=4,
        lora=Lora(r=2, alpha=4, dropout=0.1),
    )


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("shape", ["llama", "gpt2", "opt", "qwen2", "gemma2"])
def test_training_reads_as_the_engine_does(shape: str, prompt: str, tmp_path: Path) -> None:
    folder = save_shape(shape, tmp_path)
    options = LLMOptions(dtype="float32", max_text_tokens=40)
    engine = load_llm(folder, load_prompt(prompt), options)
    learning = load_llm(folder, load_prompt(prompt), options)
    learning.backbone.model.requires_grad_(True)
    reading = LastTokens(learning.backbone.model, Device("cpu", half=False), budget=150)
    for role in Role:
        put = worded(learning, TEXTS, role, limit=40)
        fed = [engine.fed(text, role).wordings[0].ids for text in TEXTS]
        assert [list(row) for row in put.rows] == fed
        wanted = engine.encode(TEXTS, role)
        states, logits = reading.read(put.rows, logits=True)
        assert states.requires_grad and logits is not None and wanted.dense is not None
        dense = normalize(states, dim=1).detach().numpy()
        assert np.abs(dense - wanted.dense).max() < 1e-4
        assert torch.allclose(reading.read(put.rows, logits=False)[0], states, atol=1e-5)
        if learning.table is not None and wanted.sparse is not None:
            terms, weights = sparsify.select(logits, put.allowed, learning.table)
            rows = torch.zeros(3, engine.table.columns if engine.table else 0)
            rows.scatter_add_(1, terms.clamp(min=0), weights.detach())
            assert np.abs(rows.numpy() - wanted.sparse.toarray()).max() < 1e-4


def test_sparse_products_by_hand() -> None:
    queries = (torch.tensor([[4, 0], [2, -1]]), torch.tensor([[2.0, 3.0], [1.0, 0.0]]))
    passages = (
        torch.tensor([[0, 4, 7], [2, -1, -1], [7, -1, -1]]),
        torch.tensor([[1.0, 5.0, 9.0], [4.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
    )
    wanted = torch.tensor([[2.0 * 5 + 3 * 1, 0.0, 0.0], [0.0, 4.0, 0.0]])
    assert torch.equal(weight_products(queries, passages, vocabulary=8), wanted)


def test_candidates_far_above_the_answer_are_left_out() -> None:
    cosines = torch.tensor([[0.5, 0.7, 0.61, 0.1], [0.9, 0.2, 0.25, 0.31]])
    got = better_than_answer(cosines, margin=0.1)
    assert got.tolist() == [[False, True, True, False], [True, False, False, True]]
    loss = info_nce(cosines, got)
    first = math.log(1 + math.exp(0.1 - 0.5))
    second = math.log(1 + math.exp(0.25 - 0.2))
    assert float(loss) == pytest.approx((first + second) / 2)


def test_answers_of_an_equal_query_are_no_rivals() -> None:
    same = same_answers(["a", "b", "a"], ["one", "two", "three", "one", "two", "four"])
    assert same.astype(int).tolist() == [
        [0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [1, 0, 0, 1, 0, 0],
    ]


def test_batches_cover_the_pairs_and_can_be_taken_up(
    tuning: FineTuneSettings, tmp_path: Path
) -> None:
    files = PairFiles([Path(path) for path in tuning.pairs], tmp_path)
    options = LLMOptions(dtype="float32")
    encoders = [load_llm(tuning.model, load_prompt(name), options) for name in PROMPTS]
    stream = WordedPairs(files, encoders, tuning)
    turns = list(islice(stream.batches(), 16))
    for turn in (turns[:8], turns[8:]):
        rows = {tuple(row) for batch in turn for row in batch.queries}
        # A query is one row in each prompt, so as many rows as pairs: none twice.
        assert len(rows) == 24
    assert {batch.encoder for batch in turns} == set(encoders)
    assert all(len(batch.passages) == 3 + 3 * 2 for batch in turns)
    again = next(stream.batches(13))
    assert again.number == 13 and again.encoder is turns[13].encoder
    assert list(again.queries) == list(turns[13].queries)
    assert list(again.passages) == list(turns[13].passages)


def test_loss_is_that_of_the_rows(tuning: FineTuneSettings, tmp_path: Path) -> None:
    files = PairFiles([Path(path) for path in tuning.pairs], tmp_path)
    encoder = load_llm(tuning.model, load_prompt("promptreps"), LLMOptions(dtype="float32"))
    batch = next(WordedPairs(files, [encoder], tuning).batches())
    reading = LastTokens(encoder.backbone.model, Device("cpu", half=False), 500)
    loss = ContrastObjective(reading, replace(tuning, margin=None))(batch)
    states, logits = reading.read([*batch.queries, *batch.passages], logits=True)
    assert logits is not None
    unit = states / states.norm(dim=1, keepdim=True)
    dense, sparse = 0.0, 0.0
    for i in range(3):
        cosines = (unit[i] * unit[3:]).sum(1) / 0.05
        dense += float(torch.logsumexp(cosines, 0) - cosines[i]) / 3
        weights = torch.log1p(torch.relu(logits))
        own = [
            set(terms.tolist())
            for terms in (*batch.query_rows.allowed, *batch.passage_rows.allowed)
        ]
        products = torch.stack(
            [
                sum((weights[i, t] * weights[j, t] for t in own[i] & own[j]), torch.zeros(()))
                for j in range(3, 12)
            ]
        )
        sparse += float(torch.logsumexp(products, 0) - products[i]) / 3
    assert float(loss.parts["dense"]) == pytest.approx(dense, rel=1e-4)
    assert float(loss.parts["sparse"]) == pytest.approx(sparse, rel=1e-4)
    assert float(loss.total) == pytest.approx(dense + sparse, rel=1e-4)


def test_recomputing_gives_the_same_slopes(tuning: FineTuneSettings, tmp_path: Path) -> None:
    files = PairFiles([Path(path) for path in tuning.pairs], tmp_path)
    slopes = []
    for settings in (tuning, replace(tuning, recompute=True)):
        adapted = load_adapted(settings.model, settings, Device("cpu", half=False))
        encoder = LLMEncoder(adapted.backbone, load_prompt("promptreps"), adapted.options)
        reading = LastTokens(adapted.backbone.model.train(), Device("cpu", half=False), 500)
        batch = next(WordedPairs(files, [encoder], settings).batches())
        torch.autograd.backward(ContrastObjective(reading, settings)(batch).total)
        slopes.append([one.grad for one in adapted.learning.values()])
    for one, other in zip(*slopes, strict=True):
        assert one is not None and other is not None and torch.allclose(one, other, atol=1e-6)
    assert any(bool((one != 0).any()) for one in slopes[0] if one is not None)


@pytest.mark.parametrize(
    ("name", "said"), [("echo", "states of other tokens"), ("metaeol", "several wordings")]
)
def test_prompts_that_are_read_otherwise_are_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_trainable(load_prompt(name))


def final_bytes(out: Path) -> list[bytes]:
    return [
        (out / n).read_bytes() for n in ("model.safetensors", "adapter/adapter_model.safetensors")
    ]


def test_killed_run_ends_in_the_same_bytes(tuning: FineTuneSettings, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    outcome = fine_tune(tuning, FineTuneRun(whole, tmp_path / "w", "cpu"))
    assert (outcome.steps, outcome.of, outcome.pairs) == (24, 24, 24)
    code = f"""
import time
from pathlib import Path
from embedder.train.contrast.run import FineTuneRun, fine_tune
from embedder.train.contrast.finetune_settings import FineTuneSettings, Lora
fine_tune({tuning!r}, FineTuneRun(Path({str(killed)!r}), Path({str(tmp_path / "k")!r}), "cpu",
          report=lambda now: time.sleep(0.1)))
"""
    run = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    checkpoint, deadline = tmp_path / "k" / "contrast.safetensors", time.monotonic() + 120
    while not checkpoint.exists():
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not killed.exists()
    fine_tune(tuning, FineTuneRun(killed, tmp_path / "k", "cpu"))
    assert final_bytes(whole) == final_bytes(killed)
    log = [
        json.loads(line) for line in (tmp_path / "k" / "contrast.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in log] == [24]
    assert {"dense", "left_out", "pairs_per_second", "seconds"} <= log[0].keys()
    with pytest.raises(ValueError, match="other settings"):
        fine_tune(replace(tuning, rate=2e-3), FineTuneRun(killed, tmp_path / "k", "cpu"))


def losses(settings: FineTuneSettings, folder: Path, device: str) -> list[float]:
    """Fine-tune, and return the smoothed loss of each step."""
    seen: list[float] = []
    shop = FineTuneRun(
        folder / "out", folder / "work", device, report=lambda p: seen.append(p.loss)
    )
    fine_tune(settings, shop)
    return seen


def test_loss_falls(tuning: FineTuneSettings, tmp_path: Path) -> None:
    lora = Lora(r=8, alpha=16)
    longer = replace(tuning, prompts=("promptreps",), epochs=8, rate=2e-2, lora=lora)
    seen = losses(longer, tmp_path, "cpu")
    assert seen[-1] < 0.7 * seen[4]


def test_finished_folder_is_a_plain_model(tuning: FineTuneSettings, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    out = tmp_path / "out"
    fine_tune(replace(tuning, epochs=1), FineTuneRun(out, tmp_path / "work", "cpu"))
    encoder = load_llm(out)  # with the prompt.toml beside the weights
    assert encoder.prompt.hash == load_prompt("promptreps").hash
    base = AutoModelForCausalLM.from_pretrained(tuning.model, dtype=torch.float32)
    ids = torch.tensor([[5, 9, 30, 7]])
    with torch.no_grad():
        before = base(ids).logits
        wanted = PeftModel.from_pretrained(base, out / "adapter").eval()(ids).logits
        got = encoder.backbone.model(ids).logits
    assert torch.allclose(got, wanted, atol=1e-4)
    assert not torch.allclose(got, before, atol=1e-3)


def test_without_adapters_all_weights_learn(tuning: FineTuneSettings, tmp_path: Path) -> None:
    out = tmp_path / "out"
    whole = replace(tuning, lora=None, epochs=0.5, hybrid=False)
    outcome = fine_tune(whole, FineTuneRun(out, tmp_path / "work", "cpu"))
    before, after = (load_file(Path(f) / "model.safetensors") for f in (tuning.model, out))
    assert before.keys() == after.keys()
    # Everything but the head, which the dense loss does not see.
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert set(before) - set(moved) <= {"lm_head.weight"}
    assert outcome.learning == sum(tensor.numel() for tensor in before.values())
    assert not (out / "adapter").exists()


def test_minutes_stop_a_run_that_is_taken_up(tuning: FineTuneSettings, tmp_path: Path) -> None:
    shop = FineTuneRun(tmp_path / "out", tmp_path / "work", "cpu", minutes=0.0)
    assert [fine_tune(replace(tuning, epochs=0.25), shop).steps for _ in range(3)] == [1, 2, 2]


def test_targets_that_are_not_there_are_named(tuning: FineTuneSettings) -> None:
    settings = replace(tuning, lora=Lora(targets=("query_key_value",)))
    with pytest.raises(ValueError, match=r"lora\.targets do not fit"):
        load_adapted(settings.model, settings, Device())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_gpu_goes_the_same_way(tuning: FineTuneSettings, compiled: bool, tmp_path: Path) -> None:
    still = replace(tuning, lora=Lora(r=2, dropout=0.0))
    here = losses(still, tmp_path / "cpu", "cpu")
    there = losses(replace(still, compile=compiled), tmp_path / "cuda", "cuda")
    assert np.allclose(here, there, rtol=0.02)
