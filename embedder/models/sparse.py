"""Logits -> weighted terms: log-saturation, allowed terms, top n, merged forms (pure functions)."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embedder.inputs.vocabulary import TermVocabulary


def term_weights(logits: Tensor) -> Tensor:
    """Return ln(1 + relu(logit)), the log-saturation of SPLADE (Formal et al., SIGIR 2021).

    Args:
        logits: (n, vocab) float, any device; widened first, since bf16 has 8 bits of mantissa.

    Returns:
        (n, vocab) float32, non-negative.
    """
    return torch.log1p(torch.relu(logits.float()))


def merge_forms(weights: Tensor, canonical: Tensor) -> Tensor:
    """Give each canonical column the largest weight of the ids that share it, and the rest none.

    Args:
        weights: (n, vocab) float32.
        canonical: (vocab,) int64, the column each id is counted in.

    Returns:
        (n, vocab) float32.
    """
    index = canonical.expand_as(weights)
    return torch.zeros_like(weights).scatter_reduce(1, index, weights, "amax")


def top_allowed(weights: Tensor, allowed: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """Keep the `top` strongest allowed terms of each text.

    Args:
        weights: (n, vocab) float32.
        allowed: (n, a) int64 columns in increasing order, padded with -1 at the end.
        top: terms kept per text; fewer where fewer are allowed.

    Returns:
        terms (n, t) int64 and their weights (n, t) float32, t = min(top, a). Weight 0 means none.
        Equal weights are kept in column order.
    """
    strengths = weights.gather(1, allowed.clamp(min=0)).masked_fill(allowed < 0, -1.0)  # (n, a)
    order = torch.sort(strengths, dim=1, descending=True, stable=True).indices[:, :top]
    return allowed.gather(1, order), strengths.gather(1, order).clamp(min=0)


def top_outside(weights: Tensor, eligible: Tensor, top: int) -> tuple[Tensor, Tensor]:
    """Keep the `top` strongest terms of each text among the eligible ones.

    Args:
        weights: (n, vocab) float32.
        eligible: (n, vocab) or (vocab,) bool.
        top: terms kept per text.

    Returns:
        terms (n, top) int64 and their weights (n, top) float32; weight 0 means none.
    """
    strengths, terms = weights.masked_fill(~eligible, 0.0).topk(min(top, weights.shape[1]), dim=1)
    return terms, strengths


def select(
    logits: Tensor, allowed: Sequence[NDArray[np.int64]], table: TermVocabulary
) -> tuple[Tensor, Tensor]:
    """Cut logits to each text's terms on the device, so that no full row reaches the host.

    Args:
        logits: (n, vocab) float.
        allowed: n arrays of columns in increasing order; an empty one takes the fallback.
        table: the vocabulary and the rules.

    Returns:
        terms (n, t) int64 and weights (n, t) float32. Weight 0 means none; a term that stands
        twice in a row has the same weight both times.
    """
    rules, device = table.rules, logits.device
    weights = term_weights(logits)
    if table.canonical is not None:
        weights = merge_forms(weights, torch.from_numpy(table.canonical).to(device))
    padded = np.full((len(allowed), max(map(len, allowed), default=0) or 1), -1, dtype=np.int64)
    for row, columns in enumerate(allowed):
        padded[row, : len(columns)] = columns
    own = torch.from_numpy(padded).to(device)
    parts = [top_allowed(weights, own, rules.top)]
    wordless = own[:, :1] < 0  # (n, 1)
    if rules.fallback and bool(wordless.any()):
        parts.append(top_outside(weights, wordless.expand_as(weights), rules.fallback))
    if rules.expansion:
        inside = torch.zeros_like(weights).scatter_reduce(
            1, own.clamp(min=0), (own >= 0).float(), "amax"
        )
        outside = torch.from_numpy(table.expandable).to(device) & (inside == 0)
        parts.append(top_outside(weights, outside, rules.expansion))
    return torch.cat([t for t, _ in parts], dim=1), torch.cat([w for _, w in parts], dim=1)
