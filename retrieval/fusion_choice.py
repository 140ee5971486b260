"""Which fusion is meant where none is named: chosen for an index, or measured for a model."""

from collections.abc import Iterable, Sequence

from embedder.types import Encoder
from retrieval.fusion import DEFAULT, fusion_by_name

AUTO = "auto"


def choose_fusion(asked: str, channels: Sequence[str], known: Iterable[str] = ()) -> str:
    """Return the fusion that is asked for, or what "auto" means for these channels.

    Args:
        asked: as `fusion_by_name` reads it, or "auto".
        channels: names of the channels that are fused.
        known: fusions to follow, the first that can be read for just these channels; "" is none.

    Returns:
        A fusion as `fusion_by_name` reads it; the default where no known one fits.
    """
    if asked != AUTO:
        return asked
    return next((fusion for fusion in known if fusion and _fits(fusion, channels)), DEFAULT)


def measured_fusion(encoder: Encoder) -> str:
    """Return the fusion that the prompt of an encoder was measured with, "" for none."""
    return str(getattr(getattr(encoder, "prompt", None), "fusion", ""))


def _fits(fusion: str, channels: Sequence[str]) -> bool:
    try:
        fusion_by_name(fusion, channels)
    except ValueError:  # it weighs other channels than these
        return False
    return True
