"""Folders that tests read from: this checkout, and data and goldens that may lie beside it."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LASTWORD_DATA", ROOT.parent / "shared" / "data"))
GOLDEN = Path(os.environ.get("LASTWORD_GOLDEN", ROOT.parent / "shared" / "golden"))
