"""Models in GGUF files: converted once into a folder of the cache, then opened like any model."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import cache
from io import StringIO
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING

from embedder.checkpoints.checkpoint import BUFFERS, check_config, count_described
from embedder.checkpoints.gguf_file import GGUFHeader, read_gguf_header
from embedder.checkpoints.library_errors import named_errors, quiet_transformers
from embedder.checkpoints.model_folder import check_parts
from embedder.files.cache_folder import cache_folder
from embedder.files.durable import filling, replace_file
from embedder.progress import tell_begun

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from transformers import PretrainedConfig

SUFFIX = ".gguf"
SOURCE = "source.json"  # written last: a folder that has it is whole
FORM = 1  # of converted folders; another number converts again
_SLACK = 2  # times the numbers in a file are what its model may have: heads can be shared
_PART = re.compile(r"(?!.*(^|/)\.*(/|$))[\w ./+-]{1,200}")  # a file's path within the hub's folder
_PLAIN = {"F32": "float32", "BF16": "bfloat16"}  # all other precisions fit in float16


def is_gguf(name: str) -> bool:
    """Tell whether a model's name is that of a GGUF file, here or on the hub."""
    return name.lower().endswith(SUFFIX)


def find_gguf(name: str) -> Path:
    """Return the path of "FILE.gguf", or of "owner/name:FILE.gguf" on the hub, fetched if need be.

    Raises:
        ValueError: there is no such file. One line that begins with the name.
    """
    owner, colon, file = name.partition(":")
    if os.path.isfile(name):  # noqa: PTH113  (False too for names that no file can have)
        return Path(name).resolve()
    if not colon or os.path.exists(owner) or not _PART.fullmatch(file):  # noqa: PTH110
        label = name.encode("unicode_escape").decode() if not name.isprintable() else name
        raise ValueError(f"{label[:200]}: there is no such GGUF file")
    from huggingface_hub import hf_hub_download

    from embedder.checkpoints.hub import is_local_only

    try:
        local = is_local_only(owner, (file,))
    except ValueError as error:
        raise ValueError(f"{name} cannot be fetched: {error}") from error
    with named_errors(name, "GGUF file"):
        return Path(hf_hub_download(owner, file, local_files_only=local))


def convert_gguf(path: Path) -> Path:
    """Return the folder of the cache that holds a GGUF file as safetensors and tokenizer.

    Matrices of F32, F16 and BF16 stay as they are; quantised ones are widened to float16, whose
    rounding is far below that of the quantisation. The folder is named by the digest of the file,
    so that a changed file is converted again.

    Raises:
        ValueError: it is no GGUF file, damaged, or of a kind that transformers cannot read.
        OSError: the cache cannot be written.
    """
    facts = path.stat()
    header, digest = _read(path, facts.st_size, facts.st_mtime_ns)
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", path.stem)[:80]
    folder = cache_folder() / "models" / f"{stem}-{digest[:16]}-{FORM}"
    if _is_whole(folder):
        return folder
    precision = _kept(header.precisions)
    size = header.parameters * (4 if precision == "float32" else 2)
    megabytes = -(-size // 10**6)
    tell_begun(
        f"Converting {path.name} once, into {folder.parent} ({megabytes:,} MB); "
        "this may take a minute."
    )
    with _writing(path, folder):
        folder.mkdir(parents=True, exist_ok=True)
        if disk_usage(folder).free < size:
            raise OSError(errno.ENOSPC, f"{megabytes:,} MB are needed, and there is less room")
        with filling(folder) as partial, quiet_transformers():
            _convert(path, partial, header, precision)
            if _state(path.stat()) != _state(facts):
                raise ValueError(f"{path}: it was changed while it was read; try again")
            sizes = {file.name: file.stat().st_size for file in sorted(partial.iterdir())}
        source = {"file": str(path), "sha256": digest, "architecture": header.architecture}
        record = json.dumps(source | {"files": sizes}, indent=1)
        replace_file(folder / SOURCE, record.encode() + b"\n")
    return folder


def _state(facts: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file is written or replaced."""
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def _is_whole(folder: Path) -> bool:
    """Tell whether a folder holds all files that were converted, each of its size."""
    try:
        sizes = json.loads((folder / SOURCE).read_bytes())["files"]
        return bool(sizes) and all(
            (folder / name).stat().st_size == size for name, size in sizes.items()
        )
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (ValueError, TypeError, KeyError, AttributeError):  # no record of ours
        return False


@cache
def _read(path: Path, size: int, changed: int) -> tuple[GGUFHeader, str]:
    """Read header and digest of a file, once while its size and time of change stay."""
    header = read_gguf_header(path)
    with path.open("rb") as file:
        return header, hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _writing(path: Path, folder: Path) -> Iterator[None]:
    """Say of errors of the cache what was to be written there."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        text = f"{path.name} cannot be converted into the cache: {reason}"
        raise OSError(error.errno, text, str(folder)) from error


def _convert(path: Path, folder: Path, header: GGUFHeader, precision: str) -> None:
    """Load a GGUF file by transformers, take its quantiser off, and save it plain."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    place, name = str(path.parent), path.name
    bars = redirect_stderr(StringIO())  # the one that widens matrices heeds no setting
    with named_errors(str(path)), bars:
        described = AutoConfig.from_pretrained(place, gguf_file=name)
        _check_described(described, header, path)
        tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name)
        loaded, info = AutoModelForCausalLM.from_pretrained(
            place, gguf_file=name, config=described, dtype=torch.float32, output_loading_info=True
        )
        if missing := sorted(info["missing_keys"]):
            raise ValueError(f"{path}: the weights of {missing[0]} are missing in it")
    facts = loaded.config.to_dict()
    facts.pop("quantization_config", None)
    config = type(loaded.config).from_dict(facts)
    config.dtype = getattr(torch, precision)
    with torch.device("meta"):
        plain = AutoModelForCausalLM.from_config(config)
    weights = {key: _narrow(value, config.dtype) for key, value in loaded.state_dict().items()}
    plain.load_state_dict(weights, assign=True)
    plain.tie_weights()
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _drop_tokens(folder / "tokenizer.json", config.vocab_size)


def _check_described(config: "PretrainedConfig", header: GGUFHeader, path: Path) -> None:
    """Refuse a configuration of far more than the tensors hold, before memory is taken.

    Raises:
        ValueError: it describes no causal LM, or one with more parts or numbers.
    """
    check_config(config, str(path))
    check_parts(config.to_dict(), path)
    parameters, buffers = count_described(config)
    if parameters > _SLACK * header.parameters or buffers > BUFFERS:
        raise ValueError(
            f"{path}: its keys describe {parameters:,} parameters and {buffers:,} other values, "
            f"and its tensors hold {header.parameters:,}; the file is damaged"
        )


def _kept(precisions: frozenset[str]) -> str:
    """Return the precision that a folder keeps of matrices in these."""
    return _PLAIN.get(next(iter(precisions)), "float16") if len(precisions) == 1 else "float16"


def _narrow(weights: "Tensor", precision: "dtype") -> "Tensor":
    """Round matrices only: files keep norms and biases in float32."""
    return weights.to(precision) if weights.ndim > 1 else weights


def _drop_tokens(path: Path, rows: int) -> None:
    """Leave out what transformers adds to a vocabulary beyond the rows of the embedding table."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["added_tokens"] = [token for token in stored["added_tokens"] if token["id"] < rows]
    path.write_text(json.dumps(stored, ensure_ascii=False), encoding="utf-8")
