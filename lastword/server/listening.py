"""The socket at which a server listens, and its address."""

import os
import socket

UNREAD_SECONDS = 30
"""Longest time in which a client reads nothing of its answer, or is gone; of Linux alone."""


def open_socket(host: str, port: int) -> socket.socket:
    """Listen at an address; port 0 is a free one.

    Raises:
        OSError: it is not an address of this machine, or in use.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        number = error.errno or 0  # those of names that mean no address are negative
        why = os.strerror(number) if number > 0 else error.strerror or error
        raise OSError(f"cannot listen at {host}, port {port}: {why}") from None
    # Connections inherit it: asyncio sets it where `proto` says TCP, and here it is 0. Without it
    # the body of an answer waits 40 ms for the client to acknowledge the headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # inherited, too
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)
    return listener


def address_of(listener: socket.socket) -> str:
    """Return where a socket is reached, as http://HOST:PORT."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
