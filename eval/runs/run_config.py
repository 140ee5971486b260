"""config.json of a run folder: what was run, and whether a folder belongs to a configuration."""

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedder.files.json_file import write_json
from eval.runs.environment import describe_environment
from eval.runs.record import Record
from eval.runs.run_folder import CONFIG, read_config, read_records

FORMAT = 1
SHOWN = 4  # differences that an error names
FREE = "datasets"
"""The one setting that may differ between two evaluations into the same folder."""


def open_run(folder: Path, settings: Mapping[str, Any], resume: bool) -> dict[str, Record]:
    """Make a run folder, or go on in one; return the records that need not be made again.

    Args:
        folder: where results go.
        settings: everything that changes a result, as JSON; "datasets" may grow.
        resume: take what is finished as it is. Otherwise it is judged again and replaced.

    Raises:
        ValueError: the folder holds results of other settings, which are named.
        OSError: it cannot be written.
    """
    wanted = json.loads(json.dumps(settings))
    if (folder / CONFIG).is_file():
        held = read_config(folder).get("settings", {})
        lines = list(_differences(_compared(held), _compared(wanted)))
        if lines:
            more = f"; {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
            raise ValueError(
                f"{folder} holds results of other settings ({'; '.join(lines[:SHOWN])}{more}); "
                "give another --out, or remove it"
            )
        asked = [*held.get(FREE, []), *wanted.get(FREE, [])]
        if asked:
            wanted[FREE] = list(dict.fromkeys(asked))
    finished = read_records(folder) if resume and folder.is_dir() else {}
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "format": FORMAT,
        "command": [_program_name(sys.argv[0]), *sys.argv[1:]],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": wanted,
        **describe_environment(),
    }
    write_json(folder / CONFIG, config)
    return finished


def _program_name(path: str) -> str:
    """Return the name of the command: that of the package where Python was called with -m."""
    program = Path(path)
    return program.parent.name if program.name == "__main__.py" else program.name


def _compared(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: held for name, held in settings.items() if name != FREE}


def _differences(held: object, wanted: object, place: str = "") -> Iterator[str]:
    """Name the settings that differ, one line each; texts are shortened."""
    if held == wanted:
        return
    if isinstance(held, dict) and isinstance(wanted, dict):
        for name in sorted(held.keys() | wanted.keys()):
            inner = f"{place}.{name}" if place else name
            yield from _differences(held.get(name), wanted.get(name), inner)
        return
    yield f"{place}: it has {_short(held)}, now {_short(wanted)}"


def _short(value: object, limit: int = 60) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}…"
