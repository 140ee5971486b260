"""Functions compiled by numba: half a second to load, so import this where there is much to do."""

from collections.abc import Callable
from typing import TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile, and keep machine code between processes where a folder can be written."""
    try:
        made: Function = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no writable place for its cache
        made = numba.njit(nogil=True)(function)
    return made
