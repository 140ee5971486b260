"""Digests that tell models and tokenizers apart, wherever they are stored."""

import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SAMPLES = 64  # values of each weight matrix that enter the digest
Values = TypeVar("Values", "Tensor", NDArray[Any])


def weights_digest(model: "PreTrainedModel", without: Collection[str] = ()) -> str:
    """Return 16 hex digits that tell two sets of weights apart, wherever they are stored.

    64 evenly spaced values of every tensor count, with its name, shape and dtype: fine-tuning
    changes all of them, and a folder that was moved or a hub name changes none.

    Args:
        model: as loaded.
        without: names of weights that do not count, since they were not in the checkpoint.
    """
    import torch

    rounded = any(hasattr(own, "quant_state") for own in model.parameters())
    # The state of a layer of 4 bits is written by unpacking it, after which it computes rubbish.
    tensors = dict(model.named_parameters()) if rounded else model.state_dict()

    def samples() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for name, tensor in tensors.items():
            if name not in without:
                # As a plain tensor: `to` of one that bitsandbytes keeps would round it once more.
                flat = take_samples(tensor.detach().as_subclass(torch.Tensor).reshape(-1))
                described = f"{name} {tuple(tensor.shape)} {tensor.dtype}"
                yield described, flat.to("cpu", torch.float32).numpy()

    return samples_digest(samples())


def take_samples(flat: Values) -> Values:
    """Return the values of a tensor of one axis that enter the digest."""
    sampled: Values = flat[:: max(1, len(flat) // SAMPLES)][:SAMPLES]
    return sampled


def samples_digest(samples: Iterable[tuple[str, NDArray[np.float32]]]) -> str:
    """Return 16 hex digits of tensors, each described in words and given by its samples."""
    digest = hashlib.sha256()
    for described, values in samples:
        digest.update(described.encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]


def backend_digest(model: Any) -> str:  # noqa: ANN401  (of a library that is not installed)
    """Return 16 hex digits of a sentence-transformers model whose weights torch does not hold.

    That of OpenVINO is told by its constants, sampled as in `weights_digest`, that of ONNX by
    its file. "" is a model of torch.
    """
    inner: Any = getattr(model[0], "auto_model", None)
    digest = hashlib.sha256()
    if hasattr(getattr(inner, "model", None), "get_ordered_ops"):
        for node in inner.model.get_ordered_ops():
            digest.update(f"{node.get_type_name()} {node.get_output_size()}".encode())
            if node.get_type_name() == "Constant":
                flat = node.data.reshape(-1)
                digest.update(flat[:: max(1, len(flat) // SAMPLES)][:SAMPLES].tobytes())
    elif (path := getattr(inner, "path", None)) is not None:
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    else:
        return ""
    return digest.hexdigest()[:16]


def tokenizer_digest(tokenizer: "PreTrainedTokenizerBase") -> str:
    """Return 16 hex digits of the vocabulary and of how it cuts a probing text."""
    probe = "Naïve CafÉ 3.14 don't\n\tl'eau 東京 e\u0301 state-of-the-art <s> ▁ Ġ"
    ids = tokenizer(probe, add_special_tokens=True, verbose=False).input_ids
    facts = repr((sorted(tokenizer.get_vocab().items()), ids))
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
