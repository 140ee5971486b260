"""What an index says of its channels, as a line of JSON beside their rows, and back."""

import json
from collections.abc import Mapping, Sequence

from embedder.files.config_file import parse_json
from index.folder import Index
from index.manifest import ChannelSpec, Manifest


def store_channels(index: Index, channels: Sequence[str]) -> str:
    """Write down which encoders made the rows of channels, and what was done to them."""
    manifest = Manifest(0, 1, {name: index.channels[name] for name in channels})
    return json.dumps(manifest.to_json(), sort_keys=True)


def stored_channels(text: str, place: str) -> Mapping[str, ChannelSpec]:
    """Read what `store_channels` wrote.

    Raises:
        ValueError: it is something else; the message begins with `place`.
    """
    return Manifest.from_json(parse_json(text, place), place).channels
