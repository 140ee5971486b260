"""A server is started, and stopped by a signal: what runs is finished, what comes is refused."""

import logging
import socket
from collections.abc import Callable, Mapping
from types import FrameType

import uvicorn
from fastapi import FastAPI

from embedder.rerank.reranker import PairReranker
from lastword.engine import SearchEngine
from lastword.server.app import make_app
from lastword.server.connections import TimedProtocol
from lastword.server.settings import ServerSettings

STOP_SECONDS = 30  # for what runs when the server is stopped


class _Server(uvicorn.Server):
    """Refuses requests from the signal on, and does not raise it again at the end."""

    def __init__(self, app: FastAPI, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._app, self._started = app, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.server.stopping = True
        self.force_exit = self.should_exit  # the second signal waits for nothing
        self.should_exit = True


def run_server(
    engines: Mapping[str, SearchEngine],
    settings: ServerSettings,
    listener: socket.socket,
    started: Callable[[], None] = lambda: None,
    reranker: PairReranker | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; what runs then is finished.

    Args:
        engines: see `make_app`.
        settings: the same.
        listener: of `listening.open_socket`; closed at the end.
        started: called when requests are answered.
        reranker: see `make_app`.
    """
    app = make_app(engines, settings, reranker)
    _Server(app, make_config(app), started).run(sockets=[listener])


def make_config(app: FastAPI) -> uvicorn.Config:
    """Return how uvicorn serves an app."""
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
