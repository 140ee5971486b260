"""config.json of a run folder: its settings, and whether a folder belongs to a configuration."""

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
NAMED_DIFFERENCES = 4  # in an error
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
    own = json.loads(json.dumps(settings))
    if (folder / CONFIG).is_file():
        earlier = read_config(folder).get("settings", {})
        lines = list(_differences(_fixed(earlier), _fixed(own)))
        if lines:
            named = lines[:NAMED_DIFFERENCES]
            if len(lines) > NAMED_DIFFERENCES:
                named.append(f"{len(lines) - NAMED_DIFFERENCES} more")
            raise ValueError(
                f"{folder} holds results of other settings ({'; '.join(named)}); "
                "give another folder, or remove it"
            )
        datasets = [*earlier.get(FREE, []), *own.get(FREE, [])]
        if datasets:
            own[FREE] = list(dict.fromkeys(datasets))
    finished = read_records(folder) if resume and folder.is_dir() else {}
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "format": FORMAT,
        "command": [_program_name(sys.argv[0]), *sys.argv[1:]],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": own,
        **describe_environment(),
    }
    write_json(folder / CONFIG, config)
    return finished


def _program_name(path: str) -> str:
    """Return the name of the command: that of the package where Python was called with -m."""
    program = Path(path)
    return program.parent.name if program.name == "__main__.py" else program.name


def _fixed(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != FREE}


def _differences(earlier: object, now: object, place: str = "") -> Iterator[str]:
    """Name the settings that differ, one line each; texts are shortened."""
    if earlier == now:
        return
    if isinstance(earlier, dict) and isinstance(now, dict):
        for name in sorted(earlier.keys() | now.keys()):
            inner = f"{place}.{name}" if place else name
            yield from _differences(earlier.get(name), now.get(name), inner)
        return
    yield f"{place}: it has {_short(earlier)}, now {_short(now)}"


def _short(value: object, limit: int = 60) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}…"
