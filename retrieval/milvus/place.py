"""Where a collection of Milvus is: milvus:http://HOST:19530/COLLECTION, or milvus:FILE.db/NAME."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from index.storage.milvus_address import MILVUS, without_secret

COLLECTION = "lastword"
_PLACE = re.compile(r"(?P<uri>(?P<scheme>https?|tcp):/+[^/]+|.+?\.db)(?:/(?P<name>[^/]*))?/?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


@dataclass(frozen=True, slots=True)
class MilvusPlace:
    """A collection and its server.

    Attributes:
        uri: of a server, or the path of a file that ends in .db.
        collection: letters, digits and "_".
    """

    uri: str
    collection: str

    def __str__(self) -> str:
        return f"{MILVUS}{self.uri}/{self.collection}"

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port of the server, None for a file."""
        parts = urlsplit(self.uri)
        if not parts.hostname:
            return None
        return parts.hostname, parts.port or (443 if parts.scheme == "https" else 19530)

    @staticmethod
    def parse(text: str) -> "MilvusPlace":
        """Read milvus:URI/COLLECTION; without a name the collection is "lastword".

        Raises:
            ValueError: it is none, or holds a name and password.
        """
        found = _PLACE.fullmatch(text.removeprefix(MILVUS))
        if not text.startswith(MILVUS) or found is None:
            raise ValueError(
                "a collection of Milvus is written milvus:http://HOST:19530/COLLECTION or "
                f"milvus:FILE.db/COLLECTION; got {without_secret(text)!r}"
            )
        if "@" in found["uri"] and found["scheme"]:
            raise ValueError(
                "an address of Milvus holds no name and password; the environment variable "
                "MILVUS_TOKEN does, as NAME:PASSWORD or a token"
            )
        name = found["name"] or COLLECTION
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"the name of a collection has letters, digits and _, and no digit first; "
                f"got {name!r}"
            )
        uri = re.sub(r":/+", "://", found["uri"], count=1) if found["scheme"] else found["uri"]
        place = MilvusPlace(uri, name)  # a Path has one slash where an address has two
        try:
            _ = place.address
        except ValueError:
            raise ValueError(f"{uri} has no port of a server") from None
        return place
