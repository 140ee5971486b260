"""What a server counts, for Prometheus; in a registry of its own."""

from collections.abc import Container, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from lastword.engine import SearchEngine

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_TOKENS = (16, 64, 256, 1024, 4096, 16384, 65536)


class ServerMetrics:
    """Counters of one server; gauges are read when they are asked for."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        own: Any = {"registry": self._registry}
        ProcessCollector(**own)
        self._requests = Counter(
            "lastword_requests", "Requests answered.", ("path", "status"), **own
        )
        self._seconds = Histogram(
            "lastword_request_seconds", "Time to an answer.", ("path",), buckets=_SECONDS, **own
        )
        self._batch = Histogram(
            "lastword_batch_size", "Items computed together.", buckets=_SIZES, **own
        )
        self._batch_tokens = Histogram(
            "lastword_batch_tokens", "Tokens of a batch, estimated.", buckets=_TOKENS, **own
        )
        self._batch_seconds = Histogram(
            "lastword_batch_seconds", "Time of a batch.", buckets=_SECONDS, **own
        )
        self._taken = Gauge("lastword_places_taken", "Requests in computation or waiting.", **own)
        self._queue = Gauge("lastword_queue_length", "Items that wait for a batch.", **own)
        self._generation = Gauge("lastword_index_generation", "Generation.", ("index",), **own)
        self._documents = Gauge("lastword_index_documents", "Documents.", ("index",), **own)
        self._damaged = Gauge(
            "lastword_index_damaged", "1: a newer generation cannot be read.", ("index",), **own
        )

    def note_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request; the path is a template of a route, so that there are few."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def note_batch(self, items: int, tokens: int, seconds: float) -> None:
        """Count a batch."""
        self._batch.observe(items)
        self._batch_tokens.observe(tokens)
        self._batch_seconds.observe(seconds)

    def note_places(self, taken: int, queued: int) -> None:
        """Set what is in use now."""
        self._taken.set(taken)
        self._queue.set(queued)

    def note_indexes(self, engines: Mapping[str, SearchEngine], damage: Container[str]) -> None:
        """Set the gauges of indexes; `damage` has those of which a generation was refused."""
        for name, engine in engines.items():
            with engine.reading() as retriever:
                self._generation.labels(name).set(retriever.index.generation)
                self._documents.labels(name).set(retriever.index.documents)
            self._damaged.labels(name).set(name in damage)

    def write(self) -> bytes:
        """Return all of it in the text format of Prometheus."""
        return generate_latest(self._registry)
