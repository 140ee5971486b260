"""Models of the Hugging Face hub: is a name in the cache, and can the hub be reached at all."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Thread

WAIT = 4.0  # seconds for one probe; the libraries themselves try for 20 and more


def is_local_only(name: str, files: Sequence[str] = ("config.json",), revision: str = "") -> bool:
    """Tell whether a hub name must be read from the cache, since the hub cannot be reached.

    Args:
        name: of a model on the hub, "owner/name"; an existing folder is never local only.
        files: of which a cached model has at least one.
        revision: branch, tag or commit; "" is the newest.

    Raises:
        ValueError: there is no such folder, or the name is in no cache and the hub is out of
            reach. One line that begins with the name.
    """
    folder = Path(name) if "\0" not in name else Path("\ufffd")
    if name and folder.is_dir():
        return False
    if name and folder.exists():
        raise ValueError(f"{name} is a file; expected the folder of a model")
    if not _is_hub_name(name):
        label = name or "the empty name"
        raise ValueError(f"{label}: there is no such folder, and it is no name on the hub")
    reason = _unreachable()
    if not reason:
        return False
    if cached_folder(name, files, revision) is None:
        from huggingface_hub import constants

        named = f"{name} at revision {revision}" if revision else name
        raise ValueError(
            f"{named}: there is no such folder here, no such model in the cache "
            f"({constants.HF_HUB_CACHE}), and {reason}; check the name, or give a model's folder"
        )
    return True


def reachable_place(
    name: str, files: Sequence[str] = ("config.json",), revision: str = ""
) -> tuple[str, bool]:
    """Return where a model is read, and whether that is the cache, since the hub is out of reach.

    The cache is named by its folder: by a name, and with peft installed, transformers asks the hub
    for an adapter all the same, again and again for twenty seconds.

    Args:
        name: hub name or folder.
        files: of which a cached model has at least one.
        revision: branch, tag or commit; "" is the newest.

    Raises:
        ValueError: as `is_local_only`.
    """
    local = is_local_only(name, files, revision)
    folder = cached_folder(name, files, revision) if local else None
    return (name if folder is None else str(folder)), local


def cached_folder(
    name: str, files: Sequence[str] = ("config.json",), revision: str = ""
) -> Path | None:
    """Return the folder of the cache that holds a hub model, or None."""
    from huggingface_hub import try_to_load_from_cache

    if not _is_hub_name(name):
        return None
    for file in files:
        cached = try_to_load_from_cache(name, file, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached).parent
    return None


def _is_hub_name(name: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


@cache
def _unreachable() -> str:
    """Say why the hub cannot be reached; "" where it can. Asked once in a process."""
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set"
    reasons = ["does not answer"]

    def probe() -> None:
        from huggingface_hub import get_session

        try:
            answer = get_session().head(constants.ENDPOINT, timeout=WAIT)
            reasons[0] = "" if answer.status_code < 500 else f"answers {answer.status_code}"
        except Exception as error:  # of whatever kind, the hub is not reached
            reasons[0] = f"cannot be reached ({type(error).__name__})"

    # In a thread, since looking a host up has no time limit of its own.
    asking = Thread(target=probe, daemon=True)
    asking.start()
    asking.join(WAIT + 1)
    return f"{constants.ENDPOINT} {reasons[0]}" if reasons[0] else ""
