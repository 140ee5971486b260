"""Comparisons as tables for papers: LaTeX with marks of significance, and CSV with every figure."""

import csv
import io
from collections.abc import Sequence
from string import ascii_letters

from embedder.text.printable import printable
from eval.statistics.comparison import Comparison
from eval.statistics.family import family_text

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
} | {character: f"\\{character}" for character in "{}$&#_%"}
_COLUMNS = (
    *("measure", "dataset", "system", "mean", "baseline", "baseline_mean", "difference"),
    *("low", "high", "level", "p", "p_holm", "significant", "effect_size"),
    *("items", "wins", "ties", "losses"),
)


def escape_latex(text: str) -> str:
    r"""Write a name so that LaTeX prints it: a_b becomes a\_b.

    >>> escape_latex("runs/a_1 & 50%")
    'runs/a\\_1 \\& 50\\%'
    """
    return "".join(_ESCAPES.get(character, character) for character in printable(text))


def latex_table(comparisons: Sequence[Comparison]) -> str:
    """Return a table of booktabs: a line for each system, a column for each data set and measure.

    The best of a column is bold. A letter behind a value names a system that it is significantly
    better than, by Holm over the tests of the measure.

    Args:
        comparisons: of the same systems, one for each measure, at least one.

    Raises:
        ValueError: there are more systems than letters.
    """
    first = comparisons[0]
    if len(first.systems) > len(ascii_letters):
        raise ValueError(
            f"a table marks {len(ascii_letters)} systems by letters; got {len(first.systems)}"
        )
    letters = dict(zip(first.systems, ascii_letters, strict=False))
    heads = [[*each.datasets, *_mean_name(each)] for each in comparisons]
    width = sum(map(len, heads))
    cells = [_cells(each, letters) for each in comparisons]
    body = [
        " & ".join(
            [
                f"$^{{{letter}}}$ {escape_latex(system)}",
                *(cell for each in cells for cell in each[at]),
            ]
        )
        for at, (system, letter) in enumerate(letters.items())
    ]
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_caption(comparisons)}}}",
        rf"\begin{{tabular}}{{l{'r' * width}}}",
        r"\toprule",
        *_headings(comparisons, heads),
        r"\midrule",
        *(f"{line} \\\\" for line in body),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def csv_table(comparisons: Sequence[Comparison]) -> str:
    """Return a line for each pair of systems and data set, with all figures, unrounded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for comparison in comparisons:
        level = comparison.options.level
        for row in (*comparison.rows, *comparison.macro):
            reach = (row.interval.low, row.interval.high) if row.interval else ("", "")
            counts = (row.items, row.outcomes.wins, row.outcomes.ties, row.outcomes.losses)
            writer.writerow(
                [
                    *(comparison.measure, row.dataset, row.system, row.system_mean),
                    *(row.baseline, row.baseline_mean, row.difference, *reach, level),
                    *(row.test.p, row.p_holm, int(row.p_holm <= 1 - level)),
                    *("" if row.effect is None else row.effect, *counts),
                ]
            )
    return text.getvalue()


def _mean_name(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(row.dataset for row in comparison.macro))


def _headings(comparisons: Sequence[Comparison], heads: Sequence[Sequence[str]]) -> list[str]:
    lines, place = [], 2
    if len(comparisons) > 1:
        spans, rules = [], []
        for comparison, names in zip(comparisons, heads, strict=True):
            name = escape_latex(comparison.measure)
            spans.append(rf"\multicolumn{{{len(names)}}}{{c}}{{{name}}}")
            rules.append(rf"\cmidrule(lr){{{place}-{place + len(names) - 1}}}")
            place += len(names)
        lines = [f" & {' & '.join(spans)} \\\\", "".join(rules)]
    names = [escape_latex(name) for each in heads for name in each]
    return [*lines, f" & {' & '.join(names)} \\\\"]


def _cells(comparison: Comparison, letters: dict[str, str]) -> list[list[str]]:
    """Return the cells of each system, over data sets and their mean."""
    columns = [
        _column(comparison, dataset, dict(comparison.means[dataset]), letters)
        for dataset in comparison.datasets
    ]
    for name in _mean_name(comparison):
        means: dict[str, float] = {}
        for row in comparison.macro:
            means.setdefault(row.baseline, row.baseline_mean)
            means.setdefault(row.system, row.system_mean)
        columns.append(_column(comparison, name, means, letters))
    return [list(cells) for cells in zip(*columns, strict=True)]


def _column(
    comparison: Comparison, dataset: str, means: dict[str, float], letters: dict[str, str]
) -> list[str]:
    alpha = 1 - comparison.options.level
    beaten: dict[str, set[str]] = {name: set() for name in comparison.systems}
    for row in (*comparison.rows, *comparison.macro):
        if row.dataset == dataset and row.p_holm <= alpha and row.difference:
            pair = (row.system, row.baseline) if row.difference > 0 else (row.baseline, row.system)
            beaten[pair[0]].add(letters[pair[1]])
    written = {name: f"{means[name]:.4f}" for name in comparison.systems}
    best = max(written.values(), key=float)
    return [
        (rf"\textbf{{{value}}}" if value == best else value)
        + (f"$^{{{''.join(sorted(beaten[name]))}}}$" if beaten[name] else "")
        for name, value in written.items()
    ]


def _caption(comparisons: Sequence[Comparison]) -> str:
    measures = ", ".join(escape_latex(comparison.measure) for comparison in comparisons)
    families = dict.fromkeys(
        family_text(each.tests, 1 - each.options.level) for each in comparisons if each.tests
    )
    many = " of a measure" if len(comparisons) > 1 else ""
    apart = ", means apart" if any(comparison.macro for comparison in comparisons) else ""
    marks = f" Letters: significantly better than that system {', '.join(families)}{many}{apart}."
    tests = " Two-sided sign-flip tests." if families else ""
    return f"{measures}. Best in bold.{marks if families else ''}{tests}"
