"""Write a report of run folders: a page of HTML, Markdown beside it, and its drawings."""

from collections.abc import Sequence
from pathlib import Path

from embedder.files.durable import replace_file
from eval.report.figures.drawing import standalone
from eval.report.gather import ReportOptions, gather
from eval.report.markdown import markdown
from eval.report.page import html


def write_report(
    folders: Sequence[Path], out: Path, options: ReportOptions | None = None
) -> tuple[Path, Path]:
    """Write NAME.html, NAME.md and NAME-files/ with the drawings that the Markdown shows.

    Args:
        folders: run folders; the first two are compared item by item.
        out: the page, .html; the same folders give the same bytes.
        options: see `ReportOptions`.

    Returns:
        The page and the Markdown.

    Raises:
        ValueError: a folder is no run folder or is given twice, or out is no .html file;
            the page, the Markdown or the folder of drawings is a link.
    """
    if out.suffix != ".html":
        raise ValueError(f"a report is written to a .html file; got {out}")
    text, drawings = out.with_suffix(".md"), out.with_name(f"{out.stem}-files")
    for place in (out, text, drawings):
        if place.is_symlink():
            raise ValueError(f"{place} is a link, and nothing is written through links")
    report = gather(folders, options)
    (drawings if report.drawings else out.parent).mkdir(parents=True, exist_ok=True)
    for plot in report.drawings:
        replace_file(drawings / f"{plot.key}.svg", standalone(plot.svg).encode())
    replace_file(text, markdown(report, drawings.name).encode())
    replace_file(out, html(report).encode())
    return out, text
