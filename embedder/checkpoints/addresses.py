"""Models behind an address: how they are named, and which addresses are asked at all."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

OPENAI, TEI = "openai:", "tei:"
LOCAL = ("localhost", "127.0.0.1", "::1")
_FORMS = "tei:URL, or openai:MODEL@URL"


@dataclass(frozen=True, slots=True)
class RemoteName:
    """A model that a server reads texts with.

    Attributes:
        kind: which interface the server has: OpenAI's, or that of text-embeddings-inference.
        address: under which its routes lie, without a slash at the end.
        model: as the server calls it; "" where a server has one model.
    """

    kind: Literal["openai", "tei"]
    address: str
    model: str = ""

    @property
    def place(self) -> str:
        """Interface and address: what a user trusts with texts, and perhaps with a key."""
        return f"{self.kind}:{self.address}"


def is_remote(name: str) -> bool:
    """Tell whether a model's name is one of a model behind an address."""
    return name.startswith((OPENAI, TEI))


def parse_remote(name: str) -> RemoteName:
    """Read "tei:URL" or "openai:MODEL@URL".

    Raises:
        ValueError: it is neither, or of an address that is not asked.
    """
    kind, _, rest = name.partition(":")
    if kind == "tei":
        check_address(rest, "TEI_API_KEY")
        return RemoteName("tei", rest.rstrip("/"))
    model, _, address = rest.partition("@")
    if kind != "openai" or not model or not address:
        # Not repeated: what stands before an @ may be a password.
        raise ValueError(f"a model behind an address is named as {_FORMS}")
    check_address(address, "OPENAI_API_KEY")
    return RemoteName("openai", address.rstrip("/"), model)


def check_address(address: str, key: str) -> SplitResult:
    """Return the parts of an address such as https://api.example.com/v1.

    Args:
        address: as a user has typed it.
        key: the environment variable in which a key belongs.

    Raises:
        ValueError: it is none, holds a secret, or is neither https nor this machine's.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    if parts.username or parts.password or parts.query or parts.fragment:
        # Not repeated in the message: names and messages end up in journals and logs.
        raise ValueError(
            "an address holds no user, password, query or fragment; give a key by the "
            f"environment variable {key}"
        )
    spelled = address.isprintable() and " " not in address
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not spelled:
        raise ValueError(f"an address is like http://localhost:8000/v1; got {address!r:.200}")
    if parts.scheme == "http" and parts.hostname not in LOCAL:
        raise ValueError(
            f"{address} is neither https nor this machine's: a key and texts would go over "
            "the network for all to read"
        )
    return parts
