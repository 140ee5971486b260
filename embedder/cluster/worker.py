"""What runs on a machine of a cluster: a process with one model, that encodes what it is sent."""

import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from embedder.encoders.load import load_from_spec
from embedder.encoders.specs import from_json
from embedder.models.loading import LLMOptions
from embedder.text_encoder import TextEncoder
from embedder.types import Counted, RefusedTextError, Role

_KINDS: Mapping[str, type[Exception]] = {
    kind.__name__: kind for kind in (ValueError, OSError, ImportError, MemoryError)
}


@dataclass(frozen=True, slots=True)
class WorkerFault:
    """An error of a worker, in words: a library's own class need not be known to the driver.

    Attributes:
        kind: name of a class of _KINDS, or that of another.
        message: of it.
        text: position of the text that could not be read; -1 where no single one is to blame.
    """

    kind: str
    message: str
    text: int = -1

    @staticmethod
    def of(error: Exception) -> "WorkerFault":
        """Put an error into words."""
        if isinstance(error, RefusedTextError):
            return WorkerFault("ValueError", error.reason, error.at)
        known = next((name for name, kind in _KINDS.items() if isinstance(error, kind)), "")
        return WorkerFault(known or type(error).__name__, str(error))

    def error(self, place: str = "") -> Exception:
        """Return the error as one of the driver, after where it happened."""
        if self.text >= 0:
            return RefusedTextError(self.text, self.message)
        if self.kind in _KINDS:
            return _KINDS[self.kind](f"{place}{self.message}")
        return RuntimeError(f"{place}{self.kind}: {self.message}")


@dataclass(frozen=True, slots=True)
class LoadedWorker:
    """What a worker says once its model is loaded.

    Attributes:
        fingerprint: of its encoder.
        node: name of its machine.
        seconds: that loading took.
    """

    fingerprint: str
    node: str
    seconds: float


@dataclass(frozen=True, slots=True)
class EncodedWindow:
    """Rows of texts as arrays, as of `Representation.to_arrays`; counts; and the seconds."""

    arrays: dict[str, NDArray[Any]]
    counts: dict[str, int]
    seconds: float


class EncodingWorker:
    """Holds the model of a spec; Ray makes an actor of it.

    Args:
        spec: of the encoder, as JSON.
        options: how the model runs here.
    """

    def __init__(self, spec: str, options: LLMOptions) -> None:
        self._spec = spec
        self._options = options
        self._encoder: TextEncoder

    def load(self) -> LoadedWorker | WorkerFault:
        """Load the model."""
        started = time.perf_counter()
        try:
            self._encoder = load_from_spec(from_json(self._spec, "of a worker"), self._options)
        except Exception as error:
            return WorkerFault.of(error)
        seconds = time.perf_counter() - started
        return LoadedWorker(self._encoder.fingerprint, socket.gethostname(), seconds)

    def encode(self, texts: Sequence[str], role: str) -> EncodedWindow | WorkerFault:
        """Encode texts; errors are returned, not raised."""
        started, before = time.perf_counter(), self._counts()
        try:
            arrays = self._encoder.encode(texts, Role(role)).to_arrays()
        except Exception as error:
            return WorkerFault.of(error)
        counted = dict(self._counts() - before)
        return EncodedWindow(arrays, counted, time.perf_counter() - started)

    def _counts(self) -> Counter[str]:
        return Counter(self._encoder.counts if isinstance(self._encoder, Counted) else {})
