"""Small real documents and encoders whose scores are exact, so that results can be compared."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from embedder.types import Representation, Role, fingerprint_of
from index.documents import Document

WORDS = (
    "amber basalt cobalt delta ember fjord garnet harbour indigo jasper kelp lagoon marble "
    "nectar onyx pebble quartz reef sable tundra umber violet willow xenon yarrow zephyr"
).split()


def documents(n: int, seed: int = 0, start: int = 0) -> Iterator[Document]:
    """Yield n documents of 3 to 12 words; a document depends on its number and the seed only."""
    for number in range(start, start + n):
        rng = np.random.default_rng([seed, number])
        text = " ".join(rng.choice(WORDS, size=int(rng.integers(3, 13))))
        yield Document(f"d{number}", f"{WORDS[number % 26]} {number}", text)


def queries(n: int = 20) -> dict[str, str]:
    """Return n queries of three words."""
    rng = np.random.default_rng(99)
    return {f"q{at}": " ".join(rng.choice(WORDS, size=3)) for at in range(n)}


class SignEncoder:
    """Dense rows of +-1/8 in 64 dimensions: the signs of the sum of random vectors of the words.

    Inner products are multiples of 1/32 and exact in any order of summation.
    """

    def __init__(self, salt: str = "", query_prompt: str = "") -> None:
        self.salt = salt
        self.query_prompt = query_prompt
        self.texts: list[str] = []

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(kind="signs", salt=self.salt, query_prompt=self.query_prompt)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        self.texts += texts
        rows = [self._row(text) for text in texts]
        dense = np.array(rows, np.float32).reshape(len(texts), 64)
        return Representation(dense, None, np.arange(len(texts)))

    def _row(self, text: str) -> NDArray[np.float32]:
        total = np.ones(64, np.float32) / 2  # breaks even sums; the empty text is legal
        for word in text.split():
            total += word_signs(self.salt + word)
        row: NDArray[np.float32] = (np.sign(total) / 8).astype(np.float32)
        return row


class WordRowsEncoder(SignEncoder):
    """One dense row for each word of a text: several rows may stand for a text, or none."""

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(kind="word rows", salt=self.salt)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        self.texts += texts
        words = [(at, word) for at, text in enumerate(texts) for word in text.split()]
        dense = np.array([word_signs(word) / 8 for _, word in words], np.float32).reshape(-1, 64)
        return Representation(dense, None, np.array([at for at, _ in words], np.int64))


def word_signs(word: str) -> NDArray[np.float32]:
    """Return 64 signs that depend on the word only."""
    bits = np.frombuffer(hashlib.blake2b(word.encode(), digest_size=8).digest(), np.uint8)
    signs: NDArray[np.float32] = np.unpackbits(bits).astype(np.float32) * 2 - 1
    return signs
