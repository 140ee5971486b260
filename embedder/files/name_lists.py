"""Lists of names that people type: taken apart, checked for repetitions, and hinted at."""

import difflib
from collections.abc import Hashable, Iterable
from typing import TypeVar

_Name = TypeVar("_Name", bound=Hashable)


def split_names(text: str) -> list[str]:
    """Take "dense, bm25" apart at its commas; the empty text has no names."""
    return [name.strip() for name in text.split(",")] if text else []


def first_repeated(names: Iterable[_Name]) -> _Name | None:
    """Return the first name that comes a second time, None where all differ."""
    seen: set[_Name] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def suggest_names(name: str, known: Iterable[str], otherwise: str, most: int = 3) -> str:
    """Say which known names may be meant, at most `most`; `otherwise` where none is like it."""
    lowered = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), lowered, n=most)
    return f"did you mean {' or '.join(lowered[match] for match in near)}?" if near else otherwise
