"""Lay out plain text for a screen: rows as columns, and a text as one line."""

from collections.abc import Collection, Sequence

from embedder.text.printable import printable


def align_columns(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Write rows of equal length below each other.

    Args:
        rows: of cells, the headings first; control characters are written as escapes.
        left: numbers of the columns that are aligned on the left; others are numbers.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def cut_line(text: str, width: int) -> str:
    """Return the beginning of a text as one line, "…" where it goes on."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
