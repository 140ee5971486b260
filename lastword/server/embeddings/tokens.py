"""Texts as tokens of an encoder: counted, cut at their beginning, and written from token ids."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from embedder.encoders.prompted import language_model_of
from embedder.encoders.sbert import SbertEncoder
from embedder.encoders.sbert_prompt import token_counts
from embedder.locks import lock_of
from embedder.types import Encoder, Role


@dataclass(frozen=True, slots=True)
class TextLength:
    """A text as its encoder reads it.

    Attributes:
        read: tokens that go through the model, prompt included, after cutting.
        over: tokens of the text that are too many; 0 is none.
    """

    read: int
    over: int


@dataclass(frozen=True, slots=True, eq=False)
class TextTokens:
    """What an encoder's tokenizer tells of texts.

    Attributes:
        tokenizer: of the model.
        limit: tokens that are read of a text, counted as `whole` has it; 0 is no limit.
        whole: the string that the limit is of: the text, or what the model is fed.
        special: whether the limit is of special tokens, too.
        measure: texts, role -> how long they are.
    """

    tokenizer: Any
    limit: int
    whole: Callable[[str, Role], str]
    special: bool
    measure: Callable[[Sequence[str], Role], list[TextLength]]

    def cut_start(self, text: str, role: Role) -> str:
        """Cut a text that is too long at its beginning rather than at its end.

        Raises:
            ValueError: the tokenizer does not tell where its tokens stand.
        """
        if not self.tokenizer.is_fast:
            raise ValueError("this tokenizer cuts texts at their end only")
        while text and (over := self.measure([text], role)[0].over):
            with lock_of(self.tokenizer):
                read = self.tokenizer(
                    text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
                )
            starts = [start for start, _ in read["offset_mapping"]]
            text = text[max(1, starts[over]) if over < len(starts) else len(text) :]
        return text

    def write(self, ids: Sequence[int], skip_special: bool = False) -> str:
        """Write token ids as text.

        Raises:
            ValueError: one is none of the tokenizer's.
        """
        size = len(self.tokenizer)
        if wrong := [token for token in ids if not 0 <= token < size]:
            raise ValueError(f"{wrong[0]} is no token: ids go from 0 to {size - 1}")
        with lock_of(self.tokenizer):
            return str(self.tokenizer.decode(list(ids), skip_special_tokens=skip_special))

    def cut(self, text: str, role: Role, special: bool) -> list[dict[str, Any]]:
        """Return the tokens of a text, each as id, text, special, and start and stop in it."""
        string = self.whole(text, role) if special else text
        fast = bool(self.tokenizer.is_fast)
        with lock_of(self.tokenizer):
            read = self.tokenizer(
                string,
                add_special_tokens=special and self.special,
                return_offsets_mapping=fast,
                verbose=False,
            )
            names = self.tokenizer.convert_ids_to_tokens(read["input_ids"])
            control = set(self.tokenizer.all_special_ids)
        spans = read["offset_mapping"] if fast else [None] * len(names)
        return [
            {
                "id": token,
                "text": name if span is None or token in control else string[slice(*span)],
                "special": token in control,
                "start": span and span[0],
                "stop": span and span[1],
            }
            for token, name, span in zip(read["input_ids"], names, spans, strict=True)
        ]


def tokens_of(encoder: Encoder) -> TextTokens | None:
    """Return the tokens of an encoder's texts; None where its tokenizer is not at hand."""
    if isinstance(encoder, SbertEncoder):
        return _sbert_tokens(encoder)
    inner = language_model_of(encoder)
    if inner is None:
        return None
    limit, tokenizer = inner.options.max_text_tokens, inner.backbone.tokenizer

    def measure(texts: Sequence[str], role: Role) -> list[TextLength]:
        fed = inner.reader.feed(texts, role, limit)
        return [
            TextLength(each.tokens, _over(text) if each.truncated else 0)
            for each, text in zip(fed, texts, strict=True)
        ]

    def _over(text: str) -> int:
        with lock_of(tokenizer):
            ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return max(1, len(ids) - limit)

    return TextTokens(tokenizer, limit, lambda text, role: text, False, measure)


def _sbert_tokens(encoder: SbertEncoder) -> TextTokens:
    limit, tokenizer = encoder.limit(Role.DOCUMENT), encoder.model.tokenizer

    def whole(text: str, role: Role) -> str:
        return encoder.wordings[role].whole(text)

    def measure(texts: Sequence[str], role: Role) -> list[TextLength]:
        most = encoder.limit(role) or 1 << 30
        with lock_of(encoder.model):
            counts = token_counts([whole(text, role) for text in texts], tokenizer)
        return [TextLength(min(count, most), max(0, count - most)) for count in counts]

    return TextTokens(tokenizer, limit, whole, True, measure)
