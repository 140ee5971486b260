"""Functions compiled by numba: half a second to load, so import this where there is much to do."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile, and keep machine code between processes where a folder can be written.

    Machine code holds that of the functions it calls, and numba looks at the file of the caller
    alone: where another file had changed, code of both versions ran together. So what is kept is
    kept by the text of all files of the folder.
    """
    try:
        with _kept_in(_cache_folder(function.__module__)):
            made: Function = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no writable place for its cache
        made = numba.njit(nogil=True)(function)
    return made


def _cache_folder(module: str) -> Path:
    """Return where machine code of a module is kept."""
    package, part, *_ = module.split(".")
    folder = Path(sys.modules[package].__path__[0]) / part
    place = Path(numba.config.CACHE_DIR or folder / "__pycache__")
    if not os.access(place if place.exists() else folder, os.W_OK):
        place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lastword"
    return place / f"compiled-{digest_sources(folder)}"


@cache
def digest_sources(folder: Path) -> str:
    """Return 16 hex digits of all source files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """Have numba keep code in a folder: it asks where when a function is decorated."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before
