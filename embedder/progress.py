"""How far an encoder has come within one call, told to whoever watches this thread.

A call may take minutes on a slow model, and goes through wrappers whose contract is `encode`.
Work that is done once, such as converting a model, is told before it begins.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

Progress = Callable[[int], None]
"""Called with the number of texts or documents that are done so far."""

Announce = Callable[[str], None]
"""Called with a sentence about work that begins."""

_watcher: ContextVar[Progress | None] = ContextVar("watcher", default=None)
_listener: ContextVar[Announce | None] = ContextVar("listener", default=None)


@contextmanager
def watching(report: Progress, texts: int) -> Iterator[None]:
    """Be told inside how many texts were encoded since the beginning, batch by batch.

    Args:
        report: called with the number, never less than before nor more than `texts`.
        texts: that will be encoded; passes over rewritings of a text count no more than this.
    """
    done = 0

    def add(more: int) -> None:
        nonlocal done
        done = min(texts, done + more)
        report(done)

    token = _watcher.set(add)
    try:
        yield
    finally:
        _watcher.reset(token)


def added(report: Progress, before: int, more: int) -> None:
    """Tell a number on top of what was there before."""
    report(before + more)


def windows(total: int, size: int, progress: Progress) -> Iterator[slice]:
    """Yield slices of `size` items; what is encoded between two of them counts as it is encoded."""
    for start in range(0, total, size):
        end = min(start + size, total)
        with watching(partial(added, progress, start), end - start):
            yield slice(start, end)
        progress(end)


def telling_on() -> Progress:
    """Return what tells whoever watches here of texts that a call inside watches by itself."""
    watcher, before = _watcher.get(), 0

    def tell(done: int) -> None:
        nonlocal before
        if watcher is not None:
            watcher(done - before)
        before = done

    return tell


def silent(texts: int) -> None:
    """Tell nobody."""


def tell_encoded(texts: int) -> None:
    """Say that so many more texts went through a model; called by encoders after a batch."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(texts)


@contextmanager
def listening(announce: Announce) -> Iterator[None]:
    """Be told inside of work that is done once and takes long, in a sentence, before it begins."""
    token = _listener.set(announce)
    try:
        yield
    finally:
        _listener.reset(token)


def tell_begun(sentence: str) -> None:
    """Say that such work begins; a warning where nobody listens, lest a program seem stuck."""
    listener = _listener.get()
    if listener is None:
        warnings.warn(sentence, stacklevel=3)
    else:
        listener(sentence)
