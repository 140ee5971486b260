"""An app behind a real socket, for clients that people have."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket

import uvicorn
from fastapi import FastAPI

from lastword.server.listening import address_of, open_socket
from lastword.server.running import make_config


class _Signalling(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def live(app: FastAPI) -> Iterator[str]:
    """Serve an app at a free port while inside; return its address."""
    server, listener = _Signalling(make_config(app)), open_socket("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    assert server.ready.wait(30)
    try:
        yield address_of(listener)
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
