"""Count the terms of texts for BM25 in a process beside this one, on a core of its own."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO

import numpy as np
from scipy.sparse import csr_matrix

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.load import load_from_spec
from embedder.encoders.specs import from_json, to_json
from embedder.text.term_counts import VOCABULARY
from embedder.types import Representation, Role

_SIZE = struct.Struct("<q")
_PIPE = 2**20  # bytes, so that a window goes in one turn: each turn may wait for the interpreter


class CountingProcess:
    """Counts as a `BM25Encoder` does; calls return at once, and are answered in their order.

    Args:
        encoder: counts the texts as encoded; of a spec, by which the process makes its own.
    """

    def __init__(self, encoder: BM25Encoder) -> None:
        if encoder.spec is None:
            raise ValueError("an encoder with stop words of its own is made in one process only")
        self._encoder = encoder
        # The modules that this process would import, and none from the working directory.
        modules = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)  # noqa: PTH100
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pipesize=_PIPE,
            env={**os.environ, "PYTHONPATH": modules},
            start_new_session=True,  # Ctrl-C is ours
        )
        self._calls = ThreadPoolExecutor(1)
        self._calls.submit(self._ask, to_json(encoder.spec).encode())
        self.waiting = 0

    def encode(self, texts: Sequence[str]) -> "Future[Representation]":
        """Begin to encode texts as documents.

        The result raises OSError where the process has ended.
        """
        self.waiting += 1
        future = self._calls.submit(self._count, list(texts))
        future.add_done_callback(self._answered)
        return future

    def close(self) -> None:
        """End the process; what it has not answered is dropped."""
        self._calls.shutdown(wait=False, cancel_futures=True)
        self._process.kill()
        self._process.wait()
        self._calls.shutdown()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # of what was not written
                    pipe.close()

    def _answered(self, future: "Future[Representation]") -> None:
        self.waiting -= 1

    def _count(self, texts: list[str]) -> Representation:
        answer = self._ask(json.dumps(texts, ensure_ascii=False).encode())
        (count,) = _SIZE.unpack_from(answer)
        numbers = np.frombuffer(answer, np.int64, len(texts) + 1 + count, _SIZE.size)
        indptr, columns = numbers[: len(texts) + 1], numbers[len(texts) + 1 :]
        counts = np.frombuffer(answer, np.float32, count, _SIZE.size + numbers.nbytes)
        rows = csr_matrix((counts, columns, indptr), shape=(len(texts), VOCABULARY))
        self._encoder.note_encoded(rows)
        return Representation(None, rows, np.arange(len(texts)))

    def _ask(self, question: bytes) -> bytes:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            _write(self._process.stdin, question)
            answer = _read(self._process.stdout)
        except BrokenPipeError:
            answer = b""
        if not answer:
            code = self._process.wait()
            raise OSError(f"the process that counts terms for bm25 ended with {code}; start again")
        return answer


def _write(file: IO[bytes], frame: bytes) -> None:
    file.write(_SIZE.pack(len(frame)) + frame)
    file.flush()


def _read(file: IO[bytes]) -> bytes:
    """Read a frame; b"" where there are no more."""
    head = file.read(_SIZE.size)
    return file.read(_SIZE.unpack(head)[0]) if len(head) == _SIZE.size else b""


def _answer() -> None:
    """Answer until the asking side is gone."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    encoder = load_from_spec(from_json(_read(questions).decode(), "bm25"))
    _write(answers, b"ready")
    while texts := _read(questions):
        rows = encoder.encode(json.loads(texts), Role.DOCUMENT).sparse
        assert rows is not None
        indptr, columns = (
            part.astype(np.int64, copy=False) for part in (rows.indptr, rows.indices)
        )
        parts = (_SIZE.pack(rows.nnz), indptr.tobytes(), columns.tobytes(), rows.data.tobytes())
        _write(answers, b"".join(parts))


if __name__ == "__main__":
    _answer()
