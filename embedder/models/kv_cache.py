"""Keys and values that rows share: prefixes read once, caches made of views, or refused."""

import inspect
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from embedder.inputs.tokenized import shared_length
from embedder.locks import lock_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOST_PREFIXES = 20  # MetaEOL has 8, the same for both roles
WORTH = 16  # tokens; a shorter head is read again by every row


@dataclass(frozen=True, slots=True)
class SharedPrefix:
    """Ids that rows begin with, as a model has read them.

    Attributes:
        length: number of the ids; 0 where nothing is shared.
        layers: keys and values of every layer, (1, heads, length, dim) each.
    """

    length: int = 0
    layers: tuple[tuple[Tensor, Tensor], ...] = ()

    def growing(self, n: int) -> DynamicCache | None:
        """Return a cache that n rows share and add to; views, so that no row owns a copy."""
        if not self.layers:
            return None
        layers = ((k.expand(n, -1, -1, -1), v.expand(n, -1, -1, -1)) for k, v in self.layers)
        return make_cache(layers, DynamicLayer)


class PrefixStore:
    """Prefixes that a model has read; the one whose last use is longest ago is dropped first."""

    def __init__(self, model: "PreTrainedModel", most: int = MOST_PREFIXES) -> None:
        self.model, self.most = model, most
        self._prefixes: OrderedDict[tuple[int, ...], SharedPrefix] = OrderedDict()
        self._using = Lock()

    def of_replica(self, model: "PreTrainedModel") -> "PrefixStore":
        """Return the same prefixes for a model of the same weights, which reads what is missing."""
        store = copy(self)
        store.model = model
        return store

    def read(self, ids: Sequence[int]) -> SharedPrefix:
        """Return the keys and values of a prefix, computed only where they are not stored."""
        key = tuple(ids)
        with lock_of(self.model), torch.inference_mode():
            with self._using:
                found = self._prefixes.get(key)
            if found is None:
                found = self._compute(key)
        with self._using:
            found = self._prefixes.setdefault(key, found)  # a replica may have been faster
            self._prefixes.move_to_end(key)
            while len(self._prefixes) > self.most:
                self._prefixes.popitem(last=False)
            return found

    def _compute(self, key: tuple[int, ...]) -> SharedPrefix:
        cache = DynamicCache()
        rows = torch.tensor([key], device=next(self.model.parameters()).device)
        self.model.base_model(input_ids=rows, past_key_values=cache, use_cache=True)
        layers = tuple((layer.keys, layer.values) for layer in cache.layers)
        return SharedPrefix(len(key), layers)

    def read_shared(self, rows: Sequence[list[int]], more: int) -> SharedPrefix:
        """Read what all rows begin with, where that is worth a pass of its own.

        Args:
            rows: ids of each row.
            more: tokens that may follow a row.
        """
        shared = shared_length(rows)
        window = getattr(self.model.config.get_text_config(), "sliding_window", None)
        # Padding will stand inside of rows, where a window that is too short would count it.
        fits = not window or max(map(len, rows), default=0) + more <= window
        if len(rows) < 2 or shared < WORTH or not fits:
            return SharedPrefix()
        return self.read(rows[0][:shared])


class ReadOnlyLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values that a pass reads and does not add to.

    They are of m rows, and the pass has a multiple of m: the first of them follow the first, and
    so on. A plain layer would keep what it joins, so that at the end of a pass every row held a
    copy of the prefix in every layer; here one layer's copy lives at a time.
    """

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Join the new states to the stored ones, for this layer's attention only."""
        return _join(self.keys, key_states), _join(self.values, value_states)


def _join(before: Tensor, new: Tensor) -> Tensor:
    """Put states (m, heads, length, dim) before those of n rows, copying them once."""
    rows, heads, length, dim = new.shape
    seen = before.shape[2]
    whole = new.new_empty(rows, heads, seen + length, dim)
    whole.view(len(before), -1, *whole.shape[1:])[:, :, :, :seen] = before[:, None]
    whole[:, :, seen:] = new
    return whole


def make_cache(
    layers: Iterable[tuple[Tensor, Tensor]], kind: type[DynamicLayer] = ReadOnlyLayer
) -> DynamicCache:
    """Make a cache of each layer's keys and values, (m, heads, length, dim) each.

    It keeps all keys; sliding windows are then a matter of the mask.
    """
    cache = DynamicCache()
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
