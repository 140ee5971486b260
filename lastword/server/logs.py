"""The log of a server: a line for each request and each event, on stderr."""

import json
import sys
import time
import traceback
from typing import Any, TextIO

from embedder.text.printable import printable


class ServerLog:
    """Writes lines of text, or of JSON.

    Args:
        as_json: whether lines are objects.
        stream: where they go; None is stderr as it is then.
    """

    def __init__(self, as_json: bool = False, stream: TextIO | None = None) -> None:
        self._as_json, self._stream = as_json, stream

    def tell(self, text: str) -> None:
        """Write an event."""
        self._write("info", text, {})

    def warn(self, text: str) -> None:
        """Write a fault that somebody should look at."""
        self._write("warning", text, {})

    def fault(self, error: Exception) -> None:
        """Write an error that nobody foresaw, with where it arose."""
        trace = traceback.extract_tb(error.__traceback__)
        places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in trace[-1:-6:-1])
        self._write("error", f"{type(error).__name__}: {error} at {places}", {})

    def request(self, facts: dict[str, Any]) -> None:
        """Write a request that was answered: method, path, status, milliseconds, and so on."""
        text = "{method} {path} {status} {milliseconds} ms".format(**facts)
        more = f" {facts['query']}" if "query" in facts else ""
        self._write("info", text + more, facts)

    def _write(self, level: str, text: str, facts: dict[str, Any]) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self._as_json:
            line = json.dumps({"time": now, "level": level, **(facts or {"message": text})})
        else:
            line = f"{now} {level} {printable(text)}"
        try:
            print(line, file=self._stream or sys.stderr, flush=True)
        except (OSError, ValueError):  # nobody reads it any more
            pass
