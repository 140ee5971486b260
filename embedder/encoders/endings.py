"""Rows that begin alike: what they share is read once for each text, then every ending after it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from embedder.models.backbone import Backbone
from embedder.models.batching import plan
from embedder.models.kv_cache import make_cache
from embedder.models.request import ForwardOutput, ReadRequest


def choose_batch(heads: Sequence[int], endings: Sequence[int], budget: int) -> NDArray[np.int64]:
    """Return the positions of the texts that are read next: equally long heads, longest first.

    Args:
        heads: tokens that the rows of each text share.
        endings: tokens of each text's endings together.
        budget: tokens of a pass.
    """
    batch = plan(heads, 0, budget, equal=True)[0]
    longest = max(endings[at] for at in batch)
    return batch[: max(1, budget // max(1, longest))]


def read_endings(
    backbone: Backbone,
    prefix: tuple[int, ...],
    texts: Sequence[Sequence[list[int]]],
    head: int,
    request: ReadRequest,
) -> ForwardOutput:
    """Read the first `head` ids of each text once, and every ending after them.

    Args:
        backbone: one whose prefixes can be read apart.
        prefix: what rows usually begin with, whose keys and values are kept; computed again where
            a row has merged with it.
        texts: the rows of each text, equally many, which agree in their first `head` ids.
        head: ids read once; each row has more.
        request: what is read of each row's last token.

    Returns:
        The output of all rows: those of the first text, those of the second, and so on.
    """
    before = read_heads(backbone, prefix, texts, head, request)
    return read_after(backbone, before, [[row[head:] for row in rows] for rows in texts], request)


def read_heads(
    backbone: Backbone,
    prefix: tuple[int, ...],
    texts: Sequence[Sequence[list[int]]],
    head: int,
    request: ReadRequest,
) -> ForwardOutput | None:
    """Read the first `head` ids of each text, see `read_endings`, for `read_after` to go on from.

    Returns:
        The pass, as deep as the request wants it, which may be gone on from more than once; None
        where there is no head.
    """
    if head == 0:
        return None
    length = len(prefix)
    apart = head > length and all(tuple(rows[0][:length]) == prefix for rows in texts)
    begun = [rows[0][length if apart else 0 : head] for rows in texts]
    # Keys and values alone are needed of the heads, up to the block that is read at the end.
    below = replace(request, hidden=not request.logits, logits=False)
    output = backbone.read(prefix if apart else (), begun, below, keep_cache=True)
    assert output.cache is not None
    output.cache = make_cache((layer.keys, layer.values) for layer in output.cache.layers)
    return output


def read_after(
    backbone: Backbone,
    before: ForwardOutput | None,
    endings: Sequence[Sequence[list[int]]],
    request: ReadRequest,
) -> ForwardOutput:
    """Read endings of each text, equally many, after its head; no deeper than that was read."""
    rows = [ending for of_text in endings for ending in of_text]
    if before is None:
        return backbone.read((), rows, request)
    return backbone.extend(before, rows, request, each=len(endings[0]))
