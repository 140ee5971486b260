"""Writing a JSON file, whole or not at all."""

import json
from pathlib import Path

from embedder.files.durable import replace_file


def write_json(path: Path, data: object, indent: int = 1) -> None:
    """Write data as a JSON file; what was there stays until the new file is whole.

    Raises:
        OSError: it cannot be written.
        ValueError: a number is infinite or NaN, which JSON does not have.
    """
    text = json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
    # Half a surrogate pair, which ids read from JSON may hold, is written as JSON escapes it.
    replace_file(path, text.encode(errors="backslashreplace"))
