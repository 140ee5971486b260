"""Prefixes are read once, and the default prompt's stays while candidates come and go."""

from pathlib import Path

import torch

from embedder.models.kv_cache import MOST_PREFIXES, PrefixStore
from embedder.models.loading import LLMOptions, load_backbone


def test_a_prefix_in_use_outlives_many_others(llama: Path) -> None:
    """The store was first in, first out: twenty candidates made the default prompt be read again.

    Between two candidates the default is used, as a search for prompts does.
    """
    backbone, _ = load_backbone(llama, LLMOptions(dtype="float32"))
    store, passes = PrefixStore(backbone.model), []
    backbone.layers[0].register_forward_pre_hook(lambda *_: passes.append(1))
    default = store.read([5, 6, 7])
    for candidate in range(2 * MOST_PREFIXES):
        store.read([8, 9, candidate])
        assert store.read((5, 6, 7)) is default
    assert len(passes) == 1 + 2 * MOST_PREFIXES
    store.read([8, 9, 0])  # dropped meanwhile, as the longest unused
    assert len(passes) == 2 + 2 * MOST_PREFIXES
    assert len(store._prefixes) == MOST_PREFIXES


def test_rows_share_a_view_of_a_prefix(llama: Path) -> None:
    backbone, _ = load_backbone(llama, LLMOptions(dtype="float32"))
    prefix = PrefixStore(backbone.model).read([5, 6, 7])
    cache = prefix.growing(4)
    assert cache is not None and cache.get_seq_length() == prefix.length == 3
    for layer, (keys, values) in zip(cache.layers, prefix.layers, strict=True):
        assert layer.keys.shape[0] == 4 and layer.keys.data_ptr() == keys.data_ptr()
        assert torch.equal(layer.values[3], values[0])
