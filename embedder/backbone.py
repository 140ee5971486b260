"""Backbone: a causal language model that reads states and logits off last tokens.

One forward pass gives both answers. The LM head runs on last positions only, keys and values of
a shared prefix are computed once, and layers above the one that is read are not run when nobody
asks for logits. Nothing here knows an architecture by name: layers, LM head and cache layout are
found from the loaded module.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from embedder.batching import left_pad

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

KEPT_PREFIXES = 4  # a prompt has one per role


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a pass is asked for.

    Attributes:
        layer: hidden state, -1 after the final norm, i the output of block i, 0 the embeddings.
        hidden: whether the state is wanted.
        logits: whether next-token logits are wanted.
    """

    layer: int = -1
    hidden: bool = True
    logits: bool = True


@dataclass(slots=True)
class Pass:
    """What a pass gave, and what a next one needs to go on.

    Attributes:
        hidden: (n, dim) state at the last position, or None.
        logits: (n, vocab) at the last position, or None.
        mask: (n, seen) bool, True for every token that later tokens may attend to.
        cache: keys and values so far, or None where the pass kept none.
    """

    hidden: Tensor | None
    logits: Tensor | None
    mask: Tensor
    cache: "DynamicCache | None"


class _EnoughError(Exception):
    """Ends a forward pass at the layer that was asked for."""


