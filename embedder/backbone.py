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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from embedder.batching import right_pad

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
        hidden: (n, dim) state at each row's last token, or None.
        logits: (n, vocab) at each row's last token, or None.
        seen: positions that the longest row has taken.
        cache: keys and values so far, or None where the pass kept none.
    """

    hidden: Tensor | None
    logits: Tensor | None
    seen: int
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

        Rows are padded on the right: attention is causal, so no token sees the padding, no mask
        is needed, and distances inside a row stay true for sliding windows.

        Args:
            prefix: ids shared by all rows; may be empty.
            rows: n non-empty id sequences.
            wanted: what to answer.
            keep_cache: whether the pass shall be continued by `extend`; rows are then equally long.
        """
        cache: DynamicCache | None = None
        shared = len(prefix) if self.shares_prefix else 0
        if not shared:
            rows = [[*prefix, *row] for row in rows]
        if shared:
            cache = self._prefix_cache(prefix, len(rows))
        elif keep_cache:
            cache = _new_cache()
        ids, last = right_pad(rows)
        if keep_cache and len(set(last.tolist())) > 1:
            raise ValueError("rows that are continued must be equally long")
        return self._pass(self._here(ids), self._here(last), wanted, shared, cache)

    @torch.inference_mode()
    def extend(self, before: Pass, tokens: Tensor, wanted: Wanted) -> Pass:
        """Go on with one more token per row; tokens is (n, 1) int64."""
        last = torch.zeros_like(tokens[:, 0])
        return self._pass(tokens, last, wanted, before.seen, before.cache)

    def _pass(
        self, ids: Tensor, last: Tensor, wanted: Wanted, seen: int, cache: "DynamicCache | None"
    ) -> Pass:
        length = seen + ids.shape[1]
        inputs: dict[str, Any] = {
            "input_ids": ids,
            "position_ids": torch.arange(seen, length, device=ids.device)[None],
            "past_key_values": cache,
            "use_cache": cache is not None,
        }
        read = _Reader(last)
        if wanted.layer == -1 or not wanted.hidden:
            hidden, logits = self._top(inputs, read, wanted.logits)
        else:
            hidden, logits = self._inner(inputs, read, wanted)
        return Pass(hidden if wanted.hidden else None, logits, length, cache)

    def _top(
        self, inputs: dict[str, Any], read: "_Reader", logits: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Read the LM head's input, and its output if asked."""
        if not logits:
            base = self.model.base_model(**_fitting(inputs, self._base_accepted))
            return read(base.last_hidden_state), None
        # The model's own forward gives the logits, with whatever it does to them (soft caps,
        # scales); the LM head is handed the last tokens instead of all of them.
        kept: list[Tensor] = []

        def last_only(_: nn.Module, states: tuple[Tensor]) -> tuple[Tensor]:
            kept.append(read(states[0]))
            return (kept[0][:, None],)  # (n, 1, dim)

        with _hooked(self.model.get_output_embeddings().register_forward_pre_hook(last_only)):
            out = self.model(**_fitting(inputs, self._accepted))
        return kept[0], out.logits[:, -1]

    def _inner(
        self, inputs: dict[str, Any], read: "_Reader", wanted: Wanted
    ) -> tuple[Tensor, Tensor | None]:
        """Read the output of an inner block; stop there unless logits are wanted."""
        block = wanted.layer if wanted.layer >= 0 else len(self.layers) + 1 + wanted.layer
        if not 0 <= block < len(self.layers):
            raise ValueError(
                f"layer {wanted.layer} does not exist: the model has {len(self.layers)} blocks, "
                f"so 0 to {len(self.layers) - 1}, or -1 for the state after the final norm"
            )
        kept: list[Tensor] = []

        def keep(states: Tensor) -> None:
            kept.append(read(states))
            if not wanted.logits:
                raise _EnoughError

        with _hooked(_on_block(self.layers, block, keep)):
            try:
                _, logits = self._top(inputs, read, wanted.logits)
            except _EnoughError:
                logits = None
        return kept[0], logits

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

    def _here(self, array: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(array).to(self.device)


class _Reader:
    """Take each row's last state: (n, length, dim) -> (n, dim)."""

    def __init__(self, last: Tensor) -> None:
        self.last = last

    def __call__(self, states: Tensor) -> Tensor:
        return states[torch.arange(len(self.last), device=states.device), self.last]


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
