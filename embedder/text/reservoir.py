"""Draw texts from a stream of any length, which is read once."""

import random


class Reservoir:
    """Texts of a stream, each as likely to be drawn; blank texts are not drawn.

    Random Sampling with a Reservoir (Vitter, ACM TOMS 1985).

    Args:
        count: how many are drawn at most.
        source: of the draws.

    Attributes:
        seen: texts so far that are not blank.
    """

    def __init__(self, count: int, source: random.Random) -> None:
        self._count, self._source = count, source
        self._drawn: list[tuple[int, str]] = []
        self.seen = 0

    def add(self, number: int, text: str) -> None:
        """Offer the text of this number."""
        if not text.strip():
            return
        self.seen += 1
        if len(self._drawn) < self._count:
            self._drawn.append((number, text))
        elif (place := self._source.randrange(self.seen)) < self._count:
            self._drawn[place] = (number, text)

    def drawn(self) -> list[tuple[int, str]]:
        """Return the numbers and texts that are drawn so far, by number."""
        return sorted(self._drawn)
