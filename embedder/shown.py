"""What a prompt looks like to a model: the tokens fed, the slot, the position read, the answer."""

from dataclasses import dataclass

from embedder.llm import LLMEncoder
from embedder.types import Role


@dataclass(frozen=True, slots=True)
class Shown:
    """One text through one prompt and model.

    Attributes:
        form: name of the prompt's form that fits the model.
        tokens: (id, string) of every token fed, in order.
        slot: first and one-past-last position of the text.
        read: position whose answer is read (the first one, where the prompt generates).
        words: strongest terms and their weights, strongest first; empty without sparse rows.
    """

    form: str
    tokens: tuple[tuple[int, str], ...]
    slot: tuple[int, int]
    read: int
    words: tuple[tuple[str, float], ...]


def show(encoder: LLMEncoder, text: str, role: Role, top: int = 10) -> Shown:
    """Say what is fed for a text and what comes out."""
    fed = encoder.fed(text, role).rows[0]
    ids = fed.ids
    names = encoder.backbone.tokenizer.convert_ids_to_tokens(ids)
    start, end = fed.slots[0][0].start, fed.slots[0][0].stop
    row = encoder.encode([text], role).sparse
    words: list[tuple[str, float]] = []
    if row is not None:
        called = encoder.term_names(row[0].indices.tolist(), [text])
        pairs = zip(row[0].indices.tolist(), row[0].data.tolist(), strict=True)
        words = sorted(((called[t], w) for t, w in pairs), key=lambda pair: (-pair[1], pair[0]))
    return Shown(
        form=encoder.reader.form.name,
        tokens=tuple(zip(ids, map(str, names), strict=True)),
        slot=(start, end),
        read=len(ids) - 1,
        words=tuple(words[:top]),
    )
