"""A worker as its asking side sees it: started, asked, and stopped when it takes too long."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from embedder.module_path import module_path
from index.documents import Document
from retrieval.sources import worker
from retrieval.sources.items import Item, Notes, Skipped
from retrieval.sources.listing import SourceFile
from retrieval.sources.options import SourceOptions

_PATIENCE = 5  # times the processor's time that is allowed, by the clock: machines are shared
_PART = 1 << 20
_TIMED_OUT = {getattr(signal, name) for name in ("SIGPROF", "SIGXCPU") if hasattr(signal, name)}


class ParserProcess:
    """A process that parses files one after another; it is started when it is first needed."""

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._running: subprocess.Popen[bytes] | None = None
        self._buffer = bytearray()

    def read(self, file: SourceFile, notes: Notes) -> Iterator[Item]:
        """Yield what a file holds; a file that takes too much time or memory is skipped."""
        request = {
            "id": file.id,
            "path": str(file.path),
            "place": file.place,
            "named": file.named,
            "options": asdict(self._options),
        }
        try:
            running = self._start()
            assert running.stdin is not None
            running.stdin.write(json.dumps(request).encode() + b"\n")
            running.stdin.flush()
            while True:
                message = self._message()
                if "end" in message:
                    notes.merge(Notes(Counter(message["counts"]), message["names"]))
                    return
                if "skipped" in message:
                    yield Skipped(*message["skipped"])
                elif "document" in message:
                    yield message["place"], Document(*message["document"])
        except TimeoutError:
            self.stop()
            reason = f"it takes longer than {self._options.seconds} seconds to parse"
            yield Skipped(file.called, reason)
        except (OSError, EOFError):
            yield Skipped(file.called, self._end())

    def kill(self) -> None:
        """End the process from another thread; the one that reads finds it ended."""
        running = self._running
        if running is not None:
            running.kill()

    def stop(self) -> None:
        """End the process."""
        running, self._running = self._running, None
        self._buffer.clear()
        if running is not None:
            running.kill()
            running.wait()
            for pipe in (running.stdin, running.stdout):
                if pipe is not None:
                    pipe.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        if self._running is None:
            self._running = subprocess.Popen(
                [sys.executable, "-P", worker.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": module_path()},
                start_new_session=True,  # Ctrl-C is ours
                bufsize=0,
            )
        return self._running

    def _message(self) -> dict[str, Any]:
        """Wait for the next message.

        Raises:
            TimeoutError: there is none in time.
            EOFError: the process has ended.
        """
        assert self._running is not None and self._running.stdout is not None
        pipe = self._running.stdout.fileno()
        deadline = time.monotonic() + _PATIENCE * self._options.seconds
        searched = 0
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while (end := self._buffer.find(b"\n", searched)) < 0:
                searched = len(self._buffer)
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise TimeoutError
                part = os.read(pipe, _PART)
                if not part:
                    raise EOFError
                self._buffer += part
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        message: dict[str, Any] = json.loads(line)
        return message

    def _end(self) -> str:
        """Say why the process has ended, and forget it."""
        running = self._running
        code = running.wait() if running is not None else 0
        self.stop()
        if -code in _TIMED_OUT:
            return f"it takes longer than {self._options.seconds} seconds to parse"
        return (
            f"the process that parsed it ended (with {code}): it may take more than "
            f"{self._options.memory_megabytes} MB of memory"
        )
