"""ClusterEncoder: an encoder whose documents are read by the workers of a Ray cluster."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack

from embedder.cluster.connection import Ray, connected
from embedder.cluster.options import RayOptions, WorkerReport
from embedder.cluster.placement import Placement, place_workers
from embedder.cluster.pool import Actor, WorkerPool
from embedder.cluster.worker import EncodingWorker
from embedder.encoders.cached import EncodedTexts
from embedder.encoders.specs import EncoderSpec, LLMSpec, SbertSpec, spec_of, to_json
from embedder.models.loading import LLMOptions
from embedder.progress import tell_begun
from embedder.types import Counted, Encoder, Representation, Role, list_texts

_SILENT = 30.0  # seconds without a worker, after which it is said
_WINDOWS = 8  # for each worker, begun ahead of their use


class ClusterEncoder:
    """Reads queries here, by the encoder that it was given, and documents on a cluster.

    A context manager: workers are there inside. What they load is the encoder's spec, and they
    must come to its fingerprint.

    Args:
        encoder: of `load_encoder`: a language model, or one of sentence-transformers.
        options: which cluster, and how many workers.

    Raises:
        ValueError: the encoder cannot be loaded elsewhere.
    """

    def __init__(self, encoder: Encoder, options: RayOptions) -> None:
        spec = spec_of(encoder)
        if not isinstance(spec, LLMSpec | SbertSpec):
            raise ValueError(
                "workers load a model by its name: one of load_encoder, and none behind an "
                f"address; got {type(encoder).__name__}"
            )
        self.encoder = encoder
        self.spec: EncoderSpec = spec
        self._options = options
        self._stack = ExitStack()
        self._pool: WorkerPool | None = None
        self._counts: Counter[str] = Counter()

    @property
    def fingerprint(self) -> str:
        """That of the encoder."""
        return self.encoder.fingerprint

    @property
    def counts(self) -> Mapping[str, int]:
        """What was counted here, and of calls of `encode` there; not of `submit`."""
        here = self.encoder.counts if isinstance(self.encoder, Counted) else {}
        return dict(self._counts + Counter(here))

    @property
    def ahead(self) -> int:
        """Calls of `submit` that keep all workers busy while their caller does other work."""
        return _WINDOWS * len(self._running.slots)

    def reports(self) -> tuple[WorkerReport, ...]:
        """Return what each worker did."""
        return tuple(slot.report() for slot in self._running.slots) if self._pool else ()

    def __enter__(self) -> "ClusterEncoder":
        with ExitStack() as stack:
            ray = stack.enter_context(connected(self._options.address))
            machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            placement = place_workers(machines, self._options)
            make = _worker_maker(ray, placement, to_json(self.spec), self._options)
            pool = WorkerPool(make, ray.kill, self.fingerprint, placement.workers)
            self._pool = stack.enter_context(pool)
            try:
                pool.ready.result(_SILENT)
            except TimeoutError:
                if not pool.ready.done():
                    tell_begun(
                        f"Waiting for the first of {placement.workers} workers, which needs "
                        f"{placement.describe()} and loads its model."
                    )
                pool.ready.result()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def submit(self, texts: Sequence[str], role: Role) -> "Future[EncodedTexts]":
        """Begin to encode texts on the cluster."""
        return self._running.submit(list_texts(texts), Role(role))

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order, documents on the cluster."""
        if Role(role) is Role.QUERY:
            return self.encoder.encode(texts, role)
        rows, counts = self.submit(texts, role).result()
        self._counts += counts
        return rows

    @property
    def _running(self) -> WorkerPool:
        assert self._pool is not None, "workers are there inside of `with` alone"
        return self._pool


def _worker_maker(
    ray: Ray, placement: Placement, spec: str, options: RayOptions
) -> Callable[[], Actor]:
    """Return what makes a worker."""
    running = LLMOptions(
        device="cuda" if placement.gpus else "cpu",
        token_budget=options.batch_tokens,
        trust_remote_code=options.trust_remote_code,
    )
    actors = ray.remote(EncodingWorker).options(
        num_cpus=placement.cpus,
        num_gpus=placement.gpus,
        max_restarts=0,  # the pool makes another, and knows which texts are lost
        scheduling_strategy="SPREAD",
    )
    return lambda: actors.remote(spec, running)
