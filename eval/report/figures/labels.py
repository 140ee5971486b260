"""Names and numbers in drawings: cut to a length, and placed beside each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 40  # characters of a name; two names and a number fit a drawing's width
LINE, CHARACTER = 14.0, 6.8  # points that a line of text is high, and a character wide
GAP = 7.0  # points between a spot and its label


def short_name(name: str) -> str:
    """Cut a long name in its middle, as names differ mostly at their ends.

    A name with an underscore first gets a space of no width before it: matplotlib leaves such
    names out of legends.
    """
    if len(name) > MOST:
        name = f"{name[: MOST // 2]}\u2026{name[-(MOST // 2 - 1) :]}"
    return f"\u200b{name}" if name.startswith("_") else name


def by_ratio(axes: "Axes", span: float) -> None:
    """Give equal ratios equal room, and write as many numbers as find room over the span."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 300 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def number(value: float) -> str:
    """Write three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def label_offsets(spots: NDArray[np.float64], texts: Sequence[str]) -> list[tuple[float, float]]:
    """Place a label beside each spot, away from labels and spots that are there.

    Labels are placed in turn, on the side with more room, as near to the height of their spot
    as they find room; where there is none they stay at its height.

    Args:
        spots: (n, 2) places in points.
        texts: the n labels.

    Returns:
        For each, how far from its spot it begins (ends, where negative) and has its middle.
    """
    centre = (spots[:, 0].min() + spots[:, 0].max()) / 2
    occupied = [(x - 4, x + 4, y - 4, y + 4) for x, y in spots.tolist()]
    offsets: list[tuple[float, float]] = []
    for (x, y), text in zip(spots.tolist(), texts, strict=True):
        across = -GAP if x > centre else GAP
        wide = len(text) * CHARACTER
        left = x + across - (wide if across < 0 else 0)
        boxes = {
            up: (left, left + wide, y + up - LINE / 2, y + up + LINE / 2)
            for up in (6, -8, 14, -16, 22, -24, 30, -32)
        }
        up = next((up for up, box in boxes.items() if not _meets(box, occupied)), 0)
        offsets.append((across, float(up)))
        occupied.append(boxes.get(up, (left, left + wide, y - LINE / 2, y + LINE / 2)))
    return offsets


def _meets(box: tuple[float, ...], boxes: Sequence[tuple[float, ...]]) -> bool:
    left, right, low, high = box
    return any(left < b and a < right and low < d and c < high for a, b, c, d in boxes)
