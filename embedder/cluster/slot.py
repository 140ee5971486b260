"""The place of one worker in a pool: who fills it now, and what was done there so far."""

import time
from collections import Counter
from typing import Any

from embedder.cluster.options import WorkerReport
from embedder.cluster.worker import EncodedWindow, LoadedWorker


class WorkerSlot:
    """One worker, and those that take its place when it dies.

    Args:
        number: from 1.

    Attributes:
        actor: Ray's handle on the worker; None before the first, and where it was given up.
        is_loaded: whether it has its model.
        losses: workers that died here.
        losses_in_a_row: those since one of them last gave rows.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.actor: Any = None
        self.is_loaded = False
        self.losses = self.losses_in_a_row = 0
        self.counts: Counter[str] = Counter()
        self._node = ""
        self._windows = self._texts = 0
        self._loading = self._encoding = self._held = 0.0
        self._since: float | None = None

    def began(self, actor: Any) -> None:  # noqa: ANN401
        """Take a worker, which is not loaded yet; it may be waiting for a machine."""
        self.actor, self.is_loaded = actor, False

    def loaded(self, worker: LoadedWorker) -> None:
        """Note that the worker runs, and has its model."""
        self.is_loaded = True
        self._node = worker.node
        self._loading += worker.seconds
        self._since = time.monotonic() - worker.seconds

    def encoded(self, texts: int, window: EncodedWindow) -> None:
        """Note rows that it gave."""
        self._windows += 1
        self._texts += texts
        self._encoding += window.seconds
        self.counts.update(window.counts)

    def ended(self) -> None:
        """Note that the worker is gone."""
        self.actor, self.is_loaded = None, False
        if self._since is not None:
            self._held += time.monotonic() - self._since
        self._since = None

    def report(self) -> WorkerReport:
        """Return what was done so far."""
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return WorkerReport(
            worker=self.number,
            node=self._node,
            windows=self._windows,
            texts=self._texts,
            tokens=self.counts["tokens"],
            loading=round(self._loading, 3),
            encoding=round(self._encoding, 3),
            held=round(self._held + running, 3),
            texts_per_second=round(self._texts / self._encoding, 1) if self._encoding else 0.0,
            losses=self.losses,
        )
