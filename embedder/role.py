"""Which side of a search a text stands on: apart from vectors, so that prompts need no NumPy."""

from enum import StrEnum


class Role(StrEnum):
    """Which side of a search a text stands on; prompts differ by role.

    Encoders take "query" and "document" as well; `Role(...)` refuses anything else.
    """

    QUERY = "query"
    DOCUMENT = "document"

    @classmethod
    def _missing_(cls, value: object) -> "Role":
        raise ValueError(f'a role is "query" or "document"; got {value!r}')
