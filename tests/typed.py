"""A command in a terminal of its own, a real one as the kernel has it, and who types there."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from tests.folders import ROOT

LIMIT = 60  # seconds by the clock, for machines that have little time


class Terminal:
    """A process of `lastword` whose three streams are a terminal of 100 columns and 30 lines.

    Attributes:
        said: all that has come so far.
    """

    def __init__(self, arguments: Sequence[str], home: Path, pager: str = "cat") -> None:
        self.said = ""
        environment = {"TERM": "xterm", "LASTWORD_HOME": str(home), "PAGER": pager}
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.chdir(ROOT)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # which workers of pytest ignore
            command = [sys.executable, "-m", "lastword", *arguments]
            os.execve(sys.executable, command, {**os.environ, **environment})
        size = struct.pack("HHHH", 30, 100, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def read_until(self, expected: str) -> str:
        """Return what comes next, up to and with a text; bold letters as plain ones."""
        said, end = b"", time.monotonic() + LIMIT
        while expected.encode() not in said:
            ready, _, _ = select.select([self._terminal], [], [], max(0, end - time.monotonic()))
            assert ready, f"{expected!r} did not come: {self.said}{said.decode()}"
            said += self._read()
        text = said.decode().replace("\r\n", "\n")
        self.said += text
        return re.sub(r"\x1b\[[01]m", "", text)

    def type(self, keys: str, expected: str = "search> ") -> str:
        """Press keys; return what comes up to and with a text."""
        os.write(self._terminal, keys.encode())
        return self.read_until(expected)

    def interrupt(self, expected: str = "search> ") -> str:
        """Press Ctrl-C until it is heard: readline misses one that comes as it begins to wait."""
        for _ in range(LIMIT):
            os.write(self._terminal, b"\x03")
            ready, _, _ = select.select([self._terminal], [], [], 1)
            if ready:
                break
        return self.read_until(expected)

    def end(self) -> int:
        """Wait for the end of the process; return its exit code."""
        while part := self._read():
            self.said += part.decode()
        os.close(self._terminal)
        _, status = os.waitpid(self._process, 0)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bytes:
        try:
            return os.read(self._terminal, 4096)
        except OSError:  # how Linux tells that nobody is left at the other side
            return b""
