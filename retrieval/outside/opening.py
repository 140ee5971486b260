"""Open the channels that a user names beside those of an index."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Protocol

from embedder.types import Encoder
from retrieval.outside.channel import OutsideChannel
from retrieval.outside.joined import close_channels
from retrieval.outside.lucene import AnseriniOptions, open_lucene
from retrieval.outside.specs import LUCENE, OutsideSpec


class HasKind(Protocol):
    """What says of a channel how it is searched: `ChannelSpec`, `ChannelOptions`."""

    @property
    def kind(self) -> str:
        """Dense or inverted."""
        ...


Open = Callable[[OutsideSpec, Mapping[str, Encoder]], OutsideChannel]

_OPEN: Mapping[str, Open] = MappingProxyType(
    {
        LUCENE: lambda spec, encoders: open_lucene(
            spec.place, AnseriniOptions.read(spec.options), encoders
        )
    }
)


@contextmanager
def outside_channels(
    specs: Mapping[str, OutsideSpec], encoders: Mapping[str, Encoder], kinds: Mapping[str, HasKind]
) -> Iterator[dict[str, OutsideChannel]]:
    """Open channels that a user named, for the length of a block: name -> channel.

    A retriever that is made in the block has its own of them, see `OutsideChannel.within`.

    Args:
        specs: name -> what the user wrote.
        encoders: channel of an index -> encoder, of those that are searched.
        kinds: channel of the index -> its kind; words come from inverted ones.

    Raises:
        OSError: a file cannot be read.
        ValueError: one cannot be read or opened; the message names it.
    """
    of_words = {name: each for name, each in encoders.items() if kinds[name].kind == "inverted"}
    opened: dict[str, OutsideChannel] = {}
    try:
        for name, spec in specs.items():
            opened[name] = _OPEN[spec.kind](spec, of_words)
        yield opened
    finally:
        close_channels(opened)
