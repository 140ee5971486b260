"""Folders that tests read from: this checkout, its goldens, and data that may lie beside it."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LASTWORD_DATA", ROOT.parent / "shared" / "data"))
GOLDEN = Path(__file__).resolve().parent / "data" / "golden"
_WHOLE = os.environ.get("LASTWORD_GOLDEN")
GOLDENS = (GOLDEN, Path(_WHOLE)) if _WHOLE else (GOLDEN,)
"""Those of the repository, and the whole set where LASTWORD_GOLDEN says that it lies."""
