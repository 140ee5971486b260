"""Where the bundled model lies; light, so that the command line can name it."""

from pathlib import Path

BUNDLED_MODEL = Path(__file__).parent.parent / "tiny"
BUNDLED_NAME = "bundled"  # how an index refers to it, wherever lastword is installed
