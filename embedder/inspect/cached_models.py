"""The models in Hugging Face's cache that lastword can load as they lie there."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from embedder.checkpoints.checkpoint import check_config
from embedder.checkpoints.gguf import SUFFIX
from embedder.checkpoints.gguf_file import ARCHITECTURES, read_gguf_header
from embedder.checkpoints.hub import cached_folder
from embedder.checkpoints.library_errors import named_errors, quiet_transformers
from embedder.checkpoints.model_folder import (
    CONFIG,
    check_folder,
    count_parameters,
    read_object,
    shard_names,
)
from embedder.inspect.listed_model import UNKNOWN, ListedModel

FOREIGN = "no models: data sets, spaces, other files"
OTHER = "models of other kinds: encoders, adapters, parts of models"
DAMAGED = "incomplete, damaged, or with weights in pickles"
CODE = "models that need code of their own (--trust-remote-code)"
MOST = 2**20  # bytes of a model card; the cards of the hub have thousands
_LONGEST = 40  # characters of a licence's name
_OWN = {"CACHEDIR.TAG", "version.txt", ".locks", ".DS_Store"}  # the cache's, of no repository
_SBERT_FILES = ("modules.json", "config_sentence_transformers.json")
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)


def list_cached(cache: Path) -> tuple[list[ListedModel], Counter[str]]:
    """List the models of a cache by name, and count by reason what is none or cannot be loaded.

    A model is read at the revision that loading takes, "main". One that is both a language model
    and a sentence-transformers model is listed as both.

    Args:
        cache: Hugging Face's folder of repositories, the one that loading reads; it may be
            missing.
    """
    models: list[ListedModel] = []
    skipped: Counter[str] = Counter()
    try:
        entries = sorted(path for path in cache.iterdir() if path.name not in _OWN)
    except FileNotFoundError:
        return models, skipped
    except OSError:
        return models, Counter({DAMAGED: 1})
    for entry in entries:
        usable, reasons = _look_at(entry)
        models += usable
        skipped.update(reasons)
    return models, skipped


class _SkippedError(Exception):
    """What is left out; the text is the reason."""


def _look_at(entry: Path) -> tuple[list[ListedModel], list[str]]:
    """List the models of a repository, and why it, or a file of it, is left out."""
    kind, _, name = entry.name.partition("--")
    if kind != "models" or not name or not entry.is_dir():
        return [], [FOREIGN]
    models: list[ListedModel] = []
    reasons: list[str] = []
    for describe in _descriptions(name.replace("--", "/"), entry):
        try:
            models.append(describe())
        except _SkippedError as reason:
            reasons.append(str(reason))
        except (ValueError, OSError):
            reasons.append(DAMAGED)
    if models:  # of a repository with a model only what ought to be another one counts
        return models, [reason for reason in reasons if reason == DAMAGED]
    return [], reasons[:1] or [OTHER if any(entry.glob("snapshots/*/*")) else DAMAGED]


def _descriptions(name: str, entry: Path) -> Iterator[Callable[[], ListedModel]]:
    """Yield what describes a repository as each of the things that its files let it be."""
    folder = cached_folder(name, _SBERT_FILES)
    if folder is not None and (folder / _SBERT_FILES[0]).is_file():
        yield partial(_sentence_model, name, folder)
    folder = cached_folder(name)
    if folder is not None:
        yield partial(_language_model, name, folder)
    paths = entry.glob(f"snapshots/*/**/*{SUFFIX}")
    for file in sorted({"/".join(path.relative_to(entry).parts[2:]) for path in paths}):
        yield partial(_gguf, name, file)


def _gguf(name: str, file: str) -> ListedModel:
    folder = cached_folder(name, (file,))
    if folder is None or _PART.search(file):
        raise _SkippedError(OTHER)  # of another revision, or a part of a file
    path = folder / Path(file).name
    header = read_gguf_header(path)
    if header.architecture not in ARCHITECTURES:
        raise _SkippedError(OTHER)
    root = path.parents[len(Path(file).parts) - 1]
    size = path.stat().st_size
    return ListedModel(f"{name}:{file}", "cache", header.parameters, size, card_licence(root))


def _sentence_model(name: str, folder: Path) -> ListedModel:
    weights = [*folder.glob("*.safetensors"), *folder.glob("*/*.safetensors")]
    if not weights:
        raise ValueError(f"{folder} holds no safetensors")
    return _listed(f"sbert:{name}", folder, count_parameters(weights))


def _language_model(name: str, folder: Path) -> ListedModel:
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    stored = read_object(folder / CONFIG)
    if stored.get("model_type") not in CONFIG_MAPPING_NAMES:
        raise _SkippedError(CODE if stored.get("auto_map") else OTHER)
    with quiet_transformers(), named_errors(str(folder)):
        # Never asked for, where leaving it out would have the library ask the terminal.
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    try:
        check_config(config, name)
    except ValueError:
        raise _SkippedError(OTHER) from None
    check_folder(folder)
    files = [folder / shard for shard in shard_names(folder)]
    if not files:
        raise _SkippedError(OTHER)
    return _listed(name, folder, count_parameters(files))


def _listed(name: str, folder: Path, parameters: int) -> ListedModel:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return ListedModel(name, "cache", parameters, size, card_licence(folder))


def card_licence(folder: Path) -> str:
    """Return the licence that a model card's metadata name, or "unknown"."""
    from huggingface_hub.repocard import metadata_load

    card = folder / "README.md"
    try:
        metadata: Any = (metadata_load(card) if card.stat().st_size <= MOST else None) or {}
    except Exception:  # of YAML, of the system, of Unicode: no licence can be read
        return UNKNOWN
    licence = metadata.get("license")
    if licence == "other":
        licence = metadata.get("license_name") or licence
    names = licence if isinstance(licence, list) else [licence]
    text = ", ".join(" ".join(name.split()) for name in names if isinstance(name, str))
    return text[:_LONGEST] or UNKNOWN
