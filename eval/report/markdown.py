"""A report as Markdown: the same tables and drawings, and the queries that differ most."""

import re
from collections.abc import Iterator, Sequence

from embedder.text.printable import printable
from eval.report.gather import Report, SetFacts
from eval.report.listings import Listing
from eval.report.page import LEGEND, signed
from eval.report.plots import Plot
from eval.report.tables import MeanCell, SystemTable


def markdown(report: Report, drawings: str) -> str:
    """Write a report as Markdown.

    Args:
        report: its content.
        drawings: the folder, beside the file, that holds each drawing as KEY.svg.
    """
    return "\n\n".join(_blocks(report, drawings)) + "\n"


def _blocks(report: Report, drawings: str) -> Iterator[str]:
    yield f"# {plain(report.title)}"
    yield from map(plain, report.verdicts)
    yield "## What was judged"
    for configuration in report.configurations:
        yield f"### {plain(configuration.name)}"
        versions = ", ".join(
            f"{name} {version}" for name, version in configuration.versions.items()
        )
        facts = [*configuration.facts.items(), *([("versions", versions)] if versions else [])]
        yield "\n".join(f"- {plain(label)}: {plain(text)}" for label, text in facts)
        for prompt in configuration.prompts:
            channels = ", ".join(prompt.channels)
            yield f"Model {plain(prompt.model)}, prompt {plain(prompt.name)} ({plain(channels)}):"
            yield fenced(prompt.text or "The prompt that the model carries.", "toml")
        for channels, text in configuration.fingerprints:
            yield f"Fingerprint of {plain(channels)}:"
            yield fenced(text, "json")
    if report.tables:
        yield "## All data sets"
    for table in report.tables:
        yield f"### {plain(table.heading[:1].upper() + table.heading[1:])}"
        yield from _results(table)
    if report.plots:
        yield "## Prompts"
        yield from _drawn(report.plots, drawings)
    for part in report.sets:
        yield from _set(part, drawings)
    yield "## Behind the figures"
    for listing in report.listings:
        yield from _listing(listing)


def _set(facts: SetFacts, drawings: str) -> Iterator[str]:
    yield f"## {plain(facts.name)}"
    yield f"{facts.about}."
    yield from _results(facts.table)
    yield from _drawn(facts.plots, drawings)
    if facts.differing and facts.compared:
        first, second = facts.compared
        yield "### Queries that differ most"
        yield _table(
            ("query", "text", f">{first}", f">{second}", ">difference"),
            [
                (
                    printable(page.id),
                    page.text,
                    f"{page.values[first]:.4f}",
                    f"{page.values[second]:.4f}",
                    signed(page.difference or 0.0),
                )
                for page in facts.differing
            ],
        )


def _results(table: SystemTable) -> Iterator[str]:
    yield _table(
        ("system", *(f">{column.heading}" for column in table.columns)),
        [
            (system, *(_cell(column.cells[system]) for column in table.columns))
            for system in table.systems
        ],
        written=True,
    )
    yield f"{plain(table.note)} {LEGEND}"


def _cell(cell: MeanCell) -> str:
    if cell.mean is None:
        return "-"
    mean = f"{cell.mean:.4f}"
    return f"**{mean}**" if cell.mark in ("best", "alone") else mean + " ≈" * (cell.mark == "close")


def _listing(listing: Listing) -> Iterator[str]:
    yield f"### {plain(listing.heading)}"
    yield _table(listing.columns, listing.rows)
    if listing.note:
        yield plain(listing.note)


def _drawn(plots: Sequence[Plot], drawings: str) -> Iterator[str]:
    for plot in plots:
        yield f"### {plain(plot.heading)}"
        yield f"![{plain(plot.heading)}]({drawings}/{plot.key}.svg)"
        if plot.note:
            yield plain(plot.note)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], written: bool = False) -> str:
    """Lay out a table; cells are escaped, but for the numbers of cells that are `written`."""
    names = [plain(name.removeprefix(">")) for name in columns]
    rules = ["---:" if name.startswith(">") else "---" for name in columns]
    cells = [[plain(row[0]), *(row[1:] if written else map(plain, row[1:]))] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (names, rules, *cells))


def plain(text: str) -> str:
    """Return a text in one line that Markdown takes as it is, HTML included."""
    line = printable(re.sub(r"[ \t\r\n]+", " ", text).strip())
    return re.sub(r"([\\`*_\[\]<>|#&~])", r"\\\1", line)


def fenced(text: str, language: str) -> str:
    """Return a block of code; its fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    body = printable(text.rstrip(), keep="\n\t")
    return f"{fence}{language}\n{body}\n{fence}"
