"""Tables for people: ids and numbers are whole at any width; texts give way, then channels."""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from embedder.text.printable import printable
from lastword.cli.streams import writes_unicode

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.style import Style

NUMBER = ">"
"""What the name of a column of numbers begins with: such a column is aligned to the right."""

_WORD = -1  # the longest word of a heading
_FIRST = (("name", 40), ("text", 20))
_LAST = (("number", _WORD), ("name", 8), ("text", 8), ("number", 3))
"""What gives way where there is no room: kinds of columns, and the cells that they keep."""

_GAP = 2  # cells between columns
_ALIGNED = 60  # cells up to which columns are aligned in a pipe; one longer id pads no other


@dataclass(frozen=True)
class Table:
    """Rows of plain text under names.

    Attributes:
        columns: names; those of numbers begin with ">".
        rows: as many cells each as there are columns.
        texts: names of columns that are cut where a terminal has no room for them.
        spare: names of columns that are left out where even that is not enough.
        strong: whether a cell is printed bold.
        marked: (start, end) of what is printed bold within a text, as it is shown.
        below: it stands right below another table, whose empty line parts them.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: Collection[str] = ()
    spare: Collection[str] = ()
    strong: Callable[[str], bool] = lambda cell: False
    below: bool = False
    marked: Callable[[str], Sequence[tuple[int, int]]] = lambda text: ()

    def __post_init__(self) -> None:
        """Check the shape."""
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"every row needs {len(self.columns)} cells: {self.columns}")

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Yield the lines; where stdout is no terminal nothing is cut, left out or folded."""
        from rich.segment import Segment
        from rich.style import Style

        room = options.max_width - 1 if on_terminal() else None
        layout = self if room is None else self._without_spare(room)
        widths = layout.widths(room)
        total = sum(widths) + _GAP * (len(widths) - 1)
        bold = Style(bold=True)
        if not self.below:
            yield Segment("\n")
        if any(layout.headings):
            yield from layout._row(layout.headings, widths, lambda cell: bold)
            rule = "─" if writes_unicode() else "-"
            yield Segment(f" {rule * (total if room is None else min(total, room))}\n")
        for row in layout.rows:
            yield from layout._row(row, widths, lambda cell: bold if self.strong(cell) else None)
        yield Segment("\n")
        if left_out := [name for name in self.columns if name not in layout.columns]:
            names = ", ".join(name.removeprefix(NUMBER) for name in left_out)
            note = f"(no room for {names}: a wider window shows them)"
            yield from (Segment(f" {line}\n") for line in fold(note, max(room or 0, 12)))

    @property
    def headings(self) -> list[str]:
        """The names as they are shown."""
        return [visible(name.removeprefix(NUMBER)) for name in self.columns]

    def widths(self, room: int | None) -> list[int]:
        """Return how many cells each column takes, so that all fit where that can be.

        Long names are folded to where a text has room beside them, then texts are cut; then
        headings are folded over numbers, which are never narrowed; then names are folded more.

        Args:
            room: cells for the columns and the gaps between them; None for as many as needed.
        """
        if room is None:
            return [min(width, _ALIGNED) for width in self._narrowed(0, ())]
        return self._narrowed(room, (*_FIRST, *_LAST))

    def _narrowed(self, room: int, steps: Sequence[tuple[str, int]]) -> list[int]:
        """Narrow columns kind by kind, each to a width at the least, until they fit."""
        content = [
            max((_width(row[at]) for row in self.rows), default=0)
            for at in range(len(self.columns))
        ]
        widths = list(map(max, content, map(_width, self.headings)))
        words = [max(map(_width, heading.split(" "))) for heading in self.headings]
        for kind, cells in steps:
            least = {
                at: max(
                    words[at] if cells == _WORD else min(cells, widths[at]),
                    content[at] if kind == "number" else 0,
                )
                for at, name in enumerate(self.columns)
                if kind == self._kind(name)
            }
            _shrink(widths, room - _GAP * (len(widths) - 1), least)
        return widths

    def _kind(self, name: str) -> str:
        return "text" if name in self.texts else "number" if name[:1] == NUMBER else "name"

    def _without_spare(self, room: int) -> "Table":
        """Leave out the spare columns if more would have to give way for them."""
        widths = self._narrowed(room, _FIRST)
        if sum(widths) + _GAP * (len(widths) - 1) <= room:
            return self
        places = [at for at, name in enumerate(self.columns) if name not in self.spare]
        return replace(
            self,
            columns=[self.columns[at] for at in places],
            rows=[[row[at] for at in places] for row in self.rows],
        )

    def _row(
        self, cells: Sequence[str], widths: Sequence[int], style: "Callable[[str], Style | None]"
    ) -> "RenderResult":
        """Yield the lines of one row: as many as its most folded cell needs."""
        from rich.segment import Segment

        folded = [
            [cell]
            if not on_terminal()
            else [cut(cell, width)]
            if name in self.texts
            else fold(cell, width)
            for name, cell, width in zip(self.columns, cells, widths, strict=True)
        ]
        for line in range(max(map(len, folded))):
            texts = [lines[line] if line < len(lines) else "" for lines in folded]
            last = max((at for at, text in enumerate(texts) if text), default=-1)
            for at in range(last + 1):
                pad = " " * (widths[at] - _width(texts[at]))
                right = self.columns[at].startswith(NUMBER)
                yield Segment(" " * (_GAP if at else 1) + (pad if right else ""))
                own = style(cells[at])
                plain = own or self.columns[at] not in self.texts or not on_terminal()
                yield from _with_marks(texts[at], () if plain else self.marked(texts[at]), own)
                yield Segment("" if right or at == last else pad)
            yield Segment("\n")


