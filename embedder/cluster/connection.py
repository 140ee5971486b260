"""Find a Ray cluster, or start one on this machine, and leave it again."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from embedder.cluster.options import AUTO, LOCAL
from embedder.environment import environment
from embedder.module_path import module_path

INSTALL = 'pip install "lastword[ray]"'
_PATIENCE = 10.0  # seconds that a machine may take to answer

# Ray speaks HTTP/2, whose sides begin with SETTINGS (RFC 9113, 3.4). What speaks something else it
# would ask for minutes.
_FRAME = 9  # bytes of a frame's head; its type is the byte at 3
_SETTINGS = 4
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0])

Ray = Any
"""The module ray, which is imported only where it is used."""

# Read by Ray when it is imported. The last one makes it listen on the loopback interface alone: so
# it does where machines form no cluster, and the name tells of its beginnings there.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


def check_address(address: str) -> None:
    """Make sure that there is Ray, and something that listens at an address.

    Raises:
        ImportError: the package is missing.
        ValueError: the address is none.
        ConnectionError: nothing answers there.
    """
    found = find_spec("ray")
    if found is None or found.origin is None:  # a folder of that name is no package
        raise ImportError(f"encoding on a Ray cluster needs Ray: {INSTALL}", name="ray")
    if address in (LOCAL, AUTO):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(
            f"a Ray cluster is local, auto or HOST:PORT, such as 10.0.0.5:6379; got {address!r:.80}"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _PATIENCE) as talk:
            talk.sendall(_GREETING)
            answer = talk.recv(_FRAME)
    except OSError as error:
        raise _no_cluster(address, error.strerror or str(error)) from error
    if len(answer) < _FRAME or answer[3] != _SETTINGS:
        raise _no_cluster(address, "what listens there is something else")


def _no_cluster(address: str, reason: str) -> ConnectionError:
    return ConnectionError(
        f"no Ray cluster answers at {address} ({reason}); give the address that "
        "`ray start --head` tells on its first machine"
    )


@contextmanager
def connected(address: str) -> Iterator[Ray]:
    """Connect to a cluster inside; a connection that the program has already is used and stays.

    Raises:
        ImportError, ValueError, ConnectionError: as of `check_address`.
    """
    check_address(address)
    settings = {**_QUIET, **(_LOOPBACK if address == LOCAL else {})}
    with environment({**settings, "PYTHONPATH": module_path()}):
        import ray

        own = not ray.is_initialized()
        if own:
            _connect(ray, address)
    try:
        yield ray
    finally:
        if own:
            ray.shutdown()


def _connect(ray: Ray, address: str) -> None:
    try:
        ray.init(
            address=address,
            include_dashboard=False if address == LOCAL else None,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    except Exception as error:  # of many classes, whose messages have many lines
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0] if lines else type(error).__name__
        raise ConnectionError(f"no Ray cluster at {address}: {reason:.300}") from error
