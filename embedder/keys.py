"""Keys and values that rows share: caches made of views, repeated, or refused."""

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel


def new_cache() -> "DynamicCache":
    """Make a cache whose layers keep all keys; sliding windows are then a matter of the mask."""
    from transformers import DynamicCache

    return DynamicCache()


def filled(layers: Iterable[tuple[Tensor, Tensor]]) -> "DynamicCache":
    """Make a cache of keys and values (n, heads, length, dim) of every layer."""
    cache = new_cache()
    for position, (keys, values) in enumerate(layers):
        cache.update(keys[:, :, :0], values[:, :, :0], position)  # makes an empty layer
        cache.layers[position].keys, cache.layers[position].values = keys, values
    return cache


def repeated(cache: "DynamicCache", each: int) -> "DynamicCache":
    """Return a cache in which every row stands `each` times in a row."""
    return filled(
        (layer.keys.repeat_interleave(each, 0), layer.values.repeat_interleave(each, 0))
        for layer in cache.layers
    )


def is_plain(model: "PreTrainedModel") -> bool:
    """Tell whether keys and values of a prefix can be computed apart and shared."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    try:
        layers = DynamicCache(config=model.config).layers
    except (KeyError, ValueError, AttributeError):  # a cache that only the model itself can make
        return False
    plain = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)
    return plain and "past_key_values" in inspect.signature(model.base_model.forward).parameters
