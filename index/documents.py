"""Documents: what an index is made of and a search returns, and how long ones are cut."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from embedder.files.config_file import parse_json


class UnknownDocumentError(ValueError):
    """An index has no document with an id, or it is deleted."""


@dataclass(frozen=True, slots=True)
class Document:
    """One unit of a collection; what a search returns.

    Attributes:
        id: not empty; distinct within an index.
        title: "" where there is none.
        text: the body.
        metadata: facts about it, as JSON has them; kept and given back, not searched.

    >>> lw.Document("keys", "Keys", "Rotate a key every month.", {"year": 1999}).content
    'Keys Rotate a key every month.'
    """

    id: str
    title: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name, value in (("id", self.id), ("title", self.title), ("text", self.text)):
            if not isinstance(value, str):
                raise TypeError(f"document {self.id!r}: {name} must be a str; got {value!r}")
            try:
                value.isascii() or value.encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"document {self.id!r}: {name} is not legal Unicode ({error}); "
                    "repair or replace the character in the source"
                ) from None
        if not self.id:
            raise ValueError("a document needs an id; got an empty one")
        self.metadata_json  # noqa: B018  (which refuses what JSON cannot hold)

    @property
    def metadata_json(self) -> str:
        """The metadata as canonical JSON; "" where there is none.

        Raises:
            TypeError: it is no mapping of names to what JSON can hold.
            ValueError: it is nested too deep, holds half of a character, or gives a name twice.
        """
        try:
            if not isinstance(self.metadata, Mapping):
                raise TypeError(f"got {type(self.metadata).__name__}")
            if not self.metadata:
                return ""
            if not all(isinstance(name, str) for name in self.metadata):
                raise TypeError("a name is no str")
            written = json.dumps(dict(self.metadata), sort_keys=True, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(
                f"document {self.id!r}: metadata must be what JSON can hold "
                f"(text, numbers, true, false, null, lists, objects): {error}"
            ) from None
        parse_json(written, f"document {self.id!r}: metadata", encodable=True)  # as it is read
        return written

    @property
    def content(self) -> str:
        """The text that is encoded: title and text with a space between."""
        return f"{self.title} {self.text}".strip() if self.title else self.text.strip()


@dataclass(frozen=True, slots=True)
class Passages:
    """How long documents are cut.

    Attributes:
        words: most words of a passage; 0 where its tokens are counted.
        overlap: words or tokens that neighbours share; at most so many where sentences are kept.
        tokens: most tokens of a passage with its title, as every model of the index counts them.
        at: where a passage ends: after any word, so that all but the last are of one length; where
            a sentence ends, if one does; or so, and before every heading.
    """

    words: int = 0
    overlap: int = 0
    tokens: int = 0
    at: Literal["words", "sentences", "headings"] = "words"

    def __post_init__(self) -> None:
        both = self.words and self.tokens
        if both or self.size < 1 or not 0 <= self.overlap < self.size:
            raise ValueError(
                "passages need at least one word and an overlap smaller than that, or tokens; "
                f"got {self.words} words, {self.tokens} tokens, overlap {self.overlap}"
            )
        if self.at not in ("words", "sentences", "headings") or (
            self.tokens and self.at == "words"
        ):
            raise ValueError(f"passages of tokens end at sentences or headings; got {self.at!r}")

    @property
    def size(self) -> int:
        """Most words or tokens of a passage."""
        return self.words or self.tokens

    def describe(self) -> str:
        """Say it in words: "passages of at most 512 tokens, which share at most 64"."""
        unit = "words" if self.words else "tokens"
        before = " that end at headings" if self.at == "headings" else ""
        most = f"at most {self.size:,} {unit}"
        return f"passages{before} of {most}, which share at most {self.overlap:,}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data, as it was before there was more than words."""
        data = asdict(self)
        return {key: data[key] for key in ("words", "overlap")} if self.at == "words" else data
