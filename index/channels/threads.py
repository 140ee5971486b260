"""Threads of a search: as many as there are cores, kept, each with a BLAS of one thread."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock
from types import TracebackType
from typing import Any


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Return threads that are kept: starting them takes as long as 100 short queries.

    They belong to a process; one that was forked off makes its own.
    """
    return ThreadPoolExecutor(threads, thread_name_prefix=f"search-{process}")


def run_together(work: Callable[[], None], threads: int) -> None:
    """Run one function in several threads, this one among them, until all have returned.

    Args:
        work: takes its share of what is left to do, until nothing is.
        threads: at least 1. Those that are busy elsewhere until all is done are not waited for.
    """
    others = [pool(os.getpid(), cores()).submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        for other in others:
            if not other.cancel():
                other.result()


class _SingleThreadedBlas:
    """Holds the BLAS of NumPy to one thread for as long as somebody asks for it.

    OpenBLAS lets one product in at a time where it has several threads of its own. Its number is
    of the whole process, so it is changed by the first who comes and put back by the last to go.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._limits: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._limits = _blas().limit(limits=1)
            self._users += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._limits.restore_original_limits()


@cache
def _blas() -> Any:  # noqa: ANN401
    from threadpoolctl import ThreadpoolController  # looks through all libraries: not for one query

    return ThreadpoolController().select(user_api="blas")


single_threaded_blas = _SingleThreadedBlas()
