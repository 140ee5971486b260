"""How many documents a source has, and how long they are: all are counted, some are looked at."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from embedder.checkpoints.bundled import BUNDLED_MODEL
from index.documents import Document

_LOOKED_AT = 1000  # documents from the beginning on; tokens of all would take an hour
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class SourceSize:
    """What was counted.

    Attributes:
        documents: all of them.
        tokens: of a text in the mean, by the bundled tokenizer, of the first thousand.
        terms: different words of a text in the mean, of the same.
    """

    documents: int
    tokens: int
    terms: int


def measure_source(documents: Iterable[Document]) -> SourceSize:
    """Read documents once.

    Raises:
        ValueError: there are none.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(BUNDLED_MODEL / "tokenizer.json"))
    count = tokens = terms = 0
    for document in documents:
        count += 1
        if count <= _LOOKED_AT:
            text = document.content
            tokens += len(tokenizer.encode(text, add_special_tokens=False).ids)
            terms += len(set(_WORD.findall(text.lower())))
    if not count:
        raise ValueError("the source has no documents")
    looked_at = min(count, _LOOKED_AT)
    return SourceSize(count, max(1, round(tokens / looked_at)), round(terms / looked_at))
