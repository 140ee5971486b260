"""Count the terms of texts for BM25 in a process beside this one, on a core of its own."""

import json
import os
import select
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

import numpy as np
from scipy.sparse import csr_matrix

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.load import load_from_spec
from embedder.encoders.specs import from_json, to_json
from embedder.module_path import module_path
from embedder.text.term_counts import VOCABULARY
from embedder.types import Representation, Role

_SIZE = struct.Struct("<q")
_PIPE = 2**20  # bytes; so much waits on the way, both ways, while this process does other things


class CountingProcess:
    """Counts as a `BM25Encoder` does. No call waits for it but `wait`; answers come in order.

    There is no thread for it: one would have to wait for the interpreter at every turn.

    Args:
        encoder: counts the texts as encoded; of a spec, by which the process makes its own.

    Attributes:
        waiting: how many calls are not answered yet.
    """

    def __init__(self, encoder: BM25Encoder) -> None:
        if encoder.spec is None:
            raise ValueError("an encoder with stop words of its own is made in one process only")
        self._encoder = encoder
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pipesize=_PIPE,
            env={**os.environ, "PYTHONPATH": module_path()},
            process_group=0,  # Ctrl-C is ours
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._pipes = (self._process.stdin, self._process.stdout)
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._outgoing = bytearray()
        self._incoming = bytearray()
        self.waiting = 0
        self._send(to_json(encoder.spec))

    def ask(self, texts: Sequence[str]) -> None:
        """Have texts encoded as documents."""
        self.waiting += 1
        self._send(json.dumps(texts, ensure_ascii=False))

    def next_answer(self) -> Representation | None:
        """Return the rows of the earliest call that was not answered, None if they are not here.

        Raises:
            OSError: the process has ended.
        """
        self._move()
        if len(self._incoming) < _SIZE.size:
            return None
        (length,) = _SIZE.unpack_from(self._incoming)
        if len(self._incoming) < _SIZE.size + length:
            return None
        answer = bytes(memoryview(self._incoming)[_SIZE.size : _SIZE.size + length])
        del self._incoming[: _SIZE.size + length]
        self.waiting -= 1
        return self._read_rows(answer)

    def wait(self) -> None:
        """Return when something can be sent or has come."""
        outgoing, incoming = self._pipes
        select.select([incoming], [outgoing] if self._outgoing else [], [])

    def close(self) -> None:
        """End the process; what it has not answered is dropped."""
        self._process.kill()
        self._process.wait()
        for pipe in self._pipes:
            pipe.close()

    def _read_rows(self, answer: bytes) -> Representation:
        texts, count = np.frombuffer(answer, np.int64, 2)
        numbers = np.frombuffer(answer, np.int64, texts + 1 + count, 16)
        indptr, columns = numbers[: texts + 1], numbers[texts + 1 :]
        counts = np.frombuffer(answer, np.float32, count, 16 + numbers.nbytes)
        rows = csr_matrix((counts, columns, indptr), shape=(int(texts), VOCABULARY))
        self._encoder.note_encoded(rows)
        return Representation(None, rows, np.arange(texts))

    def _send(self, text: str) -> None:
        frame = text.encode()
        self._outgoing += _SIZE.pack(len(frame)) + frame
        self._move()

    def _move(self) -> None:
        """Send and fetch what is possible without waiting."""
        outgoing, incoming = self._pipes
        with suppress(BlockingIOError, BrokenPipeError):  # the end is seen where answers come
            while self._outgoing:
                del self._outgoing[: os.write(outgoing.fileno(), self._outgoing)]
        with suppress(BlockingIOError):
            while part := os.read(incoming.fileno(), _PIPE):
                self._incoming += part
            code = self._process.wait()
            raise OSError(f"the process that counts terms for bm25 ended with {code}; start again")


def _read(file: IO[bytes]) -> bytes:
    """Read a frame; b"" where there are no more."""
    head = file.read(_SIZE.size)
    return file.read(_SIZE.unpack(head)[0]) if len(head) == _SIZE.size else b""


def _answer() -> None:
    """Answer until the asking side is gone."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    encoder = load_from_spec(from_json(_read(questions).decode(), "bm25"))
    while texts := _read(questions):
        rows = encoder.encode(json.loads(texts), Role.DOCUMENT).sparse
        assert rows is not None
        sizes = (rows.shape[0], rows.nnz)
        numbers = np.concatenate((sizes, rows.indptr, rows.indices)).astype(np.int64, copy=False)
        answer = numbers.tobytes() + rows.data.tobytes()
        answers.write(_SIZE.pack(len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    _answer()
