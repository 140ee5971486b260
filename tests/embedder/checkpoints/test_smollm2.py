"""SmolLM2-135M-Instruct, a real language model: read from its package, not from the bundled one."""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from embedder.checkpoints.named_models import SMOLLM2, model_place
from embedder.encoders.load import load_encoder
from embedder.encoders.specs import LLMSpec, known_spec
from embedder.models.loading import LLMOptions
from embedder.text_encoder import TextEncoder

FILE = SMOLLM2.find_file()
pytestmark = pytest.mark.skipif(FILE is None, reason=f"not installed: {SMOLLM2.command}")
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@cache
def encoder(prompt: str) -> TextEncoder:
    return load_encoder("smollm2", prompt=prompt, options=LLMOptions(dtype="float32"))


def test_the_file_is_the_one_that_was_measured() -> None:
    assert FILE is not None
    digest = hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert digest == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def test_it_gives_what_transformers_reads_out_of_the_file() -> None:
    assert FILE is not None
    place = Path(model_place("smollm2"))
    tokenizer = AutoTokenizer.from_pretrained(place)
    ids = tokenizer.apply_chat_template(
        QUESTION, add_generation_prompt=True, return_tensors="pt", return_dict=True
    ).input_ids
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)
    packed = AutoModelForCausalLM.from_pretrained(
        FILE.parent, gguf_file=FILE.name, dtype=torch.float32
    )
    with torch.inference_mode():
        ours, theirs = model(ids).logits[0], packed(ids).logits[0]
        answer = model.generate(ids, max_new_tokens=12, do_sample=False)[0]
    assert float((ours - theirs).abs().max()) < 0.1  # of up to 38: float16 against float32
    assert torch.equal(ours.argmax(-1), theirs.argmax(-1))
    assert "The capital of France is Paris." in tokenizer.decode(answer)


def test_an_index_names_it_by_name() -> None:
    spec = known_spec(encoder("promptreps"))
    assert isinstance(spec, LLMSpec) and spec.model == "smollm2"


def test_a_text_is_near_its_paraphrase() -> None:
    texts = ["A man is playing a guitar.", "Someone plays the guitar.", "The stock market fell."]
    rows = encoder("prompteol").encode_query(texts)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.1


def test_a_batch_is_read_as_its_texts_alone() -> None:
    texts = ["green tea", "how do I rotate a key that signs requests", "lava"]
    together = encoder("promptreps").encode_query(texts)
    alone = np.vstack([encoder("promptreps").encode_query([text]) for text in texts])
    assert np.allclose(together, alone, rtol=0, atol=1e-3 * np.abs(together).max())
