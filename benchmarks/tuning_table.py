"""The table of tunings in docs/tuning.md, made of the rows that results.jsonl keeps."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bundled_section import markdown
from benchmarks.record import RESULTS

PAGE = Path(__file__).parents[1] / "docs/tuning.md"
BEGIN, END = "<!-- python -m benchmarks.tuning -->", "<!-- end -->"
HEADS = (
    "row",
    "default",
    "best of the library",
    "its gain, 95 %, p",
    "what the tuner tested",
    "its gain, 95 %, p",
    "bound",
    "taken",
    "share of the gap",
    "tokens, s",
)
NOTE = """
nDCG@10 on held-out queries: CONFIRM, or with folds the last. "Best of the library"
is the best of the wordings that every search tries first, by trying all of them on these very
queries: too large a gain, with p adjusted for all of them. The share of it that the tuner
found is told where it is significant (p <= .05), and is 0 where the default was kept. The
tuner's p is that of its verdict, its bound one of betting. "-": nothing was better on SEARCH
and SELECT, or with folds in the last search, so CONFIRM stayed sealed.
"""

Row = Mapping[str, Any]


def rows_kept() -> list[Row]:
    """Return the last record of each row."""
    last: dict[tuple[str, ...], Row] = {}
    for line in RESULTS.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["name"] == "tuning" and "oracle" in record:
            last[tuple(record[name] for name in ("model", "collection", "channels"))] = record
    return [last[key] for key in sorted(last)]


def write_table(rows: Sequence[Row]) -> list[str]:
    """Write the table between its marks in the page, and return its lines."""
    lines = list(table_lines(rows))
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, *lines, END + after]), encoding="utf-8")
    return lines


def table_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table with what it needs to be understood."""
    if not rows:
        yield "No row has been run."
        return
    yield from ("", *markdown(HEADS, [cells(row) for row in rows]), "")
    yield from (*NOTE.strip().splitlines(), "")
    machines = dict.fromkeys(f"{row['machine']}, {row['cores']} cores" for row in rows)
    commits = dict.fromkeys(row["commit"] for row in rows)
    yield f"{'; '.join(machines)}; commits {', '.join(commits)}."


def cells(row: Row) -> tuple[str, ...]:
    """Return a row of the table."""
    tested, oracle, recovered = row["tested"], row["oracle"], row["recovered"]
    p = row["decision"] if row["decision"] is not None else 1.0
    return (
        f"{row['model']}, {row['collection']}, {row['channels']}, {row['budget']}",
        f"{row['default_ndcg10']:.4f}",
        f"{oracle['how']} (of {oracle['tried'] - 1})",
        _gain(oracle, oracle["p"]),
        f"{tested['made_by']}: {tested['how']}" if tested else "-",
        _gain(tested, p) if tested else "-",
        f"{tested['bound']:+.3f}" if tested else "-",
        "yes" if row["changed"] else "no",
        f"{recovered:.0%}" if recovered is not None else "no gap",
        f"{row['tokens']:,}, {row['seconds']:.0f}",
    )


def _gain(figures: Mapping[str, Any], p: float) -> str:
    interval = figures["interval"]
    reach = f", {interval['low']:+.3f}..{interval['high']:+.3f}" if interval else ""
    return f"{figures['gain']:+.4f}{reach}, {p:.2g}"
