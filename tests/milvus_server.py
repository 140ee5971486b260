"""A server of Milvus Lite on this machine, which a test may stop."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class MilvusServer:
    """A server that is running.

    Attributes:
        uri: of it.
        process: that answers.
    """

    uri: str
    process: "subprocess.Popen[bytes]"

    def place(self, collection: str) -> str:
        return f"milvus:{self.uri}/{collection}"


@contextmanager
def serve_milvus(folder: Path) -> Iterator[MilvusServer]:
    """Run a server of the files in a folder, on loopback, while inside."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "milvus_lite", "server", "--host", "127.0.0.1"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--data-dir", str(folder / "data")],
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < until, "no server came up"
                time.sleep(0.05)
        yield MilvusServer(f"http://127.0.0.1:{port}", process)
    finally:
        process.kill()
        process.wait()
