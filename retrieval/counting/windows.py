"""Windows of texts that BM25 counts: many by a process beside this one, few by this one."""

from collections.abc import Sequence

import numpy as np

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Role
from index.segment_builder import SegmentBuilder
from retrieval.counting.process import CountingProcess

_FROM = 1 << 22  # characters of a segment; fewer are counted before a process has loaded numba


class CountedWindows:
    """Counts windows of texts and adds their rows to a segment, at its end.

    Args:
        encoder: of a spec.
        channel: that the rows are of.
    """

    def __init__(self, encoder: BM25Encoder, channel: str) -> None:
        self._encoder = encoder
        self._channel = channel
        self._process: CountingProcess | None = None
        self._waiting: list[Sequence[str]] = []
        self._characters = 0  # that wait

    def add(self, texts: Sequence[str]) -> None:
        """Count a window, now or later.

        Raises:
            OSError: the process has ended.
        """
        self._waiting.append(texts)
        self._characters += sum(map(len, texts))
        if self._process is None and self._characters >= _FROM:
            self._process = CountingProcess(self._encoder)
        if self._process is not None:
            for window in self._waiting:
                self._process.add(window)
            self._waiting, self._characters = [], 0

    def finish(self, builder: SegmentBuilder) -> None:
        """Add the rows of all windows since the last call.

        Raises:
            OSError: the process has ended.
        """
        if self._process is not None:
            self._process.ask_postings()
            builder.close_documents()  # meanwhile
            postings = self._process.take_postings()
            owner = np.arange(postings.rows)
            builder.add_postings(self._channel, postings, owner, postings.rows)
        for window in self._waiting:
            rows = self._encoder.encode(window, Role.DOCUMENT)
            builder.add_rows(self._channel, rows, len(window))
        self._waiting, self._characters = [], 0

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
            self._process = None
