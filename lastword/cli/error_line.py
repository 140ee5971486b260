"""What an error says to people: one line, with nothing in it that steers a terminal."""

import re
import sqlite3
from typing import Any

import typer

from embedder.text.printable import printable

MOST = 2000  # characters: messages of libraries can hold a whole file

_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""UsageError of click, of which newer versions of typer bring a private copy along."""
_EXPECTED = (ValueError, OSError, MemoryError, ImportError, sqlite3.Error)
"""What a user, a file or a machine can cause; anything else is a fault of ours or a library's."""


def error_line(error: BaseException, traceback_variable: str) -> str:
    """Return what went wrong, in one line.

    Args:
        error: whatever was raised.
        traceback_variable: the environment variable that shows where it was raised; it is named
            where that is what a report of the fault needs.
    """
    if isinstance(error, _UsageError):
        text = _usage(error)
    elif isinstance(error, OSError):
        text = _of_system(error)
    elif isinstance(error, UnicodeEncodeError):
        near = error.object[max(0, error.start - 20) : error.end + 20]
        text = f"not legal Unicode text: {near!r} holds half of a character"
    elif isinstance(error, MemoryError):
        text = str(error) or "out of memory"
    elif isinstance(error, _EXPECTED):
        text = str(error) or type(error).__name__
    elif isinstance(error, SystemExit):
        text = f"stopped by a library: {error.code}"
    else:
        name, message = type(error).__name__, _cut(str(error), MOST - 300)
        text = (
            f"unexpected {name}{': ' if message else ''}{message} (a fault of lastword or of a "
            f"library; {traceback_variable}=1 shows where, for a report)"
        )
    return printable(_cut(re.sub(r"[ \t\r\n]+", " ", text).strip()))


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "lastword"
    message = getattr(error, "format_message", error.__str__)().replace("Value error, ", "")
    text = message.rstrip(".") + _input_text(error, message)
    return f"{text}{'' if text.endswith('?') else '.'} See {command} --help."


def _input_text(error: Exception, message: str) -> str:
    """Return what came where something else was expected, if the message does not say it."""
    cause: Any = error.__cause__
    if not hasattr(cause, "errors"):  # pydantic's, which checks values for typer
        return ""
    value = repr(cause.errors()[0].get("input"))
    return "" if value in message else f"; got {_cut(value, 80)}"


def _of_system(error: OSError) -> str:
    if not error.strerror:
        return str(error) or type(error).__name__
    if error.filename is None:
        return error.strerror
    names = [name for name in (error.filename, error.filename2) if name is not None]
    return f"{error.strerror}: {' -> '.join(map(_file_name, names))}"


def _file_name(name: object) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)


def _cut(text: str, most: int = MOST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
