"""The drawings of a report: each function takes data and returns an `<svg>` element.

`positions` says which colour a system has: name -> its position among all systems of a page.
Drawings that hold only some of them need it; without it they count what they hold.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from eval.measures.curves import bin_edges, pareto_front
from eval.report.figures.drawing import INK, LOST, WON, colour, draw_svg
from eval.report.figures.labels import by_ratio, label_offsets, number, short_name
from eval.report.figures.lines import Positions, colours_of, draw_lines, height_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class SystemPair:
    """Two systems on one data set, item by item.

    Attributes:
        key: prefix of the drawing's ids.
        names: of the two systems.
        measure: name of the values' measure.
        first: item -> value of the first system.
        second: item -> value of the second, for the same items.
        links: item -> id of the place in the page that tells of it; items may lack one.
        labels: item -> text that is shown while a pointer is on it.
    """

    key: str
    names: tuple[str, str]
    measure: str
    first: Mapping[str, float]
    second: Mapping[str, float]
    links: Mapping[str, str]
    labels: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.first.keys() != self.second.keys() or not self.first:
            raise ValueError("a pair of systems is drawn over the items of both; they differ")


@dataclass(frozen=True, slots=True)
class WeightCurve:
    """A measure against the weight of one run.

    Attributes:
        weights: of the run, rising.
        values: the measure at each.
        low: lower end of an interval at each, or empty.
        high: upper end.
    """

    weights: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def scatter(pair: SystemPair) -> str:
    """Draw every item at its value in the first system and in the second, with the diagonal.

    Items at one place are one larger point; a point links to its first item.
    """
    places: dict[tuple[float, float], list[str]] = defaultdict(list)
    for item, value in pair.first.items():
        places[round(value, 3), round(pair.second[item], 3)].append(item)
    titles = _titles(pair, list(places.values()))

    def draw(axes: "Axes") -> None:
        spots = np.array(list(places))
        low, high = min(0.0, float(spots.min())), max(1.0, float(spots.max()))
        axes.plot([low, high], [low, high], color=INK, alpha=0.4, linewidth=1)
        sizes = [18 * len(items) ** 0.5 for items in places.values()]
        shades = [WON if y > x else LOST if y < x else colour(7) for x, y in places]
        points = axes.scatter(spots[:, 0], spots[:, 1], s=sizes, c=shades, alpha=0.6, linewidths=0)
        points.set_urls([_target(pair, items[0]) for items in places.values()])
        axes.set_aspect("equal")
        axes.set_xlabel(f"{short_name(pair.names[0])}, {pair.measure}")
        axes.set_ylabel(f"{short_name(pair.names[1])}, {pair.measure}")

    title = f"{pair.measure} of each item: {pair.names[0]} across, {pair.names[1]} upwards"
    return draw_svg(pair.key, title, draw, titles, height=5)


def differences(pair: SystemPair, interval: tuple[float, float] | None = None) -> str:
    """Draw second minus first of every item as bars from best to worst, with mean and interval."""
    values = {item: pair.second[item] - value for item, value in pair.first.items()}
    order = sorted(values, key=lambda item: (-values[item], item))
    titles = _titles(pair, [[item] for item in order])

    def draw(axes: "Axes") -> None:
        # A bar of no height is no place to point at.
        seen = [at for at, item in enumerate(order) if abs(values[item]) >= 1e-12]
        heights = [values[order[at]] for at in seen]
        shades = [WON if height > 0 else LOST for height in heights]
        for at, bar in zip(seen, axes.bar(seen, heights, width=1, color=shades), strict=True):
            bar.set_url(_target(pair, order[at]))
            bar.set_in_layout(False)  # measuring thousands of bars would take most of the time
        mean = float(np.mean(list(values.values())))
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.axhline(mean, color=INK, linewidth=1.2, linestyle="--", label=f"mean {mean:+.4f}")
        if interval is not None:
            axes.axhspan(*interval, color=INK, alpha=0.12, linewidth=0, label="95 % interval")
        axes.set_xlim(-1, len(order))
        axes.set_xlabel("items, best to worst")
        axes.set_ylabel(f"{short_name(pair.names[1])}\n- {short_name(pair.names[0])}")
        axes.legend(loc="upper right")

    title = f"{pair.measure} of each item: {pair.names[1]} minus {pair.names[0]}, sorted"
    return draw_svg(pair.key, title, draw, titles)


def recall_curves(
    key: str, curves: Mapping[str, Mapping[float, float]], positions: Positions | None = None
) -> str:
    """Draw interpolated precision at each recall, a line for each system."""

    def draw(axes: "Axes") -> None:
        draw_lines(axes, curves, colours_of(curves, positions))
        axes.set_xlabel("recall")
        axes.set_ylabel("precision, interpolated")
        axes.set_ylim(bottom=0)

    return draw_svg(key, "precision over recall of each system", draw, height=height_of(curves))


def gain_curves(
    key: str, curves: Mapping[str, Mapping[int, float]], positions: Positions | None = None
) -> str:
    """Draw nDCG@k over k, a line for each system."""

    def draw(axes: "Axes") -> None:
        draw_lines(axes, curves, colours_of(curves, positions))
        cutoffs = sorted({k for curve in curves.values() for k in curve})
        by_ratio(axes, 1)
        axes.set_xticks(cutoffs, [str(k) for k in cutoffs])
        axes.set_xlabel("k")
        axes.set_ylabel("nDCG@k")

    return draw_svg(key, "nDCG at each cutoff of each system", draw, height=height_of(curves))


def cost_quality(
    key: str,
    points: Mapping[str, tuple[float, float]],
    unit: str,
    measure: str,
    positions: Positions | None = None,
) -> str:
    """Draw systems at their cost and quality, with the line of those that no other beats."""
    front, colours = pareto_front(points), colours_of(points, positions)

    def draw(axes: "Axes") -> None:
        axes.set_xlabel(unit)
        axes.set_ylabel(measure)
        if not points:
            return
        axes.plot(*zip(*(points[name] for name in front), strict=True), color=INK, alpha=0.4)
        for name, spot in points.items():
            axes.scatter(*spot, s=50, color=colours[name], zorder=3)
        axes.margins(0.15)
        costs = [cost for cost, _ in points.values()]
        if min(costs) > 0 and max(costs) / min(costs) >= 20:
            by_ratio(axes, max(costs) / min(costs))
        figure = cast("Figure", axes.figure)
        figure.draw_without_rendering()  # only now is it known where points lie
        spots = axes.transData.transform(list(points.values())) * 72 / figure.dpi
        texts = [short_name(name) for name in points]
        for name, text, offset in zip(points, texts, label_offsets(spots, texts), strict=True):
            axes.annotate(
                text,
                points[name],
                xytext=offset,
                textcoords="offset points",
                ha="right" if offset[0] < 0 else "left",
                va="center",
                weight="bold" if name in front else "normal",
            )

    return draw_svg(key, f"{measure} against {unit}; the line joins what no other beats", draw)


def histogram(
    key: str,
    groups: Mapping[str, Sequence[float]],
    unit: str,
    positions: Positions | None = None,
) -> str:
    """Draw how values spread, an outline for each group, with median and 95th percentile."""
    filled = {name: values for name, values in groups.items() if len(values)}
    colours = colours_of(groups, positions)

    def draw(axes: "Axes") -> None:
        edges = bin_edges(list(filled.values())) if filled else np.array([0.0, 1.0])
        if filled and not np.isclose(edges[1] - edges[0], edges[-1] - edges[-2]):
            by_ratio(axes, edges[-1] / edges[0])
        for name, values in filled.items():
            middle, late = np.percentile(values, [50, 95])
            label = f"{short_name(name)}: {number(middle)} and {number(late)}"
            counts, _ = np.histogram(values, edges)
            axes.stairs(counts / len(values), edges, fill=True, color=colours[name], alpha=0.25)
            axes.stairs(counts / len(values), edges, color=colours[name], label=label)
            axes.axvline(middle, color=colours[name], linestyle="--", linewidth=1.2)
            axes.axvline(late, color=colours[name], linestyle=":", linewidth=1.2)
        axes.set_xlabel(unit)
        axes.set_ylabel("share")
        if filled:
            marks = "median (dashed) and 95th percentile (dotted)"
            legend: Any = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "alignment": "left"}
            axes.legend(title=marks, title_fontsize=10, **legend)

    return draw_svg(key, f"distribution of {unit}", draw)


def fusion_weights(
    key: str, curves: Mapping[str, WeightCurve], run: str, measure: str, chosen: float | None = None
) -> str:
    """Draw a measure against the weight of one run, a line for each way of fusing."""

    def draw(axes: "Axes") -> None:
        for at, (name, curve) in enumerate(curves.items()):
            axes.plot(
                curve.weights, curve.values, color=colour(at), label=short_name(name), marker="."
            )
            if len(curve.low):
                axes.fill_between(
                    curve.weights, curve.low, curve.high, color=colour(at), alpha=0.15, linewidth=0
                )
        if chosen is not None:
            axes.axvline(chosen, color=INK, linestyle="--", linewidth=1, label="as it was run")
        axes.set_xlabel(f"weight of {run}")
        axes.set_ylabel(measure)
        if curves:
            axes.legend(loc="best")

    return draw_svg(key, f"{measure} against the weight of {run}", draw)


def sensitivity(
    key: str, models: Mapping[str, Mapping[str, float]], measure: str, default: str = ""
) -> str:
    """Draw the value of every prompt, a row for each model, with the mean and the default."""
    prompts_of = {name: prompts for name, prompts in models.items() if prompts}

    def draw(axes: "Axes") -> None:
        beside = axes.get_yaxis_transform()
        for at, (name, prompts) in enumerate(prompts_of.items()):
            values = list(prompts.values())
            dots, bar = ("a prompt", "mean") if at == 0 else ("", "")
            rows = [at] * len(values)
            axes.scatter(values, rows, s=45, color=colour(at), alpha=0.6, label=dots)
            middle = [float(np.mean(values))] * 2
            axes.plot(middle, [at - 0.2, at + 0.2], color=INK, linewidth=2, label=bar)
            # Above its row and not beside the axis, where a long name would take all the room.
            axes.text(0.01, at - 0.3, short_name(name), transform=beside, va="bottom")
        rows = [at for at, prompts in enumerate(prompts_of.values()) if default in prompts]
        if rows:
            values = [prompts[default] for prompts in prompts_of.values() if default in prompts]
            ring: Any = {"s": 110, "facecolors": "none", "edgecolors": INK}
            axes.scatter(values, rows, label=short_name(default), **ring)
        axes.set_yticks([])
        axes.set_ylim(max(len(prompts_of), 1) - 0.6, -0.8)
        axes.set_xlabel(measure)
        if prompts_of:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)

    title = f"{measure} of every prompt, by model"
    return draw_svg(key, title, draw, height=1.5 + 0.7 * max(len(prompts_of), 1))


def _target(pair: SystemPair, item: str) -> str | None:
    return f"#{pair.links[item]}" if item in pair.links else None


def _titles(pair: SystemPair, groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the text that is shown at each link; a group of items is linked by its first."""
    linked = ((_target(pair, items[0]), items) for items in groups)
    return {target: _several(pair, items) for target, items in linked if target is not None}


def _several(pair: SystemPair, items: Sequence[str]) -> str:
    """Say which items a point stands for."""
    first, second = pair.first[items[0]], pair.second[items[0]]
    names = "; ".join(pair.labels[item] for item in items[:5])
    more = f" and {len(items) - 5} more" if len(items) > 5 else ""
    return f"{names}{more}: {pair.names[0]} {first:.4f}, {pair.names[1]} {second:.4f}"
