"""Read feedback as people write it: "rm3", "rocchio:documents=5,from=fused"."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from retrieval.feedback.rm3 import RM3
from retrieval.feedback.rocchio import Rocchio

Feedback = RM3 | Rocchio
AnyFeedback = str | RM3 | Rocchio | None
"""As it is written, as it is read, or none."""

METHODS: Mapping[str, type[Feedback]] = MappingProxyType({"rm3": RM3, "rocchio": Rocchio})
_FROM = "from"


def read_feedback(text: str) -> Feedback | None:
    """Read a method and perhaps settings, by the names of its fields; from=fused is `fused`.

    The empty text is no feedback, None.

    Raises:
        ValueError: an unknown method or setting, one that comes twice, or a value that is no
            number or out of range.
    """
    if not text:
        return None
    name, colon, written = text.partition(":")
    if name not in METHODS:
        raise ValueError(f"no feedback is called {name!r}; there is {', '.join(METHODS)}")
    method = METHODS[name]
    names = [field.name for field in fields(method) if field.name != "fused"]
    settings: dict[str, Any] = {}
    for part in written.split(",") if colon else []:
        setting, _, value = (piece.strip() for piece in part.partition("="))
        if setting not in (*names, _FROM) or setting in settings:
            raise ValueError(
                f"feedback {text!r}: expected settings of {', '.join(names)} and {_FROM}, each "
                f"once; got {part!r}"
            )
        settings[setting] = _value(setting, value, text)
    if _FROM in settings:
        settings["fused"] = settings.pop(_FROM)
    return method(**settings)


def check_served(feedback: Feedback, kinds: Mapping[str, str], outside: Collection[str]) -> None:
    """Refuse feedback that would change no query.

    Args:
        feedback: how queries learn.
        kinds: channel of the index -> its kind, of those that are searched.
        outside: names of channels beside the index, which learn by their own settings alone.

    Raises:
        ValueError: it serves none of the channels.
    """
    if any(kind in feedback.kinds for kind in kinds.values()):
        return
    served = "channels" if "dense" in feedback.kinds else "channels of words, such as bm25"
    instead = "take rocchio"
    if outside:
        instead = f"let Lucene learn by itself (--also lucene:PATH?feedback={feedback.name})"
    raise ValueError(
        f"feedback {feedback} changes queries of the index's {served}, and none of those is "
        f"searched, only {', '.join((*kinds, *outside))}: add one to --channels, or {instead}"
    )


def _value(setting: str, value: str, text: str) -> int | float | bool:
    """Return the value of a setting."""
    if setting == _FROM:
        if value not in ("fused", "channel"):
            raise ValueError(f"feedback {text!r}: from takes fused or channel; got {value!r}")
        return value == "fused"
    whole = setting in ("documents", "terms")
    try:
        return int(value) if whole else float(value)
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise ValueError(
            f"feedback {text!r:.80}: {setting} takes {kind}; got {value!r:.40}"
        ) from None