def _with_marks(
    text: str, marked: Sequence[tuple[int, int]], style: "Style | None"
) -> "RenderResult":
    """Yield a text in a style, with some of it in bold."""
    from rich.segment import Segment
    from rich.style import Style

    last = 0
    for start, end in marked:
        yield Segment(text[last:start])
        yield Segment(text[start:end], Style(bold=True))
        last = end
    yield Segment(text[last:], style)


def table(
    *columns: str,
    rows: Sequence[Sequence[str]],
    texts: Collection[str] = (),
    spare: Collection[str] = (),
    strong: Callable[[str], bool] = lambda cell: False,
    marked: Callable[[str], Sequence[tuple[int, int]]] = lambda text: (),
) -> Table:
    """Lay out rows of text of any origin; see `Table`."""
    shown = [[visible(cell) for cell in row] for row in rows]
    return Table(columns, shown, texts, spare, strong, marked=marked)


def on_terminal() -> bool:
    """Whether people read stdout: only there is anything cut."""
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False


def visible(text: str, keep: str = "") -> str:
    """Return a text with everything escaped that stdout cannot or must not be sent.

    Args:
        text: of any origin.
        keep: control characters to leave alone.
    """
    text = printable(text, keep)
    if writes_unicode():
        return text
    encoding = sys.stdout.encoding
    text = text.replace("…", "...")
    return text.encode(encoding, "backslashreplace").decode(encoding)


def fold(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` cells, at spaces where there are any."""
    from rich.cells import chop_cells

    if _width(text) <= width:
        return [text]
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if _width(joined) <= width:
            lines[-1] = joined
        else:
            pieces = chop_cells(word, max(width, 2))  # a wide character has two cells
            lines = [*lines, *pieces] if lines[-1] else [*lines[:-1], *pieces]
    return lines


def cut(text: str, width: int) -> str:
    """Shorten a text to `width` cells, with a sign that it goes on."""
    from rich.cells import set_cell_size

    sign = "…" if writes_unicode() else "..."
    if _width(text) <= width:
        return text
    return set_cell_size(text, max(width - len(sign), 0)).rstrip() + sign


def _shrink(widths: list[int], room: int, least: Mapping[int, int]) -> None:
    """Narrow the widest of some columns until all fit in `room`, or these are at their least."""
    while sum(widths) > room:
        wide = [at for at, narrowest in least.items() if widths[at] > narrowest]
        if not wide:
            return
        widths[max(wide, key=lambda at: widths[at])] -= 1


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
