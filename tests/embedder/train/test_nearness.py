"""Directions from nearness: counts by hand, factors against numpy's own."""

from itertools import chain

import numpy as np
import torch

from embedder.train.data.corpus import TokenizedTexts
from embedder.train.data.nearness import _information, _pairs, near_directions


def texts(*rows: list[int]) -> TokenizedTexts:
    starts = np.cumsum([0, *(len(row) for row in rows)])
    return TokenizedTexts(np.array([*chain(*rows)], dtype=np.uint16), starts)


def test_pairs_by_hand() -> None:
    counts = _pairs(texts([0, 1, 1], [1, 2], [3]), 4)
    wanted = np.zeros((4, 4))
    wanted[0, 1] = wanted[1, 0] = wanted[1, 2] = wanted[2, 1] = 1  # twice in a window is once
    assert np.array_equal(counts, wanted)


def test_windows_end_with_their_text_and_after_24_tokens() -> None:
    long = [0] + [3] * 23 + [1]
    assert _pairs(texts(long), 4)[0, 1] == 0
    assert _pairs(texts(long[1:]), 4)[3, 1] == 1


def test_information_by_hand() -> None:
    counts = np.array([[0, 8, 1], [8, 0, 2], [1, 2, 0]], dtype=np.float32)
    near = counts.sum(1) + 1
    smooth = near**0.75 / (near**0.75).sum()
    wanted = np.zeros((3, 3))
    for a, b in ((0, 1), (1, 0), (1, 2), (2, 1)):  # a pair seen once is chance
        wanted[a, b] = max(0.0, np.log(counts[a, b] / near[a] / smooth[b]))
    assert np.allclose(_information(counts.copy()), wanted, atol=1e-6)


def test_directions_are_the_leading_factors() -> None:
    rng = np.random.default_rng(0)
    topics = [list(rng.integers(10 * t, 10 * t + 10, size=12)) for t in range(5) for _ in range(40)]
    passages = texts(*topics)
    got = near_directions(passages, 50, 5, np.random.default_rng(1))
    left, strength, _ = np.linalg.svd(_information(_pairs(passages, 50)))
    wanted = torch.from_numpy(left[:, :5] * np.sqrt(strength[:5])).float()
    unit = torch.nn.functional.normalize
    nearness = unit(got, dim=1) @ unit(got, dim=1).T
    assert torch.allclose(nearness, unit(wanted, dim=1) @ unit(wanted, dim=1).T, atol=0.4)
    same = torch.arange(50) // 10
    alike = same[:, None] == same[None]
    assert nearness[alike].min() > nearness[~alike].max()
    assert torch.equal(got, near_directions(passages, 50, 5, np.random.default_rng(1)))
