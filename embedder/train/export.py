"""Write a trained decoder as a Hugging Face folder with its prompt beside it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from embedder.train.settings import TEMPLATES
from embedder.train.tokenizer import save_tokenizer
from embedder.types import Role

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

PROMPT_FILE = "prompt.toml"


def export(model: "LlamaForCausalLM", tokenizer: "Tokenizer", folder: Path) -> None:
    """Write weights in float16, configuration, tokenizer and prompt; the model is left alone.

    The configuration says float16, the type of the file; readers on a CPU ask for float32.
    """
    import torch
    from transformers import LlamaForCausalLM

    half = LlamaForCausalLM(model.config)
    half.load_state_dict(model.state_dict())
    half.to(torch.float16).save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    (folder / PROMPT_FILE).write_text(prompt_toml(), encoding="utf-8")


def prompt_toml() -> str:
    """Return the prompt the model is trained with, as `Prompt` reads it."""
    lines = ['name = "tiny"', 'source = "lastword (this repository)"', 'use = "retrieval"']
    for role in (Role.QUERY, Role.DOCUMENT):
        lines += ["", f"[{role.value}]", f"template = {_literal(TEMPLATES[role])}"]
    return "\n".join(lines) + "\n"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string of our templates is TOML as well
