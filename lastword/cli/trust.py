"""Which models an index may name: a stranger's index must not choose what this machine loads.

The bundled model, and what lies at a full path, are read without asking. A name on the hub is read
where a command of this machine's user has named it before; the user's own state folder remembers
that. A folder relative to the working directory could come with the index, and is never read.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from embedder.checkpoints.bundled import BUNDLED_NAME
from embedder.files.durable import open_new
from embedder.prompts.files import parse_prompt
from lastword.cli.recipes import BM25Spec, EncoderSpec, LLMSpec, SbertSpec

if TYPE_CHECKING:
    from embedder.prompts.prompt import Prompt


def state_folder() -> Path:
    """Return the user's own folder: LASTWORD_HOME, or lastword in the state folder of XDG."""
    own = os.environ.get("LASTWORD_HOME", "")
    if own:
        return Path(own).absolute()
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # the specification says to ignore it then
        state = Path.home() / ".local" / "state"
    return state / "lastword"


def remember_models(names: Iterable[str]) -> None:
    """Remember that this machine's user has chosen models of the hub; folders need no memory."""
    folder = state_folder() / "models"
    for name in names:
        file = folder / quote(name, safe="")
        if not is_hub_name(name) or file.exists():
            continue
        with suppress(OSError):  # nowhere to write: the user is asked again
            folder.mkdir(parents=True, exist_ok=True)
            open_new(file).close()


def is_hub_name(name: str) -> bool:
    """Tell a name on the hub from the bundled model and from folders."""
    return bool(name) and name != BUNDLED_NAME and not Path(name).exists() and _is_plain(name)


def check_recipe(recipe: EncoderSpec, allowed: str = "", chosen: str = "") -> None:
    """Refuse a recipe of an index that names what this machine's user has not chosen.

    Args:
        recipe: as the index has it.
        allowed: a name on the hub that the user allows.
        chosen: a model that the user names in place of the recipe's.

    Raises:
        ValueError: names the model or file, and the option that allows it.
    """
    if isinstance(recipe, BM25Spec):
        return
    prompt = _prompt_of(recipe)
    if not (chosen and isinstance(recipe, LLMSpec)):
        _check_model(recipe.model, allowed)
    if prompt and prompt.rewrite and prompt.rewrite.writer:
        _check_model(prompt.rewrite.writer, allowed)
    if prompt and prompt.adapt and not Path(prompt.adapt).is_absolute():
        raise ValueError(
            f"the index adapts queries by {prompt.adapt!r}, a file relative to the working "
            "directory, which is not read: its path must be a full one"
        )


def models_of(recipe: EncoderSpec) -> list[str]:
    """Return the models that a recipe names: the one that reads, and the one that rewrites."""
    if isinstance(recipe, BM25Spec):
        return []
    prompt = _prompt_of(recipe)
    writer = prompt.rewrite.writer if prompt and prompt.rewrite else ""
    return [recipe.model, *([writer] if writer else [])]


def _prompt_of(recipe: LLMSpec | SbertSpec) -> "Prompt | None":

    return parse_prompt(recipe.prompt) if recipe.prompt else None


def _check_model(name: str, allowed: str) -> None:
    if name == BUNDLED_NAME or Path(name).is_absolute():
        return
    if not is_hub_name(name):
        raise ValueError(
            f"the index names the model {name!r}, a folder relative to the working directory, "
            "which is not read: it may have come with the index; where you trust it, "
            f"give its folder: --model {name}"
        )
    if name == allowed:
        remember_models([name])
    elif not (state_folder() / "models" / quote(name, safe="")).is_file():
        raise ValueError(
            f"the index names the model {name!r} of the Hugging Face hub, which was not used on "
            f"this machine before; where you trust it, add --allow-model {name} (asked once)"
        )


def _is_plain(name: str) -> bool:
    return name.count("/") <= 1 and not name.startswith((".", "/", "~")) and "\0" not in name