class Backbone:
    """A loaded causal LM with its tokenizer."""

    def __init__(self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.device = next(model.parameters()).device
        self.layers = decoder_layers(model)
        self.vocab = int(model.config.get_text_config().vocab_size)
        self.shares_prefix = _cache_is_plain(model)
        self._accepted = set(inspect.signature(model.forward).parameters)
        self._base_accepted = set(inspect.signature(model.base_model.forward).parameters)
        self._prefixes: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}

    @torch.inference_mode()
    def read(
        self,
        prefix: tuple[int, ...],
        rows: Sequence[Sequence[int]],
        wanted: Wanted,
        keep_cache: bool = False,
    ) -> Pass:
        """Run prefix + row for every row and answer at each row's last token.

        Args:
            prefix: ids shared by all rows; may be empty.
            rows: n non-empty id sequences.
            wanted: what to answer.
            keep_cache: whether the pass shall be continued by `extend`.
        """
        cache: DynamicCache | None = None
        shared = len(prefix) if self.shares_prefix else 0
        if not shared:
            rows = [[*prefix, *row] for row in rows]
        ids, mask = left_pad(rows, pad=self._pad())
        n = len(rows)
        if shared:
            cache = self._prefix_cache(prefix, n)
        elif keep_cache:
            cache = _new_cache()
        seen = torch.ones((n, shared), dtype=torch.bool)
        full = torch.cat([seen, torch.from_numpy(mask)], dim=1).to(self.device)
        return self._pass(torch.from_numpy(ids).to(self.device), full, cache, wanted)

    @torch.inference_mode()
    def extend(self, before: Pass, tokens: Tensor, wanted: Wanted) -> Pass:
        """Go on with one more token per row; tokens is (n, 1) int64."""
        mask = torch.cat([before.mask, torch.ones_like(tokens, dtype=torch.bool)], dim=1)
        return self._pass(tokens, mask, before.cache, wanted)

    def _pass(
        self, ids: Tensor, mask: Tensor, cache: "DynamicCache | None", wanted: Wanted
    ) -> Pass:
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        inputs: dict[str, Any] = {
            "input_ids": ids,
            "attention_mask": None if bool(mask.all()) and cache is None else mask.long(),
            "position_ids": positions,
            "past_key_values": cache,
            "use_cache": cache is not None,
        }
        if wanted.layer == -1 or not wanted.hidden:
            hidden, logits = self._top(inputs, wanted.logits)
        else:
            hidden, logits = self._inner(inputs, wanted)
        return Pass(hidden if wanted.hidden else None, logits, mask, cache)

    def _top(self, inputs: dict[str, Any], logits: bool) -> tuple[Tensor, Tensor | None]:
        """Read the LM head's input, and its output if asked."""
        head = self.model.get_output_embeddings()
        if not logits or "logits_to_keep" not in self._accepted:
            states = self.model.base_model(**self._fitting(inputs, self._base_accepted))
            last = states.last_hidden_state[:, -1]
            return last, (head(last) if logits else None)
        seen: list[Tensor] = []
        with _hooked(head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))):
            out = self.model(**self._fitting(inputs, self._accepted), logits_to_keep=1)
        return seen[0][:, -1], out.logits[:, -1]

    def _inner(self, inputs: dict[str, Any], wanted: Wanted) -> tuple[Tensor, Tensor | None]:
        """Read the output of an inner block; stop there unless logits are wanted."""
        block = wanted.layer if wanted.layer >= 0 else len(self.layers) + 1 + wanted.layer
        if not 0 <= block < len(self.layers):
            raise ValueError(
                f"layer {wanted.layer} does not exist: the model has {len(self.layers)} blocks, "
                f"so 0 to {len(self.layers) - 1}, or -1 for the state after the final norm"
            )
        seen: list[Tensor] = []

        def keep(state: Tensor) -> None:
            seen.append(state[:, -1])
            if not wanted.logits:
                raise _EnoughError

        with _hooked(_on_block(self.layers, block, keep)):
            try:
                _, logits = self._top(inputs, wanted.logits)
            except _EnoughError:
                logits = None
        return seen[0], logits

    def _prefix_cache(self, prefix: tuple[int, ...], n: int) -> "DynamicCache":
        """Return a cache that n rows share; expanded views, so that no row owns a copy."""
        if prefix not in self._prefixes:
            while len(self._prefixes) >= KEPT_PREFIXES:
                self._prefixes.pop(next(iter(self._prefixes)))
            cache = _new_cache()
            ids = torch.tensor([prefix], device=self.device)
            self.model.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
            self._prefixes[prefix] = [(layer.keys, layer.values) for layer in cache.layers]
        shared = _new_cache()
        for position, (keys, values) in enumerate(self._prefixes[prefix]):
            shared.update(keys[:, :, :0], values[:, :, :0], position)  # makes an empty layer
            layer = shared.layers[position]
            layer.keys = keys.expand(n, -1, -1, -1)
            layer.values = values.expand(n, -1, -1, -1)
        return shared

    def _pad(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(pad if pad is not None else 0)  # masked, so any id of the table does

    @staticmethod
    def _fitting(inputs: dict[str, Any], accepted: set[str]) -> dict[str, Any]:
        return {name: value for name, value in inputs.items() if name in accepted}


def decoder_layers(model: "PreTrainedModel") -> nn.ModuleList:
    """Find the stack of decoder blocks: the outermost list as long as the model is deep."""
    depth = model.config.get_text_config().num_hidden_layers
    for module in model.modules():  # breadth of names: outer modules come first
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise ValueError(f"no list of {depth} decoder blocks was found in {type(model).__name__}")


def _on_block(
    layers: nn.ModuleList, block: int, keep: Callable[[Tensor], None]
) -> "RemovableHandle":
    """Hook the output of block `block` (1-based), or the input of the first for 0."""
    if block == 0:
        return layers[0].register_forward_pre_hook(
            lambda _, args, kwargs: keep(args[0] if args else kwargs["hidden_states"]),
            with_kwargs=True,
        )
    return layers[block - 1].register_forward_hook(
        lambda _, __, output: keep(output if isinstance(output, Tensor) else output[0])
    )


@contextmanager
def _hooked(handle: "RemovableHandle") -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def _new_cache() -> "DynamicCache":
    # Without a config every layer keeps all keys; sliding windows are then a matter of the mask.
    from transformers import DynamicCache

    return DynamicCache()


def _cache_is_plain(model: "PreTrainedModel") -> bool:
    """Tell whether keys and values of a prefix can be computed apart and shared."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    try:
        layers = DynamicCache(config=model.config).layers
    except (KeyError, ValueError, AttributeError):  # a cache that only the model itself can make
        return False
    plain = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)
    return plain and "past_key_values" in inspect.signature(model.base_model.forward).parameters
