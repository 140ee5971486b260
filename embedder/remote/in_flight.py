"""Several things at once, in threads that keep nobody waiting."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")


def do_at_once(
    work: Callable[[Item], Done], items: Sequence[Item], threads: int, stopped: Event
) -> Generator[Done, None, None]:
    """Yield what work makes of items, in their order.

    The threads are daemons: Python waits at its end for those of a pool, and so for a server that
    does not answer, after Ctrl-C or an error of another request.

    Args:
        work: called in several threads.
        items: what it is called with.
        threads: at most so many.
        stopped: set when the caller has gone; nothing is begun then.
    """
    coming: list[Future[Done]] = [Future() for _ in items]
    waiting: SimpleQueue[tuple[Item, Future[Done]]] = SimpleQueue()
    for pair in zip(items, coming, strict=True):
        waiting.put(pair)

    def run() -> None:
        while not stopped.is_set():
            try:
                item, future = waiting.get_nowait()
            except Empty:
                return
            try:
                future.set_result(work(item))
            except BaseException as error:
                future.set_exception(error)

    for _ in range(min(threads, len(items))):
        Thread(target=run, daemon=True).start()
    try:
        for future in coming:
            yield future.result()
    finally:
        stopped.set()
