"""manifest.json: the last commit of an index, read without trust and replaced in one step."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from embedder.files.config_file import parse_json
from embedder.files.json_file import write_json
from index.manifest import Manifest
from index.storage.checksums import open_own
from index.storage.milvus_address import refuse_milvus

FORMAT = 2
"""Version of everything in the folder; raise it when a reader would misread older files."""

MANIFEST = "manifest.json"
_BEGINNING = re.compile(rb'\{\s*"format": \d+,\s*"checksum": "')
_LONGEST = 1 << 28  # bytes; 1,000 segments take one million


def is_index(folder: Path) -> bool:
    """Tell whether a folder holds an index, by the beginning of its manifest."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            return bool(_BEGINNING.match(file.read(100)))
    except OSError:
        return False


def read_manifest(folder: Path) -> Manifest:
    """Read the last commit.

    Raises:
        FileNotFoundError: there is no such folder.
        OSError: it cannot be read.
        ValueError: it is no index, or lies in Milvus, has another format, or its manifest is
            damaged.
    """
    refuse_milvus(folder)
    path = folder / MANIFEST
    try:
        with open_own(path) as file:
            text = file.read(_LONGEST)
    except FileNotFoundError:
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no index at {folder}") from None
        raise ValueError(f"{folder} is not an index: it has no {MANIFEST}") from None
    except NotADirectoryError:
        raise ValueError(f"{folder} is not an index: it is not a folder") from None
    damaged = f"{path} is damaged"
    data = parse_json(text, damaged, encodable=True)
    if not isinstance(data, dict) or "format" not in data:
        raise ValueError(f"{path} is not the manifest of an index")
    if type(data["format"]) is not int:
        raise ValueError(f"{damaged}: its format is no whole number")
    if data["format"] != FORMAT:
        raise ValueError(
            f"{folder} has index format {data['format']}; this version reads format {FORMAT}: "
            "use the version that wrote it, or index the documents again, into another folder"
        )
    if data.keys() != {"format", "checksum", "content"}:
        raise ValueError(f"{damaged}: expected format, checksum and content in it")
    if content_checksum(data["content"]) != data["checksum"]:
        raise ValueError(f"{damaged}: its checksum does not fit its content")
    return Manifest.from_json(data["content"], damaged)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Commit: from here on readers see this generation. Everything in it is already flushed."""
    content = manifest.to_json()
    data = {"format": FORMAT, "checksum": content_checksum(content), "content": content}
    write_json(folder / MANIFEST, data)


def content_checksum(content: Any) -> str:  # noqa: ANN401 - JSON
    """Return the checksum of the content of a manifest: against accidents, not a signature."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
