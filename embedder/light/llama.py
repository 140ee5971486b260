"""A small Llama in numpy: the state and the logits of a text's last token."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from embedder.checkpoints.model_folder import CONFIG, WEIGHTS, check_counts, read_object
from embedder.files.config_file import fill
from embedder.light.stored import read_tensors, widened
from embedder.models.digests import samples_digest, take_samples
from embedder.types import Float32Array

_FIXED = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
}
_EMBEDDINGS, _HEAD = "model.embed_tokens.weight", "lm_head.weight"


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """What config.json says of a Llama that this module computes, by the names there."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_parameters: dict[str, Any]

    def __post_init__(self) -> None:
        if self.num_key_value_heads != self.num_attention_heads:
            raise ValueError("heads share keys")
        if set(self.rope_parameters) != {"rope_type", "rope_theta"}:
            raise ValueError("positions are no plain rotations")

    def weights(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the name and the shape of each weight, in the order of torch's modules."""
        dim, inner = self.hidden_size, self.intermediate_size
        wide = self.num_attention_heads * self.head_dim
        yield _EMBEDDINGS, (self.vocab_size, dim)
        for block in range(self.num_hidden_layers):
            shapes: dict[str, tuple[int, ...]] = {
                **{f"self_attn.{kind}_proj": (wide, dim) for kind in "qkv"},
                "self_attn.o_proj": (dim, wide),
                **{f"mlp.{kind}_proj": (inner, dim) for kind in ("gate", "up")},
                "mlp.down_proj": (dim, inner),
                "input_layernorm": (dim,),
                "post_attention_layernorm": (dim,),
            }
            for name, shape in shapes.items():
                yield f"model.layers.{block}.{name}.weight", shape
        yield "model.norm.weight", (dim,)
        yield _HEAD, (self.vocab_size, dim)


class LightLlama:
    """A Llama (Touvron et al., 2023) as transformers computes it in float32.

    Attributes:
        shape: as config.json has it.
        digest: 16 hex digits, as `weights_digest` has them of the loaded model.
    """

    def __init__(self, folder: Path) -> None:
        """Read config.json and model.safetensors.

        Raises:
            ValueError: it is another model, or damaged.
        """
        check_counts(folder)
        config = read_object(folder / CONFIG)
        if any(config.get(key) != value for key, value in _FIXED.items()):
            raise ValueError(f"{folder}: no Llama that is computed without torch")
        known = {field.name: config.get(field.name) for field in fields(LlamaShape)}
        self.shape = fill(LlamaShape, known, str(folder / CONFIG))
        stored = read_tensors(folder / WEIGHTS)
        expected = dict(self.shape.weights())
        if {name: tensor.shape for name, tensor in stored.items()} != expected:
            raise ValueError(f"{folder}: weights and config.json are of different models")
        self.digest = samples_digest(
            (f"{name} {shape} torch.float32", widened(take_samples(stored[name].reshape(-1))))
            for name, shape in expected.items()
        )
        # Of the tables few rows are read, or none where no words are wanted.
        self._embeddings, self._stored_head = stored.pop(_EMBEDDINGS), stored.pop(_HEAD)
        self._weights = {name: widened(tensor) for name, tensor in stored.items()}

    def read(self, ids: Sequence[int]) -> Float32Array:
        """Return the state of the last of some tokens under the LM head, (dim,)."""
        states = widened(self._embeddings[list(ids)])  # (n, dim)
        turns = self._turns(len(ids))
        for block in range(self.shape.num_hidden_layers):
            name = f"model.layers.{block}"
            normed = self._norm(f"{name}.input_layernorm", states)
            states = states + self._attend(f"{name}.self_attn", normed, turns)
            normed = self._norm(f"{name}.post_attention_layernorm", states)
            gate = self._project(f"{name}.mlp.gate_proj", normed)
            gate = gate / (1 + np.exp(-gate)) * self._project(f"{name}.mlp.up_proj", normed)
            states = states + self._project(f"{name}.mlp.down_proj", gate)
        last: Float32Array = self._norm("model.norm", states[-1:])[0]
        return last

    def logits(self, state: Float32Array) -> Float32Array:
        """Return what is said next in a state, (vocab,)."""
        said: Float32Array = self._head @ state
        return said

    @cached_property
    def _head(self) -> Float32Array:
        return widened(self._stored_head)

    def _norm(self, name: str, states: Float32Array) -> Float32Array:
        variance = np.square(states).mean(axis=1, keepdims=True)
        scale = 1 / np.sqrt(variance + np.float32(self.shape.rms_norm_eps))
        normed: Float32Array = self._weights[f"{name}.weight"] * (states * scale)
        return normed

    def _project(self, name: str, states: Float32Array) -> Float32Array:
        projected: Float32Array = states @ self._weights[f"{name}.weight"].T
        return projected

    def _turns(self, length: int) -> tuple[Float32Array, Float32Array]:
        """Return the cosine and sine of each position's angles, (length, head dim) each."""
        dim, theta = self.shape.head_dim, np.float32(self.shape.rope_parameters["rope_theta"])
        inverse = 1 / theta ** (np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim))
        angles = np.tile(np.outer(np.arange(length, dtype=np.float32), inverse), 2)
        return np.cos(angles), np.sin(angles)

    def _attend(
        self, name: str, states: Float32Array, turns: tuple[Float32Array, Float32Array]
    ) -> Float32Array:
        """Let every token look at those up to itself, (n, dim)."""
        length, heads, dim = len(states), self.shape.num_attention_heads, self.shape.head_dim
        query, key, value = (
            self._project(f"{name}.{kind}_proj", states)
            .reshape(length, heads, dim)
            .transpose(1, 0, 2)
            for kind in "qkv"
        )  # (heads, n, head dim)
        scores = _turned(query, turns) @ _turned(key, turns).transpose(0, 2, 1)
        scores = scores * np.float32(dim**-0.5)
        scores[:, np.triu(np.ones((length, length), np.bool_), 1)] = -np.inf
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        seen = (shares @ value).transpose(1, 0, 2).reshape(length, heads * dim)
        return self._project(f"{name}.o_proj", seen)


def _turned(states: Float32Array, turns: tuple[Float32Array, Float32Array]) -> Float32Array:
    """Rotate pairs of numbers by their positions' angles (RoPE, Su et al., 2021)."""
    half = states.shape[-1] // 2
    across: Float32Array = np.concatenate([-states[..., half:], states[..., :half]], axis=-1)
    return (states * turns[0] + across * turns[1]).astype(np.float32, copy=False)
