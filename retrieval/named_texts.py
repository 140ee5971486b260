"""Encode texts that have names, so that an error names the text that the model could not read."""

from collections.abc import Sequence

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


def _failure(encoder: Encoder, text: str, role: Role) -> ValueError | None:
    try:
        encoder.encode([text], role)
    except ValueError as error:
        return error
    return None
