"""Keys and values that rows share: caches made of views, repeated, or refused."""

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class _Lent(DynamicLayer):  # type: ignore[misc]
    """Keys and values that a pass reads and does not add to.

    A plain layer keeps what it joins, so that at the end of a pass every row holds a copy of the
    prefix in every layer: five times the memory for a long one. Here one layer's copy lives at a
    time.
    """

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Join the new states to those that are lent, for this layer's attention only."""
        return (
            torch.cat([self.keys, key_states], dim=-2),
            torch.cat([self.values, value_states], dim=-2),
        )


def new_cache() -> DynamicCache:
    """Make a cache whose layers keep all keys; sliding windows are then a matter of the mask."""
    return DynamicCache()


def filled(layers: Iterable[tuple[Tensor, Tensor]], keep: bool = False) -> DynamicCache:
    """Make a cache of keys and values (n, heads, length, dim) of every layer.

    Args:
        layers: of each layer, perhaps as views.
        keep: whether the cache takes in what a pass adds, so that another pass can go on from it.
    """
    cache = new_cache()
    for keys, values in layers:
        layer = DynamicLayer() if keep else _Lent()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        cache.layers.append(layer)
    return cache


def repeated(cache: DynamicCache, each: int) -> DynamicCache:
    """Return a cache in which every row stands `each` times in a row, for one pass."""
    return filled(
        (layer.keys.repeat_interleave(each, 0), layer.values.repeat_interleave(each, 0))
        for layer in cache.layers
    )


def is_plain(model: "PreTrainedModel") -> bool:
    """Tell whether keys and values of a prefix can be computed apart and shared."""
    try:
        layers = DynamicCache(config=model.config).layers
    except (KeyError, ValueError, AttributeError):  # a cache that only the model itself can make
        return False
    plain = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)
    return plain and "past_key_values" in inspect.signature(model.base_model.forward).parameters
