"""The standard streams of the process: closed ones, narrow encodings, unwritable ones."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRACEBACK = "LASTWORD_TRACEBACK"
"""Environment variable that makes errors show where they arose; it changes no result."""


class Stdout(io.TextIOWrapper):
    """Standard output, whose errors name it: "No space left on device" alone says little."""

    def write(self, text: str) -> int:
        """Write text; what the encoding lacks is escaped."""
        with _named_errors():
            return super().write(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with _named_errors():
            super().flush()


def mend_streams() -> None:
    """Make the three streams usable, whatever the process was started with.

    A closed one is opened on the null device, lest the next file take its number: what a
    library prints would then be written into an index. Writing to a stdout that was closed
    still fails. What an encoding cannot write is escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _open_null(number, name)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    if type(sys.stdout) is io.TextIOWrapper:
        stdout = sys.stdout
        sys.stdout = Stdout(
            stdout.detach(),
            encoding=stdout.encoding,
            errors="backslashreplace",
            line_buffering=stdout.line_buffering,
            write_through=stdout.write_through,
        )


def writes_unicode() -> bool:
    """Whether stdout can write every character."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")


def _open_null(number: int, name: str) -> None:
    opened = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    mode = "r" if name == "stdin" else "w"
    setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = "it is closed" if error.errno == errno.EBADF else error.strerror
        raise OSError(error.errno, f"stdout cannot be written: {why}") from None
