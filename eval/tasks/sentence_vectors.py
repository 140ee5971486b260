"""One dense row a sentence, for benchmarks in which sentences come again and again."""

import time
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from embedder.progress import Progress, added, silent, watching
from embedder.types import Counted, Encoder, Role
from eval.data.tables import distinct
from eval.runs.record import RunCost, peak_bytes

WINDOW = 1024  # sentences that an encoder gets at once

CHANNEL = "dense"
"""Name of the one run and channel of a benchmark that judges rows of sentences."""


class SentenceRows:
    """Encodes a sentence when its row is first asked for, and never again.

    Sentences are read as queries: what is judged is symmetric, or has no second side, and the
    models that are told their task are told it on that side.

    Args:
        encoder: gives one dense row a sentence.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.fingerprint = encoder.fingerprint
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
            progress: told the number of sentences that were ever encoded.

        Raises:
            ValueError: the encoder gives no dense row or several for a sentence.
        """
        started = time.perf_counter()
        missing = self.missing(sentences)
        for start in range(0, len(missing), WINDOW):
            window, before = missing[start : start + WINDOW], len(self)
            told = partial(added, progress or silent, before)
            with watching(told, len(window)):
                self._rows.update(zip(window, self._encoded(window), strict=True))
            told(len(window))
        self._seconds += time.perf_counter() - started
        return np.stack([self._rows[text] for text in sentences])

    def spent(self) -> RunCost:
        """Return what encoding took since this was asked last."""
        now = self._counts()
        counts = {name: held - self._counted.get(name, 0) for name, held in now.items()}
        cost = RunCost({"encode": self._seconds}, {CHANNEL: counts}, peak_bytes())
        self._seconds, self._counted = 0.0, now
        return cost

    def _counts(self) -> dict[str, int]:
        return dict(self._encoder.counts) if isinstance(self._encoder, Counted) else {}

    def _encoded(self, window: Sequence[str]) -> NDArray[np.float32]:
        read = self._encoder.encode(window, Role.QUERY)
        if read.dense is None:
            raise ValueError("sentences are judged by dense rows; this encoder gives sparse ones")
        if not np.array_equal(read.owner, np.arange(len(window))):
            raise ValueError(
                f"sentences are judged by one row each; this encoder gave {len(read)} rows "
                f"for {len(window)} sentences: take a prompt whose mode reads one"
            )
        return read.dense
