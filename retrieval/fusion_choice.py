"""The meaning of the fusion "auto": that chosen for an index, or measured for a model."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from embedder.encoders.specs import CHANNELS
from embedder.prompts.prompt import Prompt
from retrieval.fusion import DEFAULT, Fusion, fusion_by_name, split_fusion

AUTO = "auto"


def choose_fusion(requested: str, channels: Sequence[str], known: Iterable[str] = ()) -> str:
    """Return the requested fusion; "auto" is resolved for these channels.

    Args:
        requested: as `fusion_by_name` reads it, or "auto".
        channels: names of the channels that are fused.
        known: fusions to follow, the first that can be read for just these channels; "" is none.

    Returns:
        A fusion as `fusion_by_name` reads it; the default where no known one fits.
    """
    if requested != AUTO:
        return requested
    return next((fusion for fusion in known if fusion and _fits(fusion, channels)), DEFAULT)


def fusion_for(requested: str, encoders: Mapping[str, object], chosen: str = "") -> str:
    """Return the requested fusion; "auto" is resolved for these channels.

    It is `chosen`, the index's own, then the fusion that a prompt names (its model was measured
    beside BM25), then the default. The first two are followed where they weigh exactly these
    channels.
    """
    measured = map(measured_fusion, encoders.values())
    return choose_fusion(requested, list(encoders), (chosen, *measured))


def read_fusion(
    requested: str | Fusion, channels: Mapping[str, object], lexical: Collection[str], chosen: str
) -> tuple[str, Fusion]:
    """Return the fusion of channels as it is written, "" for a function, and as a function.

    Args:
        requested: as `fusion_by_name` reads it, "auto", or the function itself.
        channels: as `fusion_for` takes them.
        lexical: those whose scores count common words.
        chosen: that of the index, "" for none.

    Raises:
        ValueError: there is no such fusion of these channels.
    """
    if not isinstance(requested, str):
        return "", requested
    text = fusion_for(requested, channels, chosen)
    return text, fusion_by_name(text, list(channels), lexical)


def measured_fusion(encoder: object) -> str:
    """Return the fusion that the prompt of an encoder or spec was measured with, "" for none."""
    return str(getattr(getattr(encoder, "prompt", None), "fusion", ""))


def check_fusion(prompt: Prompt, name: str) -> None:
    """Refuse a prompt whose fusion no search could use; errors begin with `name`.

    Raises:
        ValueError: there is no such fusion, or it weighs channels that no encoder feeds.
    """
    if not prompt.fusion:
        return
    try:
        kind, numbers = split_fusion(prompt.fusion)
        channels = [channel for channel in numbers if (kind, channel) != ("rrf", "k")]
        fusion_by_name(prompt.fusion, channels)
    except ValueError as error:
        raise ValueError(f"{name}: fusion: {error}") from error
    if unknown := [channel for channel in channels if channel not in CHANNELS]:
        raise ValueError(
            f"{name}: fusion weighs {unknown[0]!r}; channels are {', '.join(CHANNELS)}"
        )


def _fits(fusion: str, channels: Sequence[str]) -> bool:
    try:
        fusion_by_name(fusion, channels)
    except ValueError:  # it weighs other channels than these
        return False
    return True
