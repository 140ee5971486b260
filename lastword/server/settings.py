"""What a server is told when it starts."""

import ipaddress
import re
from dataclasses import dataclass

BODY_BYTES = 2 << 20
"""Longest body of a request, as of text-embeddings-inference."""

MOST_REQUESTS = 1000
"""At a time, those included whose body has not come or whose answer has not gone."""

BODY_SECONDS, ANSWER_SECONDS = 10.0, 30.0
"""Longest time for a request's body to come, and for its answer to be computed."""

_ORIGIN = re.compile(r"https?://[^/?#\s*]+")  # as browsers send it: without a path

THREADS = 4  # for what is not batched: explaining, documents, opening a generation


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Who may ask a server, and how much at a time.

    Attributes:
        host: address that it listens at.
        keys: of which one must come with every request; none is needed where there are none.
        writable: whether documents may be added and deleted.
        places: requests that are computed or wait for it; more are refused with 429.
        batch_wait: seconds that a request waits for others to be encoded with it, at most.
        batch_tokens: tokens that are encoded together, at most, as they are estimated.
        client_batch: texts of one request to `/embed` and the like; more are refused with 413.
        origins: of web pages elsewhere that may read answers, e.g. "https://example.org".
        hosts: names by which it is reached beside its address, e.g. behind a proxy.
        seconds: longest time for an answer.
        log_json, log_queries: how requests are logged.

    Raises:
        ValueError: it listens beyond this machine without a key, or an origin is none.
    """

    host: str = "127.0.0.1"
    keys: tuple[str, ...] = ()
    writable: bool = False
    places: int = 256
    batch_wait: float = 0.005
    batch_tokens: int = 16384
    client_batch: int = 32
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    seconds: float = ANSWER_SECONDS
    log_json: bool = False
    log_queries: bool = False

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.keys:
            raise ValueError(
                f"{self.host} can be reached from other machines, and so needs a key: "
                "--api-key-file FILE; 127.0.0.1 is for this machine alone"
            )
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    "--cors takes the origin of a web site, without a path or a slash at its end, "
                    f"as https://example.org or http://localhost:3000; got {origin!r}"
                )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
