"""Windows of texts that BM25 counts on two cores: by a process beside this one, and by this one."""

from collections import deque
from collections.abc import Sequence

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Representation, Role
from index.segment_builder import SegmentBuilder
from retrieval.counting.process import CountingProcess

_FROM = 4096  # texts; fewer are counted before a process has started
_WAITING = 2  # windows that wait for it; what comes then is counted here
_AHEAD = 64  # windows counted here while it works on an earlier one; bounds memory


class CountedWindows:
    """Counts windows of texts and adds their rows to a segment, in the order of the windows.

    Args:
        encoder: of a spec.
        channel: that the rows are of.
    """

    def __init__(self, encoder: BM25Encoder, channel: str) -> None:
        self._encoder = encoder
        self._channel = channel
        self._process: CountingProcess | None = None
        self._texts = 0
        # Rows, or None where the process has the window; and how many texts it has.
        self._windows: deque[tuple[Representation | None, int]] = deque()

    def add(self, builder: SegmentBuilder, texts: Sequence[str]) -> None:
        """Count a window, now or later, and add those that are counted and next in turn."""
        self._texts += len(texts)
        if self._process is None and self._texts >= _FROM:
            self._process = CountingProcess(self._encoder)
        if self._process is not None and self._process.waiting < _WAITING:
            self._process.ask(texts)
            self._windows.append((None, len(texts)))
        else:
            self._windows.append((self._encoder.encode(texts, Role.DOCUMENT), len(texts)))
        self._add_counted(builder, _AHEAD)

    def finish(self, builder: SegmentBuilder) -> None:
        """Add all rows that are still to come.

        Raises:
            OSError: the process has ended.
        """
        self._add_counted(builder, 0)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _add_counted(self, builder: SegmentBuilder, left: int) -> None:
        """Add the rows that are there, and wait for those that come before the last `left`."""
        while self._windows:
            rows, texts = self._windows[0]
            if self._process is not None and rows is None:
                rows = self._process.next_answer()
                if rows is None and len(self._windows) <= left:
                    return
                if rows is None:
                    self._process.wait()
                    continue
            assert rows is not None
            self._windows.popleft()
            builder.add_rows(self._channel, rows, texts)
