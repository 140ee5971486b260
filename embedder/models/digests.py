"""Digests that tell models and tokenizers apart, wherever they are stored."""

import hashlib
from collections.abc import Collection
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SAMPLES = 64  # values of each weight matrix that enter the digest


def weights_digest(model: "PreTrainedModel", without: Collection[str] = ()) -> str:
    """Return 16 hex digits that tell two sets of weights apart, wherever they are stored.

    64 evenly spaced values of every tensor count, with its name, shape and dtype: fine-tuning
    changes all of them, and a folder that was moved or a hub name changes none.

    Args:
        model: as loaded.
        without: names of weights that do not count, since they were not in the checkpoint.
    """
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        if name in without:
            continue
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        flat = tensor.detach().reshape(-1)
        step = max(1, len(flat) // SAMPLES)
        digest.update(flat[::step][:SAMPLES].to("cpu", torch.float32).numpy().tobytes())
    return digest.hexdigest()[:16]


def tokenizer_digest(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Return 16 hex digits of the vocabulary and of how it cuts a probing text."""
    probe = "Naïve CafÉ 3.14 don't\n\tl'eau 東京 e\u0301 state-of-the-art <s> ▁ Ġ"
    ids = tokenizer(probe, add_special_tokens=True, verbose=False).input_ids
    facts = repr((sorted(tokenizer.get_vocab().items()), ids))
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
