"""Curves of systems: a colour for each system, and room for their names."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from eval.report.figures.drawing import colour
from eval.report.figures.labels import short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Positions = Mapping[str, int]
"""Name of a system -> its position among all systems of a page."""

MOST_INSIDE = 4  # names of lines; more would cover the lines, and stand above them


def colours_of(names: Iterable[str], positions: Positions | None) -> dict[str, str]:
    """Return the colour of each system: of its position, or of its place among the names."""
    by_name = positions or {}
    return {name: colour(by_name.get(name, place)) for place, name in enumerate(names)}


def draw_lines(
    axes: "Axes", curves: Mapping[str, Mapping[Any, float]], colours: Mapping[str, str]
) -> None:
    """Draw a curve for each system, with their names where they cover nothing."""
    for name, curve in curves.items():
        line = list(curve), list(curve.values())
        axes.plot(*line, color=colours[name], label=short_name(name), marker=".")
    if len(curves) > MOST_INSIDE:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0))
    elif curves:
        axes.legend(loc="best")


def height_of(curves: Mapping[str, Any]) -> float:
    """Return the inches that curves take with the names above them."""
    return 4 + (0.2 * len(curves) if len(curves) > MOST_INSIDE else 0)
