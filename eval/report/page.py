"""A report as one page of HTML, which needs nothing but itself: no scripts, no other files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from embedder.text.printable import printable
from eval.report.gather import Report
from eval.report.highlights import BM25, QUERY
from eval.report.tables import ALPHA
from eval.statistics.significance import FLIPS

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
TEMPLATE, STYLE = "page.html.j2", "page.css"

LEGEND = (
    f"Bold: the best of the column; of several folders, of what counts in each, and other runs "
    f"stand beside. ≈: not significantly worse (paired randomisation test, {FLIPS:,} sign "
    f"patterns, Holm over the measure on all data sets, means apart, the same run once; "
    f"p > {ALPHA})."
)


def html(report: Report) -> str:
    """Write the page; equal reports give equal pages. Every text is escaped."""
    css = (FOLDER / STYLE).read_text(encoding="utf-8")
    template = environment().get_template(TEMPLATE)
    return template.render(report=report, css=css, legend=LEGEND) + "\n"


def signed(difference: float) -> str:
    """Write a difference with its sign; 0 has none."""
    return f"{difference:+.4f}".replace("-", "\N{MINUS SIGN}") if difference else "0"


def environment() -> "Environment":
    """Return the template engine; every text is escaped, and its control characters shown."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    templates.filters |= {"tint": _tint, "signed": signed, "sign": _sign, "one_line": printable}
    return templates


def _visible(value: object) -> object:
    """Show the control characters of whatever is filled in: HTML allows none but white space."""
    if not isinstance(value, str):
        return value
    return type(value)(printable(value, keep="\n\t"))  # what is Markup already stays Markup


def _tint(channels: Sequence[str]) -> str:
    """Name the class of words that carried the score in some channels."""
    words = any(channel in (BM25, QUERY) for channel in channels)
    model = any(channel not in (BM25, QUERY) for channel in channels)
    return "b" * words + "s" * model


def _sign(difference: float) -> str:
    return "up" if difference > 0 else "down" if difference < 0 else "even"
