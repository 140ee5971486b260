"""Tokens as a person would write them: pieces joined, without the marks of the vocabulary."""

import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SPACES = ("▁", "Ġ", " ")  # what a token begins with where a word begins


def join_tokens(tokenizer: "PreTrainedTokenizerBase", tokens: Sequence[str]) -> str:
    """Join vocabulary strings to text; a space stays at the beginning where a word begins there."""
    if not tokens:
        return ""
    text = unicodedata.normalize("NFC", str(tokenizer.convert_tokens_to_string(list(tokens))))
    opens = tokens[0].startswith(_SPACES) and not text[:1].isspace()
    return f" {text}" if opens else text


def cut_stretches(cuts: Sequence[int], end: int) -> list[tuple[int, int]]:
    """Return the stretches (first, one past the last) of 0..end between cuts."""
    places = sorted({0, end, *(border for border in cuts if 0 <= border <= end)})
    return list(pairwise(places))
