"""What libraries raise and print while they load a model, as one line of ours or not at all."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

_LOADING = RLock()  # one model at a time: libraries keep their verbosity for the whole process


@contextmanager
def named_errors(place: str, kind: str = "causal language model") -> Iterator[None]:
    """Turn whatever a library raises over a wrong folder or name into one line of ours.

    Raises:
        ValueError: in place of any error; our own, which begin with the place, stay as they are.
    """
    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"{place} does not fit in memory; use a smaller model") from error
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(place):
            raise
        where = "" if Path(place).is_file() else " (a folder, or a name on the Hugging Face hub)"
        raise ValueError(
            f"no {kind} could be loaded from {place!r}{where}: {first_line(error)}"
        ) from error
    except BaseException as error:  # the tokenizers library panics over files it takes for its own
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"{place}: tokenizer.json is damaged: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Say an error in one line, with its kind where the words alone would say too little."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:2])[:300]
    if text and isinstance(error, OSError | ValueError | MemoryError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers from writing bars and tables: what is wrong is said by our own errors."""
    from transformers.utils import logging as transformers_logging

    with _LOADING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers_logging.disable_progress_bar()
        before = transformers_logging.get_verbosity()
        transformers_logging.set_verbosity_error()
        try:
            yield
        finally:
            transformers_logging.set_verbosity(before)
