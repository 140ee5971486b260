"""How many floating-point operations a decoder needs to read a text, by its config alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedder.checkpoints.bundled import BUNDLED_MODEL, BUNDLED_NAME
from embedder.checkpoints.hub import cached_folder
from embedder.checkpoints.model_folder import CONFIG, read_object

_PLAIN_MLP = {"gpt2", "gpt_neox", "gptj", "opt", "bloom", "phi", "falcon", "starcoder2"}
"""Kinds of models whose feed-forward blocks have two matrices; those of others have three."""

FORMULA = (
    "blocks x (2 x matrices x (T + S) + 4 x heads x head_dim x sum of positions) "
    "+ 2 x hidden x vocabulary; matrices = hidden x (2 heads + 2 kv_heads) x head_dim "
    "+ {3 or 2} x hidden x intermediate"
)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The sizes that decide what a decoder costs.

    Attributes:
        hidden: width of the states, which is that of dense rows.
        layers: blocks.
        heads: of queries in each block.
        kv_heads: of keys and values.
        head_dim: width of one.
        intermediate: width within the feed-forward block.
        mlp_matrices: 3 where that is gated, else 2.
        vocabulary: words of the output matrix.
    """

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    mlp_matrices: int
    vocabulary: int

    @staticmethod
    def of_model(name: str) -> "ModelShape":
        """Read the config of the bundled model, a folder, or a model of the hub's cache.

        Raises:
            ValueError: there is no such config here, or it is none of a plain decoder.
        """
        return ModelShape.of_config(read_object(find_config_folder(name) / CONFIG), name)

    @staticmethod
    def of_config(config: dict[str, Any], name: str) -> "ModelShape":
        """Take the sizes from a config.

        Raises:
            ValueError: a size is missing, or experts take turns.
        """
        if any(config.get(key) for key in ("num_experts", "num_local_experts")):
            raise ValueError(f"{name} is a mixture of experts; plan counts plain decoders only")
        hidden = _size(config, name, "hidden_size", "n_embd")
        heads = _size(config, name, "num_attention_heads", "n_head")
        return ModelShape(
            hidden=hidden,
            layers=_size(config, name, "num_hidden_layers", "n_layer"),
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or hidden // heads,
            intermediate=_size(config, name, "intermediate_size", "ffn_dim"),
            mlp_matrices=2 if config.get("model_type") in _PLAIN_MLP else 3,
            vocabulary=_size(config, name, "vocab_size"),
        )

    @property
    def block_matrices(self) -> int:
        """Weights of the matrices of one block."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return attention + self.mlp_matrices * self.hidden * self.intermediate

    @property
    def parameters(self) -> int:
        """Weights of all matrices; that of words is counted once, as it is held where tied."""
        return self.layers * self.block_matrices + self.hidden * self.vocabulary

    def flops(self, tokens: int, prefix: int) -> int:
        """Count the operations of one text; a product and a sum are two.

        Args:
            tokens: of the text and what the prompt puts behind it.
            prefix: tokens that all texts begin with: they are read once for all, and looked at
                by every token.
        """
        looked_at = tokens * prefix + tokens * (tokens + 1) // 2
        attention = 4 * self.heads * self.head_dim * looked_at
        blocks = self.layers * (2 * self.block_matrices * tokens + attention)
        return blocks + 2 * self.hidden * self.vocabulary


def find_config_folder(name: str) -> Path:
    """Return the folder of the bundled model, of one of the hub's cache, or the folder itself.

    Raises:
        ValueError: there is no config here.
    """
    folder = BUNDLED_MODEL if name == BUNDLED_NAME else Path(name)
    if (folder / CONFIG).is_file():
        return folder
    cached = cached_folder(name)
    if cached is None:
        raise ValueError(
            f"{name}: expected a folder with config.json, a model of the cache or "
            f"{BUNDLED_NAME}; a folder with config.json alone is enough"
        )
    return cached


def _size(config: dict[str, Any], name: str, *keys: str) -> int:
    for key in keys:
        if isinstance(value := config.get(key), int) and value > 0:
            return value
    raise ValueError(f"{name}: its config.json has no {keys[0]}, so its cost cannot be counted")
