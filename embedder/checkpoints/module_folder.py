"""What the folder of a sentence-transformers model may hold, of whichever kind it is."""

from pathlib import Path
from typing import TYPE_CHECKING

from embedder.checkpoints.hub import cached_folder
from embedder.checkpoints.model_folder import check_counts
from embedder.inputs.chat_template import ChatTemplateError, render_chat

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder

MODULE_FILES = ("config_sentence_transformers.json", "modules.json", "config.json")


def whole_name(name: str, owner: str = "sentence-transformers") -> str:
    """Return a hub name with its owner, which sentence-transformers adds where there is none."""
    if "/" in name or Path(name).exists() or cached_folder(name, MODULE_FILES) is not None:
        return name
    return f"{owner}/{name}" if name else name


def drop_failing_template(model: "SentenceTransformer | SparseEncoder | CrossEncoder") -> None:
    """Take away a chat template that fails or does not end: texts are not read through it."""
    tokenizer = model.tokenizer
    if not getattr(tokenizer, "chat_template", None):
        return
    try:
        render_chat(tokenizer, [{"role": "user", "content": "a text"}])
    except ChatTemplateError:
        for holder in (tokenizer, getattr(model[0], "processor", tokenizer)):
            holder.chat_template = None


def check_module_folder(name: str, whole: str, revision: str = "") -> None:
    """Refuse a model in which a module's weights are a pickle only, which may run code.

    Args:
        name: hub name or folder.
        whole: the name with its owner, as the cache of the hub has it.
        revision: on the hub; "" is the newest.

    Raises:
        ValueError: that, or it holds no model, or a configuration that never ends.
    """
    folder = Path(name) if Path(name).is_dir() else cached_folder(whole, MODULE_FILES, revision)
    if folder is None:
        return
    if not any((folder / file).is_file() for file in MODULE_FILES):
        raise ValueError(
            f"{folder} is no model folder: expected {' or '.join(MODULE_FILES[1:])} in it"
        )
    if (folder / "config.json").is_file():
        check_counts(folder)
    for path in sorted((*folder.glob("pytorch_model.bin"), *folder.glob("*/pytorch_model.bin"))):
        if not any(path.parent.glob("*.safetensors")):
            raise ValueError(
                f"{path}: expected model.safetensors beside it; weights in a pickle can run code "
                "when they are read, and are not"
            )
