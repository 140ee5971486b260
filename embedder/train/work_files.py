"""Name a file of an interrupted run that is not what the run wrote."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def named_if_damaged(path: Path) -> Iterator[None]:
    """Turn whatever a library says of a file that it cannot read into one line.

    Raises:
        OSError: the file cannot be opened, which says nothing about damage.
        ValueError: it is damaged.
    """
    path.open("rb").close()
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is not None:
            raise
        raise ValueError(_damaged(path, error)) from error
    except Exception as error:
        raise ValueError(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    reason = str(error).partition("\n")[0][:200]
    return f"{path} is damaged ({type(error).__name__}: {reason}); remove it to do that part again"
