"""What rows of token ids begin with together: found, read once, and padded after."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.locks import lock_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import DynamicCache

    from embedder.models.backbone import Backbone

WORTH = 16  # tokens; a shorter start is read again by every row


@dataclass(frozen=True, slots=True)
class SharedPrefix:
    """Ids that rows begin with together, as a model has read them.

    Attributes:
        length: how many; 0 where nothing is shared.
        layers: keys and values of every layer, (1, heads, length, dim) each.
    """

    length: int = 0
    layers: tuple[tuple["Tensor", "Tensor"], ...] = ()

    def cache(self, n: int) -> "DynamicCache | None":
        """Return a cache that n rows share; views, so that no row owns a copy."""
        from embedder.models.kv_cache import growing_cache

        if not self.layers:
            return None
        views = ((k.expand(n, -1, -1, -1), v.expand(n, -1, -1, -1)) for k, v in self.layers)
        return growing_cache(views)


def read_shared_prefix(backbone: "Backbone", rows: Sequence[list[int]], more: int) -> SharedPrefix:
    """Read what all rows begin with, where that is worth it and can be done apart.

    Args:
        backbone: model that reads.
        rows: ids of each row.
        more: tokens that may follow a row.
    """
    import torch

    from embedder.models.kv_cache import new_cache

    shared = shared_length(rows)
    window = getattr(backbone.model.config.get_text_config(), "sliding_window", None)
    # Padding will stand inside of rows, where a window that is too short would count it.
    fits = not window or max(map(len, rows), default=0) + more <= window
    if len(rows) < 2 or shared < WORTH or not backbone.shares_prefix or not fits:
        return SharedPrefix()
    cache = new_cache()
    ids = torch.tensor([rows[0][:shared]], device=backbone.device)
    with lock_of(backbone.model), torch.inference_mode():
        backbone.model.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
    return SharedPrefix(shared, tuple((layer.keys, layer.values) for layer in cache.layers))


def shared_length(rows: Sequence[list[int]]) -> int:
    """Return how many ids all rows begin with, leaving every row at least one of its own."""
    if not rows:
        return 0
    low, high = min(rows), max(rows)  # what these two share, those between them share too
    most = min(map(len, rows)) - 1
    return next((at for at in range(most) if low[at] != high[at]), most)


def pad(rows: Sequence[list[int]], shared: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stack rows that end together, and begin together with the ids they share.

    Returns:
        ids and attention mask, both (n, length) int64; padding comes after the shared ids.
    """
    length = max(map(len, rows))
    ids = np.zeros((len(rows), length), dtype=np.int64)
    mask = np.zeros_like(ids)
    for position, row in enumerate(rows):
        own = length - len(row) + shared
        ids[position, :shared], ids[position, own:] = row[:shared], row[shared:]
        mask[position, :shared], mask[position, own:] = 1, 1
    return ids, mask
