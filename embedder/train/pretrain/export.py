"""Write a trained decoder as a Hugging Face folder with its prompt beside it."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from embedder.files.durable import filling
from embedder.train.pretrain.settings import TEMPLATES
from embedder.train.pretrain.tokenizer import save_tokenizer
from embedder.types import Role

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

PROMPT_FILE = "prompt.toml"
LARGEST = 448.0  # that float8 e4m3 can say


def export(model: "LlamaForCausalLM", tokenizer: "Tokenizer", folder: Path) -> None:
    """Write weights, configuration, tokenizer and prompt; the model is left alone.

    Token tables are written as float8, which halves the file, all else as float16. The
    configuration says float16: whatever type a reader asks for is what from_pretrained gives.
    """
    import torch
    from transformers import LlamaForCausalLM

    half = LlamaForCausalLM(model.config)
    half.load_state_dict(model.state_dict())
    _fill_range(half)
    half.to(torch.float16)
    for table in (half.model.embed_tokens, half.lm_head):
        table.weight.data = table.weight.data.to(torch.float8_e4m3fn)
    folder.mkdir(parents=True, exist_ok=True)
    with filling(folder) as new:
        half.save_pretrained(new)
        save_tokenizer(tokenizer, new)
        (new / PROMPT_FILE).write_text(prompt_toml(), encoding="utf-8")


def _fill_range(model: "LlamaForCausalLM") -> None:
    """Scale the head up and the final norm down alike, by a power of two.

    float8 (e4m3, Micikevicius et al., 2022) loses digits below 2**-6. Logits stay what they are
    to the bit, states all shrink by one factor, and a cosine does not notice.
    """
    import torch

    head, norm = model.lm_head.weight, model.model.norm.weight
    with torch.no_grad():
        scale = 2.0 ** math.floor(math.log2(LARGEST / float(head.abs().max())))
        head *= scale
        norm /= scale


def prompt_toml() -> str:
    """Return the prompt the model is trained with, as `Prompt` reads it."""
    lines = ['name = "tiny"', 'source = "lastword (this repository)"', 'use = "retrieval"']
    for role in (Role.QUERY, Role.DOCUMENT):
        lines += ["", f"[{role.value}]", f"template = {_literal(TEMPLATES[role])}"]
    return "\n".join(lines) + "\n"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string of our templates is TOML as well
