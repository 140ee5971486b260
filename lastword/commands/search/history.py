"""Lines that are typed at a prompt: edited by readline, with a history in a private file."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from embedder.files.durable import open_append, replace_file
from embedder.text.printable import printable

KEPT = 1000  # lines
MOST_BYTES = 1 << 20  # of the file; older lines beyond it are not read


def line_reader(file: Path) -> Callable[[str], str]:
    """Return what asks for a line, as `input` does, and remembers it in a file.

    Where the file cannot be read or written, nothing is remembered beyond the process.
    """
    lines = _read_history(file)
    try:
        import readline
    except ImportError:  # a Python without it still takes lines
        pass
    else:
        readline.set_history_length(KEPT)
        for line in lines:
            readline.add_history(line)
    last = lines[-1] if lines else ""

    def read_line(prompt: str) -> str:
        nonlocal last
        sys.stdout.flush()
        line = input(prompt)
        if line.strip() and line != last:
            last = line
            with suppress(OSError), open_append(file) as history:
                history.write(f"{line}\n".encode(errors="replace"))
        return line

    return read_line


def _read_history(file: Path) -> list[str]:
    """Return the lines of a history; make the file, readable for its owner alone, and cut it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open_append(file) as history:
            os.fchmod(history.fileno(), 0o600)
        with file.open("rb") as history:
            history.seek(max(0, os.fstat(history.fileno()).st_size - MOST_BYTES))
            lines = [line for line in history.read().decode(errors="replace").split("\n") if line]
        if len(lines) > 2 * KEPT:
            replace_file(file, "".join(f"{line}\n" for line in lines[-KEPT:]).encode())
            file.chmod(0o600)
    except OSError:
        return []
    return [printable(line) for line in lines[-KEPT:]]
