"""Encode texts that have names, so that an error names the text that the model could not read."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from embedder.arguments import check_kind
from embedder.types import Encoder, RefusedTextError, Representation, Role


def encode_named(
    encoder: Encoder, texts: Sequence[str], role: Role, names: Sequence[str]
) -> Representation:
    """Encode texts in order.

    Where that fails and the encoder does not say on which text, texts are encoded one by one to
    find it: batches are sorted and cached, so that the encoder itself knows no names.

    Args:
        encoder: of the texts.
        texts: to be encoded.
        role: their side.
        names: one a text, e.g. "document 'd1'"; may come twice.

    Raises:
        TypeError: the encoder gives no Representation.
        ValueError: the encoder's, e.g. of NaN, after the name of the text.
    """
    try:
        rows = encoder.encode(texts, role)
    except RefusedTextError as refusal:
        raise ValueError(f"{names[refusal.at]}: {refusal.reason}") from refusal
    except ValueError as failure:
        failed = [_failure(encoder, text, role) for text in texts[:2]]
        if len(failed) > 1 and all(failed):
            raise  # it is not about one text
        for text, name in zip(texts, names, strict=True):
            if (error := _failure(encoder, text, role)) is not None:
                raise ValueError(f"{name}: {error}") from failure
        raise
    title = f"the result of {type(encoder).__name__}.encode"
    check_kind(rows, Representation, title, "a Representation")
    return rows


def check_queries(queries: Mapping[str, str]) -> None:
    """Refuse a query without text.

    Raises:
        ValueError: one is empty; the message names it.
    """
    for query_id, text in queries.items():
        if not text.strip():
            raise ValueError(f"query {query_id!r} is empty; give it a text")


def encode_queries(
    encoders: Mapping[str, Encoder],
    queries: Mapping[str, str],
    timing: Callable[[str], AbstractContextManager[object]],
) -> dict[str, Representation]:
    """Encode queries once per encoder; return the rows of each channel.

    Args:
        encoders: channel -> encoder; channels of the same object are encoded in one pass.
        queries: query id -> text.
        timing: what a pass runs within, given its name: "encode dense+sparse".
    """
    texts, titles = list(queries.values()), [f"query {name!r}" for name in queries]
    groups: dict[int, list[str]] = {}
    for name, encoder in encoders.items():
        groups.setdefault(id(encoder), []).append(name)
    encoded: dict[str, Representation] = {}
    for names in groups.values():
        with timing(f"encode {'+'.join(names)}"):
            rows = encode_named(encoders[names[0]], texts, Role.QUERY, titles)
        encoded |= dict.fromkeys(names, rows)
    return encoded


def _failure(encoder: Encoder, text: str, role: Role) -> ValueError | None:
    try:
        encoder.encode([text], role)
    except ValueError as error:
        return error
    return None
