"""One line for each measurement, with what it was measured on, appended to results.jsonl."""

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from eval.runs.environment import processor
from index.channels.threads import cores

RESULTS = Path(__file__).parent / "results.jsonl"
_NAMED = ("torch", "numpy", "numba", "faiss", "bm25s", "transformers", "sentence_transformers")


def append(record: Mapping[str, object]) -> None:
    """Append a measurement; machine, cores, commit, date and versions are added.

    Args:
        record: name, values with their units in the keys, and what they are compared with.

    Raises:
        ValueError: a key would be written over.
    """
    facts = surroundings()
    if clash := sorted(record.keys() & facts.keys()):
        raise ValueError(f"{', '.join(clash)} are added to every record; name yours otherwise")
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**record, **facts}, ensure_ascii=False) + "\n")


def surroundings() -> dict[str, object]:
    """Return machine, cores, commit, date and the versions of libraries that are loaded."""
    loaded = {name: sys.modules.get(name) for name in _NAMED}
    return {
        "machine": processor(),
        "cores": cores(),
        "commit": _commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **{
            name: str(module.__version__)
            for name, module in loaded.items()
            if module is not None and hasattr(module, "__version__")
        },
    }


def _commit() -> str:
    """Return the commit, with + where files that git knows differ from it."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=RESULTS.parent, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
