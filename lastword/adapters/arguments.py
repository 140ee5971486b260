"""What adapters are made of: an open index, or an encoder."""

from typing import Any

from embedder.text_encoder import TextEncoder
from lastword.engine import SearchEngine
from lastword.hits import Hit


def check_engine(engine: object) -> SearchEngine:
    """Return an open index as it is.

    Raises:
        TypeError: it is none.
    """
    if isinstance(engine, SearchEngine):
        return engine
    raise TypeError(
        "a retriever needs an index of lastword.open or lastword.build; "
        f"got {type(engine).__name__}"
    )


def check_encoder(encoder: object) -> TextEncoder:
    """Return an encoder as it is.

    Raises:
        TypeError: it is none.
    """
    if isinstance(encoder, TextEncoder):
        return encoder
    raise TypeError(f"expected an encoder of lastword.load_encoder; got {type(encoder).__name__}")


def metadata_of(hit: Hit) -> dict[str, Any]:
    """Return the metadata of a document; where it has a title, with that among them."""
    return {**hit.metadata, "title": hit.title} if hit.title else dict(hit.metadata)
