"""The retriever of an open index, which one thread may replace while others read by it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from index.folder import Index
from retrieval.fusion_choice import AUTO, fusion_for
from retrieval.retriever import Retriever


class SharedRetriever:
    """Gives the retriever of now, and closes an old one when nobody reads by it any more.

    Attributes:
        now: the retriever that calls are given.
    """

    def __init__(self, retriever: Retriever) -> None:
        self.now = retriever
        self._lock, self._reopening, self._closed = Lock(), Lock(), False
        self._readers: Counter[Retriever] = Counter()  # number of calls that read by each

    def close(self) -> None:
        """Close the retriever, at once or when the last call that reads by it is over."""
        with self._lock:
            self._closed = True
            self._close_unread(self.now)

    def reopen(self) -> None:
        """Take the index as it is now; where that fails, the old one stays."""
        with self._reopening:  # else of two threads one would leave files open
            old = self.now
            index = Index.open(old.index.path)
            channels = {**old.encoders, **old.outside}
            usual = fusion_for(AUTO, channels, old.index.manifest.fusion)
            fusion = AUTO if old.fusion == usual else old.fusion or AUTO  # as was asked for
            try:
                new = Retriever(index, old.encoders, fusion, old.depth, outside=old.outside)
            except BaseException:
                index.close()
                raise
            with self._lock:
                self.now = new
                self._close_unread(old)

    @contextmanager
    def reading(self) -> Iterator[Retriever]:
        """Give the retriever of now, whose files stay open until the call is over.

        Reading a file that another thread has unmapped would end the process.
        """
        with self._lock:
            if self._closed:
                raise ValueError(f"{self.now.index.path} is closed; open it again")
            retriever = self.now
            self._readers[retriever] += 1
        try:
            yield retriever
        finally:
            with self._lock:
                self._readers[retriever] -= 1
                if self._closed or retriever is not self.now:
                    self._close_unread(retriever)

    def _close_unread(self, retriever: Retriever) -> None:
        """Close a retriever that no call reads by; else the last such call does."""
        if not self._readers[retriever]:
            del self._readers[retriever]
            retriever.close()
