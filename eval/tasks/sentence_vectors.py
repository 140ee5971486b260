"""One dense row a sentence, for benchmarks in which sentences come again and again."""

import time
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.specs import post_rules_of
from embedder.progress import Progress, added, silent, windows
from embedder.types import Counted, Encoder, Role
from eval.data.tables import distinct
from eval.runs.record import RunCost, peak_bytes

WINDOW = 1024  # sentences that an encoder gets at once

CHANNEL = "dense"
"""Name of the one run and channel of a benchmark that judges rows of sentences."""


class SentenceRows:
    """Encodes a sentence when its row is first asked for, and never again.

    Sentences are read as queries: these tasks are symmetric, or have no second side, and models
    with an instruction have it in the query prompt.

    Args:
        encoder: gives one dense row a sentence.

    Attributes:
        post: what the prompt says is done to rows by what they have in common; not done here.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.fingerprint = encoder.fingerprint
        self.post = post_rules_of(encoder)
        self._encoder = encoder
        self._rows: dict[str, NDArray[np.float32]] = {}
        self._seconds = 0.0
        self._counted = self._counts()

    def __len__(self) -> int:
        return len(self._rows)

    def missing(self, sentences: Iterable[str]) -> list[str]:
        """Return the sentences that are not encoded yet, each once."""
        return [text for text in distinct(sentences) if text not in self._rows]

    def of(self, sentences: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Return (n, dim) unit rows, one a sentence, in order.

        Args:
            sentences: any number of them, at least one.
            progress: called with the number of sentences that were ever encoded.

        Raises:
            ValueError: the encoder gives no dense row or several for a sentence.
        """
        start = time.perf_counter()
        missing = self.missing(sentences)
        for window in windows(len(missing), WINDOW, partial(added, progress or silent, len(self))):
            texts = missing[window]
            self._rows.update(zip(texts, self._encode(texts), strict=True))
        self._seconds += time.perf_counter() - start
        return np.stack([self._rows[text] for text in sentences])

    def spent(self) -> RunCost:
        """Return the cost of encoding since the last call."""
        now = self._counts()
        counts = {name: count - self._counted.get(name, 0) for name, count in now.items()}
        cost = RunCost({"encode": self._seconds}, {CHANNEL: counts}, peak_bytes())
        self._seconds, self._counted = 0.0, now
        return cost

    def _counts(self) -> dict[str, int]:
        return dict(self._encoder.counts) if isinstance(self._encoder, Counted) else {}

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = self._encoder.encode(texts, Role.QUERY)
        if rows.dense is None:
            raise ValueError("sentences are judged by dense rows; this encoder gives sparse ones")
        if not np.array_equal(rows.owner, np.arange(len(texts))):
            raise ValueError(
                f"sentences are judged by one row each; this encoder gave {len(rows)} rows "
                f"for {len(texts)} sentences: take a prompt whose mode reads one"
            )
        return rows.dense
