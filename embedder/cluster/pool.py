"""A pool of workers: who encodes what, and what happens when one of them dies.

All state belongs to one thread, which is told of events one after another: texts that came in, a
model that is loaded, rows that are there, a worker that is lost.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

from embedder.cluster.slot import WorkerSlot
from embedder.cluster.worker import EncodedWindow, LoadedWorker, WorkerFault
from embedder.encoders.cached import EncodedTexts
from embedder.types import Representation, Role, fingerprint_differences

MOST_LOSSES = 3
"""A worker that dies so often in a row, or texts on which workers die so often, are given up."""
_AT_ONCE = 2  # windows that a worker has: it begins the next while the rows of one travel

Actor = Any
"""A handle of Ray on an `EncodingWorker`."""


@dataclass(slots=True, eq=False)
class _Job:
    """Texts on their way."""

    texts: Sequence[str]
    role: Role
    encoded: "Future[EncodedTexts]" = field(default_factory=Future)
    losses: int = 0


class WorkerPool:
    """Hands texts to workers; a context manager, which holds them.

    Args:
        make: makes a worker, on a machine that Ray chooses; it may have to wait for room.
        kill: ends one.
        fingerprint: that every worker's encoder must have.
        workers: how many.
    """

    def __init__(
        self,
        make: Callable[[], Actor],
        kill: Callable[[Actor], None],
        fingerprint: str,
        workers: int,
    ) -> None:
        self._make, self._kill, self._fingerprint = make, kill, fingerprint
        self.slots = [WorkerSlot(at + 1) for at in range(workers)]
        self.ready: Future[None] = Future()
        """Done when the first worker can encode, or none ever will."""
        self._waiting: deque[_Job] = deque()
        self._jobs: dict[int, list[_Job]] = {slot.number: [] for slot in self.slots}
        self._error: Exception | None = None
        self._events: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._handle_events, name="ray-workers", daemon=True)

    def __enter__(self) -> "WorkerPool":
        self._thread.start()
        for slot in self.slots:
            self._events.put(partial(self._start, slot))
        return self

    def __exit__(self, *error: object) -> None:
        self._events.put(None)
        self._thread.join()
        for slot in self.slots:
            self._end(slot)

    def submit(self, texts: Sequence[str], role: Role) -> "Future[EncodedTexts]":
        """Have texts encoded by whichever worker is free first.

        The future's error is the encoder's, or says that texts or all workers were given up.
        """
        job = _Job(texts, role)
        self._events.put(partial(self._enqueue, job))
        return job.encoded

    def _handle_events(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                event()
            except Exception as error:  # e.g. of Ray, whose own processes may be gone
                self._give_up(_one_line(error))

    def _enqueue(self, job: _Job) -> None:
        if self._error is not None:
            job.encoded.set_exception(self._error)
            return
        self._waiting.append(job)
        self._assign()

    def _start(self, slot: WorkerSlot) -> None:
        actor = self._make()
        slot.began(actor)
        self._watch(actor.load.remote(), partial(self._loaded, slot, actor))

    def _watch(self, reference: Any, then: Callable[[Any], None]) -> None:  # noqa: ANN401
        answer = reference.future()
        answer.add_done_callback(lambda done: self._events.put(partial(then, done)))

    def _loaded(self, slot: WorkerSlot, actor: Actor, answer: "Future[Any]") -> None:
        if slot.actor is not actor:
            return
        error = answer.exception()
        if error is not None:
            self._lose(slot, error)
            return
        loaded = answer.result()
        if isinstance(loaded, WorkerFault):
            self._give_up(loaded.error(f"worker {slot.number} cannot load the model: "))
            return
        assert isinstance(loaded, LoadedWorker), loaded
        if lines := fingerprint_differences(self._fingerprint, loaded.fingerprint):
            differences = "; ".join(lines).replace("index has", "here it is")
            differences = differences.replace("encoder has", "there")
            self._give_up(
                ValueError(
                    f"worker {slot.number} has another model than this machine, or another "
                    f"version of lastword: {differences:.500}"
                )
            )
            return
        slot.loaded(loaded)
        if not self.ready.done():
            self.ready.set_result(None)
        self._assign()

    def _assign(self) -> None:
        """Give waiting texts to loaded workers, first to those that have nothing to do."""
        for depth in range(1, _AT_ONCE + 1):
            for slot in self.slots:
                jobs = self._jobs[slot.number]
                if slot.is_loaded and len(jobs) < depth and self._waiting:
                    job, actor = self._waiting.popleft(), slot.actor
                    jobs.append(job)
                    reference = actor.encode.remote(job.texts, job.role.value)
                    self._watch(reference, partial(self._encoded, slot, actor, job))

    def _encoded(self, slot: WorkerSlot, actor: Actor, job: _Job, answer: "Future[Any]") -> None:
        current = slot.actor is actor
        if current:
            self._jobs[slot.number].remove(job)
        error = answer.exception()
        if error is not None:
            self._retry(job, error)
            if current:
                self._lose(slot, error)
        else:
            slot.losses_in_a_row = 0
            self._finish(slot, job, answer.result())
        self._assign()

    def _finish(self, slot: WorkerSlot, job: _Job, window: EncodedWindow | WorkerFault) -> None:
        if job.encoded.done():
            return
        if isinstance(window, WorkerFault):
            job.encoded.set_exception(window.error())
            return
        slot.encoded(len(job.texts), window)
        rows = Representation.from_arrays(window.arrays)
        job.encoded.set_result((rows, Counter(window.counts)))

    def _retry(self, job: _Job, error: BaseException) -> None:
        """Put the texts of a lost worker before all others, unless they have killed several."""
        job.losses += 1
        if job.encoded.done():
            return
        if job.losses < MOST_LOSSES:
            self._waiting.appendleft(job)
            return
        job.encoded.set_exception(
            OSError(
                f"{MOST_LOSSES} workers died on the same {len(job.texts)} texts; perhaps they "
                f"need more memory than there is: {_one_line(error)}"
            )
        )

    def _lose(self, slot: WorkerSlot, error: BaseException) -> None:
        """Replace a worker that died; its other jobs are told of by themselves."""
        self._end(slot)
        self._jobs[slot.number] = []
        slot.losses += 1
        slot.losses_in_a_row += 1
        if slot.losses_in_a_row < MOST_LOSSES:
            self._start(slot)
        elif all(other.actor is None for other in self.slots):
            self._give_up(
                ConnectionError(
                    f"no worker is left, each died {MOST_LOSSES} times in a row; lastword must be "
                    f"installed on every machine, with room for its model: {_one_line(error)}"
                )
            )

    def _end(self, slot: WorkerSlot) -> None:
        actor = slot.actor
        slot.ended()
        if actor is not None:
            with suppress(Exception):  # it is dead, or Ray is
                self._kill(actor)

    def _give_up(self, error: Exception) -> None:
        """Fail all texts, those that come later too."""
        self._error = self._error or error
        jobs = [*self._waiting, *(job for jobs in self._jobs.values() for job in jobs)]
        self._waiting.clear()
        for job in jobs:
            if not job.encoded.done():
                job.encoded.set_exception(self._error)
        if not self.ready.done():
            self.ready.set_exception(self._error)


def _one_line(error: BaseException) -> Exception:
    """Return an error whose text is the last line of another's: libraries put tracebacks before."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ConnectionError(f"{lines[-1] if lines else type(error).__name__:.300}")
