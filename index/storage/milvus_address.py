"""What names an index that lies in Milvus, and so in no folder."""

import re
from pathlib import Path

MILVUS = "milvus:"


def is_milvus(path: str | Path) -> bool:
    """Tell whether an index is named that lies in Milvus."""
    return str(path).startswith(MILVUS)


def without_secret(address: str) -> str:
    """Return an address without the name and password that it may begin with."""
    before, at, after = address.rpartition("@")
    return f"…@{after}" if at and before else address


def refuse_milvus(path: str | Path) -> None:
    """Refuse an index that lies in Milvus, where a folder is read or made.

    Raises:
        ValueError: says what to give instead.
    """
    if is_milvus(path):
        address = re.sub(r"(https?|tcp):/+", r"\1://", str(path))  # a Path has one slash of two
        raise ValueError(
            f"{without_secret(address)} lies in Milvus, where `lastword search`, `explain` and "
            "`robustness` reach an index; this needs its folder here: give that, and "
            "`lastword push` brings there what changes"
        )
