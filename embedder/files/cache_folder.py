"""Where lastword keeps what it can make again."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Return where programs keep what they can make again, by the custom of the platform."""
    if sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "lastword"
