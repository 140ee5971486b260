"""The state of a server: what all its requests share."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from fastapi import Request
from starlette.types import Scope

from lastword.engine import SearchEngine
from lastword.server.batching import BatchQueue
from lastword.server.errors import ServedError
from lastword.server.logs import ServerLog
from lastword.server.metrics import ServerMetrics
from lastword.server.settings import THREADS, ServerSettings

Args = ParamSpec("Args")
Answer = TypeVar("Answer")
QUERY = "lastword.query"
"""Where a route leaves the text of its query in the scope, for the log."""


class ServerState:
    """Settings, engines, the queue of the model, and threads for everything else.

    Attributes:
        engines: by name; a request that names none is for the first.
        taken: places in use.
        stopping: whether new requests are refused.
        damage: name of an index -> why its new generation was refused.
    """

    def __init__(self, engines: Mapping[str, SearchEngine], settings: ServerSettings) -> None:
        self.engines, self.settings = dict(engines), settings
        self.log = ServerLog(settings.log_json)
        self.metrics = ServerMetrics()
        self.queue = BatchQueue(settings.batch_tokens, settings.batch_wait, self.metrics.note_batch)
        self.threads = ThreadPoolExecutor(THREADS, "lastword-serve")
        self._writer = ThreadPoolExecutor(1, "lastword-write")  # an index has one writer
        self.taken, self.stopping = 0, False
        self.damage: dict[str, str] = {}

    def note_request(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that was answered, and log it."""
        path = getattr(scope.get("route"), "path", "other")
        self.metrics.note_request(path, status, seconds)
        facts = {
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "client": (scope.get("client") or ("",))[0],
        }
        if self.settings.log_queries and QUERY in scope:
            facts["query"] = scope[QUERY]
        self.log.request(facts)

    def engine(self, name: str | None) -> tuple[str, SearchEngine]:
        """Return the name and the engine of an index.

        Raises:
            ServedError: 404, there is no such index.
        """
        chosen = next(iter(self.engines)) if name is None else name
        if chosen not in self.engines:
            names = ", ".join(self.engines)
            raise ServedError(404, f"there is no index {chosen!r}; there are {names}")
        return chosen, self.engines[chosen]

    async def run(
        self, function: Callable[Args, Answer], *args: Args.args, **kwargs: Args.kwargs
    ) -> Answer:
        """Return what a function returns, called by a thread."""
        return await asyncio.wrap_future(self.threads.submit(function, *args, **kwargs))

    async def write(
        self, function: Callable[Args, Answer], *args: Args.args, **kwargs: Args.kwargs
    ) -> Answer:
        """Return what a function returns that changes an index, one after the other."""
        return await asyncio.wrap_future(self._writer.submit(function, *args, **kwargs))

    def close(self) -> None:
        """Wait for what runs in threads."""
        for threads in (self.threads, self._writer):
            threads.shutdown(wait=True, cancel_futures=True)


def state_of(request: Request) -> ServerState:
    """Return the state of the server that a request came to."""
    state: ServerState = request.app.state.server
    return state
