"""A process that counts the terms of texts for BM25 beside this one, on a core of its own."""

import json
import os
import select
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from embedder.encoders.bm25 import BM25Encoder
from embedder.module_path import module_path
from index.channels.postings import Postings
from index.channels.postings_files import postings_of, type_of
from index.storage.layout import POSTED

_WORKER = Path(__file__).with_name("worker.py")
_SIZE = struct.Struct("<q")
_PIPE = 1 << 20  # bytes that are on the way while this process does other things
_MOST_WAITING = 1 << 24  # bytes that wait to be sent; with more this process waits


class CountingProcess:
    """Counts as a `BM25Encoder` of one language does, and makes postings of the counts.

    There is no thread for it: one would have to wait for the interpreter at every turn.

    Args:
        encoder: counts the texts as encoded; of a spec, by which the process makes its own.
    """

    def __init__(self, encoder: BM25Encoder) -> None:
        spec = encoder.spec
        if spec is None:
            raise ValueError("an encoder with stop words of its own is made in one process only")
        self._encoder = encoder
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pipesize=_PIPE,
            env={**os.environ, "PYTHONPATH": module_path()},
            process_group=0,  # Ctrl-C is ours
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._questions.fileno(), False)
        self._outgoing: deque[memoryview] = deque()
        self._waiting = 0  # bytes of it
        rules = [spec.language, spec.stop_words, spec.analysis]
        self._send([json.dumps(rules).encode()], _MOST_WAITING)

    def add(self, texts: Sequence[str]) -> None:
        """Have texts counted, behind those before; waits only where many wait already.

        Raises:
            OSError: the process has ended.
        """
        parts = [text.encode() for text in texts]
        sizes = np.fromiter(map(len, parts), np.int64, len(parts))
        self._send([_SIZE.pack(len(parts)), sizes.tobytes(), *parts], _MOST_WAITING)

    def ask_postings(self) -> None:
        """Have the postings made of the texts since the last call; waits until all are sent.

        Raises:
            OSError: the process has ended.
        """
        self._send([], 0)

    def take_postings(self) -> Postings:
        """Return the postings that were asked for, once they are made.

        Raises:
            OSError: the process has ended.
        """
        arrays: dict[str, NDArray[Any]] = {}
        sizes = self._receive(np.int64, len(POSTED)).tolist()
        for name, size in zip(POSTED, sizes, strict=True):
            arrays[name] = self._receive(type_of(name, arrays), size)
        postings = postings_of(arrays)
        self._encoder.note_encoded(postings.rows, int((postings.lengths == 0).sum()))
        return postings

    def close(self) -> None:
        """End the process; what was not taken is dropped."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._questions, self._answers):
            pipe.close()

    def _send(self, frame: Sequence[bytes], most_waiting: int) -> None:
        """Send what is possible without waiting; wait while more than so many bytes are left."""
        message = b"".join([_SIZE.pack(sum(map(len, frame))), *frame])
        self._outgoing.append(memoryview(message))
        self._waiting += len(message)
        pipe = self._questions.fileno()
        try:
            while self._outgoing:
                try:
                    sent = os.write(pipe, self._outgoing[0])
                except BlockingIOError:
                    if self._waiting <= most_waiting:
                        return
                    select.select([], [pipe], [])
                    continue
                self._waiting -= sent
                rest = self._outgoing.popleft()[sent:]
                if rest:
                    self._outgoing.appendleft(rest)
        except BrokenPipeError as error:
            raise self._ended() from error

    def _receive(self, dtype: DTypeLike, count: int) -> NDArray[Any]:
        """Wait for an array."""
        array = np.empty(count, dtype)
        left = array.view(np.uint8).data
        while left:
            size = os.readv(self._answers.fileno(), [left])
            if not size:
                raise self._ended()
            left = left[size:]
        return array

    def _ended(self) -> OSError:
        code = self._process.wait()
        return OSError(f"the process that counts terms for bm25 ended with {code}; start again")
