"""Keys and values that rows share: caches made of views, repeated, or refused."""

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class _ReadOnlyLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values that a pass reads and does not add to.

    They are of m rows, and the pass has a multiple of m: the first of them follow the first, and
    so on. A plain layer would keep what it joins, so that at the end of a pass every row held a
    copy of the prefix in every layer; here one layer's copy lives at a time.
    """

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Join the new states to those that are lent, for this layer's attention only."""
        return _joined(self.keys, key_states), _joined(self.values, value_states)


def _joined(read_only_cache: Tensor, new: Tensor) -> Tensor:
    """Put lent states (m, heads, length, dim) before those of n rows, copying them once."""
    rows, heads, length, dim = new.shape
    whole = new.new_empty(rows, heads, read_only_cache.shape[2] + length, dim)
    whole.view(len(read_only_cache), -1, *whole.shape[1:])[:, :, :, : read_only_cache.shape[2]] = (
        read_only_cache[:, None]
    )
    whole[:, :, read_only_cache.shape[2] :] = new
    return whole


def new_cache() -> DynamicCache:
    """Make a cache whose layers keep all keys; sliding windows are then a matter of the mask."""
    return DynamicCache()


def read_only_cache(layers: Iterable[tuple[Tensor, Tensor]]) -> DynamicCache:
    """Make a cache of each layer's keys and values (m, heads, length, dim), for one pass."""
    return _holding(layers, _ReadOnlyLayer)


def growing_cache(layers: Iterable[tuple[Tensor, Tensor]]) -> DynamicCache:
    """Make a cache of keys and values (n, heads, length, dim) that passes can add to."""
    return _holding(layers, DynamicLayer)


def _holding(layers: Iterable[tuple[Tensor, Tensor]], kind: type[DynamicLayer]) -> DynamicCache:
    cache = new_cache()
    for keys, values in layers:
        layer = kind()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        cache.layers.append(layer)
    return cache


def is_plain(model: "PreTrainedModel") -> bool:
    """Tell whether keys and values of a prefix can be computed apart and shared."""
    try:
        layers = DynamicCache(config=model.config).layers
    except (KeyError, ValueError, AttributeError):  # a cache that only the model itself can make
        return False
    plain = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)
    return plain and "past_key_values" in inspect.signature(model.base_model.forward).parameters
