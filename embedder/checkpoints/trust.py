"""Which models an index may name: a stranger's index must not choose what this machine loads.

A model of MODEL_NAMES, and what lies at a full path, are read without asking. A name on the hub
is read, and a server is sent queries, where this machine's user has named it before, in a command
or a program; the user's own state folder remembers that. A folder relative to the working
directory could come with the index, and is never read.
"""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from embedder.arguments import check_fields
from embedder.checkpoints.addresses import is_remote, parse_remote
from embedder.checkpoints.named_models import MODEL_NAMES
from embedder.files.durable import open_new

_LONGEST = 200  # characters of a file's name


@dataclass(frozen=True, slots=True)
class ModelAccess:
    """Where the models of an index run when it is searched or added to, and which are allowed.

    Attributes:
        model: where the language model of the index, or the server of its embedder, lies now, if
            it has moved; its fingerprint is compared.
        device: cpu, cuda, cuda:1, mps, or auto.
        trust_remote_code: run Python code that comes with the model. Off unless chosen.
        allow_model: a model of the Hugging Face hub (NAME, or NAME@REVISION), or behind an
            address, that the index names and the user trusts.
    """

    model: str = ""
    device: str = "auto"
    trust_remote_code: bool = False
    allow_model: str = ""

    def __post_init__(self) -> None:
        check_fields(self)


def state_folder() -> Path:
    """Return the user's own folder: LASTWORD_HOME, or lastword in the state folder of XDG."""
    own = os.environ.get("LASTWORD_HOME", "")
    if own:
        return Path(own).absolute()
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # the specification says to ignore it then
        state = Path.home() / ".local" / "state"
    return state / "lastword"


def remember_models(names: Iterable[str], revision: str = "") -> None:
    """Remember that this machine's user has chosen models of the hub, or addresses.

    Folders need no memory.

    Args:
        names: of the models.
        revision: of the models on the hub; "" is the newest.
    """
    for name in names:
        file = _memory(name, revision)
        if not (is_remote(name) or is_hub_name(name)):
            continue
        with suppress(OSError):  # nowhere to write, or there already: the user is asked again
            file.parent.mkdir(parents=True, exist_ok=True)
            open_new(file).close()


def is_hub_name(name: str) -> bool:
    """Tell a name on the hub from models with names of their own, and from folders."""
    plain = name.count("/") <= 1 and not name.startswith((".", "/", "~")) and "\0" not in name
    return bool(name) and name not in MODEL_NAMES and not Path(name).exists() and plain


def check_model(name: str, allowed: str = "", revision: str = "") -> None:
    """Refuse a model that an index names and this machine's user has not chosen.

    Args:
        name: as the index has it.
        allowed: a name on the hub that the user allows, or NAME@REVISION.
        revision: as the index has it. Anybody can propose one to a model that is trusted, so that
            each is asked for by itself.

    Raises:
        ValueError: names the model, and the option that allows it.
    """
    if name in MODEL_NAMES or Path(name).is_absolute():
        return
    if not is_remote(name) and not is_hub_name(name):
        raise ValueError(
            f"the index names the model {name!r}, a folder relative to the working directory, "
            "which is not read: it may have come with the index; where you trust it, "
            f"give its folder: --model {name} (model of ModelAccess in Python)"
        )
    whole = f"{name}@{revision}" if revision else name
    if whole == allowed:
        remember_models([name], revision)
    elif not _memory(name, revision).is_file():
        model = (
            f"{name!r}, a server that queries would be sent to,"
            if is_remote(name)
            else f"{whole!r} of the Hugging Face hub,"
        )
        raise ValueError(
            f"the index names the model {model} which was not used on "
            f"this machine before; where you trust it, add --allow-model {whole} (asked once; "
            "allow_model of ModelAccess in Python)"
        )


def _memory(name: str, revision: str) -> Path:
    """Return the file whose presence says that the user has named a model or a server."""
    kind, named = "models", f"{name}@{revision}" if revision else name
    if is_remote(name):
        kind, named = "servers", parse_remote(name).place
    quoted = quote(named, safe="")
    if len(quoted) > _LONGEST:
        quoted = hashlib.sha256(named.encode()).hexdigest()
    return state_folder() / kind / quoted
