"""Which models can be used at once: bundled, of packages, and those of Hugging Face's cache."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from embedder.checkpoints.bundled import BUNDLED_MODEL, BUNDLED_NAME
from embedder.checkpoints.gguf_file import read_gguf_header
from embedder.checkpoints.model_folder import count_parameters
from embedder.checkpoints.named_models import PACKAGED_MODELS, PackagedModel
from embedder.inspect.cached_models import DAMAGED, list_cached
from embedder.inspect.listed_model import ListedModel

BUNDLED_LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True)
class ModelListing:
    """Models, and how many things that lie beside them were passed over, by reason.

    Attributes:
        models: the bundled one, those of packages, then the cache's by name.
        skipped: reason -> how many repositories or files.
        cache: the folder that was looked through; it need not exist.
    """

    models: tuple[ListedModel, ...]
    skipped: Mapping[str, int]
    cache: Path


def list_models() -> ModelListing:
    """List the models of this machine; none is loaded, and nothing is fetched.

    Raises:
        OSError: the bundled model cannot be read.
    """
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    models, skipped = list_cached(cache)
    ours = [_bundled()]
    for model in PACKAGED_MODELS.values():
        try:
            ours.append(_packaged(model))
        except (ValueError, OSError):
            skipped[DAMAGED] += 1
    return ModelListing((*ours, *models), dict(sorted(skipped.items())), cache)


def _bundled() -> ListedModel:
    size = sum(path.stat().st_size for path in BUNDLED_MODEL.iterdir() if path.is_file())
    parameters = count_parameters([BUNDLED_MODEL / "model.safetensors"])
    return ListedModel(BUNDLED_NAME, "lastword", parameters, size, BUNDLED_LICENCE)


def _packaged(model: PackagedModel) -> ListedModel:
    file = model.find_file()
    if file is None:
        return ListedModel(model.name, "package", None, 0, model.licence, model.command)
    parameters = read_gguf_header(file).parameters
    return ListedModel(model.name, "package", parameters, file.stat().st_size, model.licence)
