"""What a model folder must hold before a library reads it: JSON objects, whole safetensors."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from embedder.files.config_file import read_json

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
_OBJECTS = (
    CONFIG,
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "adapter_config.json",
    WEIGHTS_INDEX,
)
MOST = 100_000  # parts of one kind
_COUNT = re.compile(r"^(num|n)_(?!positions|ctx|embd|inner)|layers?$|^depth")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """What the headers of a folder's safetensors files say.

    Attributes:
        tensors: how many are stored.
        size: bytes of all files.
    """

    tensors: int
    size: int


def check_folder(folder: Path) -> StoredWeights | None:
    """Refuse a folder that is no causal LM's, and say which file is wrong.

    Returns:
        The weights stored in it, or None for an adapter, whose weights lie elsewhere.

    Raises:
        ValueError: config.json is missing, a JSON file holds no object, or the weights are
            missing, pickled, or cut short.
    """
    if not (folder / CONFIG).is_file():
        raise ValueError(
            f"{folder} is no model folder: expected config.json in it, as save_pretrained writes it"
        )
    for name in _OBJECTS:
        if (folder / name).exists():
            read_object(folder / name)
    check_counts(folder)
    if (folder / "adapter_config.json").exists() and not (folder / WEIGHTS).exists():
        return None
    files = [folder / name for name in shard_names(folder)]
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if not files and pickles:
        raise ValueError(
            f"{folder} holds its weights as pickles ({pickles[0]}), which can run code when they "
            "are read; expected safetensors: load and save the model with "
            "save_pretrained(..., safe_serialization=True) where you trust it"
        )
    if not files:
        raise ValueError(f"{folder} holds no weights: expected {WEIGHTS} or {WEIGHTS_INDEX}")
    return StoredWeights(
        tensors=sum(_count_tensors(file) for file in files),
        size=sum(file.stat().st_size for file in files),
    )


def check_counts(folder: Path) -> None:
    """Refuse a config.json with numbers of parts that no model has: libraries count up to them.

    Raises:
        ValueError: names the key; or the file is no JSON object.
    """
    check_parts(read_object(folder / CONFIG), folder / CONFIG)


def check_parts(config: object, path: Path) -> None:
    """Refuse numbers of parts as `check_counts` does, in a configuration read from `path`."""
    if isinstance(config, list):
        for item in config:
            check_parts(item, path)
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        if isinstance(value, int) and abs(value) > MOST and _COUNT.search(key):
            raise ValueError(f"{path}: {key} is {str(value)[:24]}; expected at most {MOST}")
        check_parts(value, path)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: the file holds something else; begins with its path.
    """
    value = read_json(path, finite=False)  # some configurations say Infinity
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a JSON object; got {type(value).__name__}")
    return value


def shard_names(folder: Path) -> list[str]:
    """Return the safetensors files that hold a model's weights; none where there are none.

    Raises:
        ValueError: the index names a file that is missing, or one outside the folder.
    """
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        return []
    weight_map = read_object(index).get("weight_map")
    files = list(weight_map.values()) if isinstance(weight_map, dict) else []
    names = sorted(set(files)) if all(isinstance(name, str) for name in files) else []
    if not names:
        raise ValueError(f"{index}: expected weight_map, an object of tensor and file names")
    for name in names:
        if Path(name).name != name:
            raise ValueError(f"{index}: {name!r} is no name of a file beside it")
        if not (folder / name).is_file():
            raise ValueError(
                f"{index}: names {name}, which is missing from {folder}; download it again"
            )
    return names


def count_parameters(files: Iterable[Path]) -> int:
    """Count the numbers in safetensors files, as their headers say; no tensor is read.

    Raises:
        ValueError: a file is damaged or not downloaded to its end.
    """
    return sum(prod(shape) for file in files for shape in _shapes(file))


def _count_tensors(file: Path) -> int:
    return len(_shapes(file))


def _shapes(file: Path) -> list[tuple[int, ...]]:
    """Read the shapes of the tensors of a file."""
    from safetensors import SafetensorError, safe_open

    file.open("rb").close()  # an error of the system says nothing about damage
    try:
        with safe_open(file, framework="numpy") as stored:
            return [tuple(stored.get_slice(name).get_shape()) for name in stored.keys()]
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{file}: damaged or not downloaded to its end ({error}); get the file again"
        ) from error
