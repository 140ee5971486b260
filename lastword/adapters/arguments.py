"""What adapters are made of: an open index, or an encoder."""

from typing import Any

from embedder.arguments import check_kind
from embedder.text_encoder import TextEncoder
from index.filters.parse import parse_filter
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


def check_filter(filter: str | None) -> str | None:  # noqa: A002  (the word of the command)
    """Return a filter as it is, "" as None.

    Raises:
        TypeError: it is no str.
        ValueError: it cannot be read.
    """
    check_kind(filter, str | None, "filter", "a condition such as 'year >= 2020'")
    if filter:
        parse_filter(filter)
    return filter or None


def metadata_of(hit: Hit) -> dict[str, Any]:
    """Return the metadata of a document; where it has a title, with that among them."""
    return {**hit.metadata, "title": hit.title} if hit.title else dict(hit.metadata)
