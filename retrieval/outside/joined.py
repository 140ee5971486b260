"""Channels outside of an index, joined to its documents by their ids."""

from collections.abc import Mapping

import numpy as np

from embedder.types import Encoder
from index.filters.kept import KeptDocuments
from index.folder import Index
from retrieval.outside.channel import OutsideChannel


def join_channels(outside: Mapping[str, OutsideChannel], index: Index) -> dict[str, OutsideChannel]:
    """Return channels that find the live documents of an index only; each is to be closed.

    Raises:
        ValueError: the index has a channel of that name, or one shares no document with it.
    """
    for name in outside:
        if name in index.channels:
            raise ValueError(
                f"{index.path} has a channel {name!r} of its own; give the other another name, as "
                f"in other=lucene:PATH"
            )
    joined: dict[str, OutsideChannel] = {}
    try:
        ids = index.ids() if outside else []
        for name, channel in outside.items():
            joined[name] = channel.within(ids)
    except BaseException:
        close_channels(joined)
        raise
    return joined


def narrow_channels(
    outside: Mapping[str, OutsideChannel], kept: KeptDocuments
) -> dict[str, OutsideChannel]:
    """Return joined channels that find some documents of the index only, while those are open."""
    mask = kept.among_live if outside else np.zeros(0, np.bool_)
    return {name: channel.among(mask) for name, channel in outside.items()}


def close_channels(outside: Mapping[str, OutsideChannel]) -> None:
    """Close every channel."""
    for channel in outside.values():
        channel.close()


def encoders_of(outside: Mapping[str, OutsideChannel]) -> dict[str, Encoder]:
    """Return the encoder of each channel that needs one."""
    encoders = {name: channel.encoder for name, channel in outside.items()}
    return {name: encoder for name, encoder in encoders.items() if encoder is not None}
