"""Models in GGUF files: converted once into a folder of the cache, then opened like any model."""

import errno
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from shutil import disk_usage

from embedder.checkpoints.gguf_file import GGUFHeader, read_gguf_header
from embedder.checkpoints.library_errors import named_errors, quiet_transformers
from embedder.files.cache_folder import cache_folder
from embedder.files.durable import filling
from embedder.files.identity import identity_of
from embedder.progress import tell_begun

SUFFIX = ".gguf"
SOURCE = "source.json"  # names the files of a whole folder, and their sizes
FORM = 1  # of converted folders; another number converts again
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
    header, digest = _read(path, identity_of(facts))
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", path.stem)[:80]
    models = cache_folder() / "models"
    folder = models / f"{stem}-{digest[:16]}-{FORM}"
    if _is_whole(folder):
        return folder
    precision = _kept(header.precisions)
    size = header.parameters * (4 if precision == "float32" else 2)
    megabytes = -(-size // 10**6)
    tell_begun(
        f"Converting {path.name} once, into {models} ({megabytes:,} MB); this may take a minute."
    )
    from embedder.checkpoints.gguf_model import save_plain  # slow to import: after the sentence

    with _writing(path, folder):
        models.mkdir(parents=True, exist_ok=True)
        with _alone(models):
            if _is_whole(folder):  # by now: another process converted it
                return folder
            if disk_usage(models).free < size:
                raise OSError(errno.ENOSPC, f"{megabytes:,} MB are needed, and there is less room")
            with filling(models) as partial, quiet_transformers():
                inner = partial / folder.name
                inner.mkdir()
                save_plain(path, inner, header, precision)
                if identity_of(path.stat()) != identity_of(facts):
                    raise ValueError(f"{path}: it was changed while it was read; try again")
                sizes = {file.name: file.stat().st_size for file in sorted(inner.iterdir())}
                source = {"file": str(path), "sha256": digest, "architecture": header.architecture}
                record = json.dumps(source | {"files": sizes}, indent=1)
                (inner / SOURCE).write_text(f"{record}\n", encoding="utf-8")
    return folder


@contextmanager
def _alone(models: Path) -> Iterator[None]:
    """Wait until no other process or thread converts into a cache; memory is short for two."""
    handle = os.open(models, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks: the files are the same ones
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


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
def _read(path: Path, state: tuple[int, ...]) -> tuple[GGUFHeader, str]:
    """Read header and digest of a file, once while its state stays."""
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


def _kept(precisions: frozenset[str]) -> str:
    """Return the precision that a folder keeps of matrices in these."""
    return _PLAIN.get(next(iter(precisions)), "float16") if len(precisions) == 1 else "float16"
