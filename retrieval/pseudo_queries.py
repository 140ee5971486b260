"""Pseudo-queries: short pieces of documents, which stand for queries nobody has asked yet."""

import random

from embedder.prompts.method_rules import PostRules
from embedder.text.reservoir import Reservoir

SHORTEST, LONGEST = 5, 16  # words
_CHARACTERS = 3  # a word's, in scripts without spaces


class TextSample:
    """Texts drawn from a stream, and a pseudo-query of each.

    The same texts and seed give the same sample and queries.
    """

    def __init__(self, rules: PostRules) -> None:
        self._random = random.Random(rules.seed)
        self._texts = Reservoir(rules.count, self._random)

    def add(self, number: int, text: str) -> None:
        """Offer the text of this number; a blank one is not drawn."""
        self._texts.add(number, text)

    @property
    def numbers(self) -> list[int]:
        """Numbers of the texts that were drawn, rising."""
        return [number for number, _ in self._texts.drawn()]

    def queries(self) -> list[str]:
        """Cut a pseudo-query from each text, in the order of `numbers`."""
        return [cut_query(text, self._random) for _, text in self._texts.drawn()]


def cut_query(text: str, source: random.Random) -> str:
    """Cut SHORTEST to LONGEST words from anywhere in a text, which may have fewer."""
    words, length = text.split(), source.randint(SHORTEST, LONGEST)
    if len(words) == 1 and len(text) > SHORTEST * _CHARACTERS:  # as where words touch
        length *= _CHARACTERS
        start = source.randrange(max(1, len(words[0]) - length + 1))
        return words[0][start : start + length]
    start = source.randrange(max(1, len(words) - length + 1))
    return " ".join(words[start : start + length])
