"""What the words of a command line mean: texts, lists of names, channels and paths."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from embedder.files.name_lists import first_repeated, split_names


def typed_text(name: str) -> Any:  # noqa: ANN401  (typer's type)
    """Return a callback that takes a word of the command line, or a list of them, as text.

    Where the locale is not UTF-8, Python hands on bytes as halves of characters.
    """

    def decode(text: str) -> str:
        try:
            return text.encode(sys.getfilesystemencoding(), "surrogateescape").decode()
        except UnicodeError:
            return text

    def check(text: str) -> str:
        if not any("\ud800" <= character <= "\udfff" for character in text):
            return text
        text = decode(text)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(f"{name} is not legal Unicode text: {text!r}")
        return text

    def callback(value: str | list[str] | None) -> str | list[str] | None:
        return list(map(check, value)) if isinstance(value, list) else value and check(value)

    return callback


def choose_names(
    option: str, text: str, known: Sequence[str], default: Iterable[str] = ()
) -> list[str]:
    """Take a list with commas apart; the empty text means the default.

    Args:
        option: how it is called, for errors.
        text: as it was typed.
        known: the names that there are.
        default: what nothing typed means.

    Raises:
        ValueError: an unknown name, or one that comes twice.
    """
    names = split_names(text) or list(default)
    if set(names) - set(known) or first_repeated(names) is not None:
        raise ValueError(f"{option} takes some of {','.join(known)}, each once; got {text!r}")
    return names


def split_all(values: Iterable[str]) -> list[str]:
    """Take every value of a repeated option apart at commas; each name once, none empty."""
    names = (name for value in values for name in split_names(value))
    return list(dict.fromkeys(name for name in names if name))


def full_path(source: str) -> str:
    """Return a path in full, since a run or index is used from anywhere; a name stays."""
    return str(Path(source).resolve()) if Path(source).exists() else source
