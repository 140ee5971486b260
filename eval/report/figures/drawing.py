"""Drawings as SVG that can stand in a page: text stays text, equal data give equal bytes."""

import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from embedder.text.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which people with any kind of colour vision tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c00", "#7f7f7f")
INK = "#010203"  # stands for the colour of the page's text until the drawing is written
WON, LOST = COLOURS[2], COLOURS[1]

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_SETTINGS: Any = {  # matplotlib lists every name in the type
    "svg.fonttype": "none",
    "text.parse_math": False,  # a $ in a name is a $
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],  # the first is measured, the page has either
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.2,
    "grid.color": INK,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 10,
}


def colour(at: int) -> str:
    """Return the colour of the system at a position; it is the same in every drawing."""
    return COLOURS[at % len(COLOURS)]


def draw_svg(
    key: str,
    title: str,
    draw: Callable[["Axes"], None],
    titles: Mapping[str, str] | None = None,
    height: float = 4.0,
) -> str:
    """Draw on axes and return the drawing as an `<svg>` element.

    Args:
        key: prefix of the drawing's ids; unique in its page.
        title: read to people who do not see the drawing.
        draw: draws on the axes.
        titles: link target -> text that is shown while a pointer is on the link.
        height: in inches, of a width of 6.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # A user's matplotlibrc must not change the bytes.
    clean = {
        name: value
        for name, value in mpl.rcParamsDefault.items()
        if not name.startswith(("_", "backend"))
    }
    with mpl.rc_context({**clean, **_SETTINGS, "svg.hashsalt": key}):
        figure = Figure(figsize=(6, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        draw(axes)
        stream = io.StringIO()
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        with warnings.catch_warnings():  # text stays text: the page's fonts have the glyph
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            figure.savefig(stream, format="svg", metadata=metadata)
    return _for_a_page(stream.getvalue(), key, title, titles or {})


def standalone(svg: str) -> str:
    """Return a drawing as a file of its own: dark ink on white, whatever shows it."""
    return svg.replace("<svg ", '<svg style="background:#fff;color:#222" ', 1) + "\n"


def _for_a_page(text: str, key: str, title: str, titles: Mapping[str, str]) -> str:
    """Make ids unique in a page, links plain, the size that of the place, the ink the page's."""
    ElementTree.register_namespace("", _SVG.strip("{}"))
    root = ElementTree.fromstring(printable(text, keep="\r\n\t"))  # XML allows no others
    for extra in root.findall(f"{_SVG}metadata"):
        root.remove(extra)
    ids = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name == _HREF:
                del element.attrib[name]
                element.set("href", _renamed(value, ids, key))
            else:
                element.set(name, _referring(value if name != "id" else f"{key}-{value}", ids, key))
    for link in root.iter(f"{_SVG}a"):
        link.attrib.pop("target", None)  # matplotlib would open a new page for each
        target = link.attrib["href"]
        tooltip = ElementTree.SubElement(link, f"{_SVG}title")
        tooltip.text = printable(titles.get(target, target), keep="\n")
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("role", "group" if titles else "img")
    root.set("aria-label", printable(title))
    root.set("class", "figure")
    return ElementTree.tostring(root, encoding="unicode").replace(INK, "currentColor")


def _renamed(link: str, ids: set[str], key: str) -> str:
    name = link.removeprefix("#")
    return f"#{key}-{name}" if name in ids else link


def _referring(value: str, ids: set[str], key: str) -> str:
    return re.sub(r"url\((#[^)]+)\)", lambda match: f"url({_renamed(match[1], ids, key)})", value)
