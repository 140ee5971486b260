"""Where a process of our own finds modules."""

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent  # the folder that holds our packages
_OURS = ("embedder", "index", "retrieval")


def module_path() -> str:
    """Return where the process finds modules: where this one does, with our packages first.

    A user's own index.py, beside a script or in the working directory, would hide ours.
    """
    paths = [Path(path).absolute() for path in sys.path if path]
    if _ROOT not in paths:
        paths.append(_ROOT)
    return os.pathsep.join(str(path) for path in sorted(paths, key=_hides_ours))


def _hides_ours(path: Path) -> bool:
    return path != _ROOT and any(
        (path / name).is_dir() or (path / f"{name}.py").is_file() for name in _OURS
    )
