"""Tables for papers: what LaTeX and readers of CSV make of them is what was compared."""

import csv
import io
import re
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.statistics.compare import compare
from eval.statistics.comparison import CompareOptions, Comparison
from eval.statistics.paper_tables import csv_table, escape_latex, latex_table


def systems(
    names: list[str], datasets: int = 2
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Make systems of which each is better than those before, the first two hardly."""
    found = {}
    for at, name in enumerate(names):
        rng = np.random.default_rng(5)
        found[name] = {
            f"set_{number}": {
                measure: {
                    f"q{query}": float(
                        rng.random() * 0.5 + 0.2 * (at > 1) + 0.001 * at * (query % 3 - 1)
                    )
                    for query in range(40)
                }
                for measure in ("nDCG@10", "R@100")
            }
            for number in range(datasets)
        }
    return found


@pytest.fixture(scope="module")
def comparisons() -> list[Comparison]:
    given_values = systems(["bm25", "lava_1", "100% & more"])
    options = CompareOptions(all_pairs=True)
    return [compare(given_values, measure, options) for measure in ("nDCG@10", "R@100")]


def rows_of(table: str) -> list[list[str]]:
    """Read the lines of a table as LaTeX parts them."""
    body = table.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    lines = [line.removesuffix(r" \\") for line in body.strip().splitlines()]
    return [[cell.strip() for cell in re.split(r"(?<!\\)&", line)] for line in lines]


def test_cells_are_the_means_with_letters_of_the_beaten(comparisons: list[Comparison]) -> None:
    table = latex_table(comparisons)
    rows = rows_of(table)
    assert [row[0] for row in rows] == [
        "$^{a}$ bm25",
        r"$^{b}$ lava\_1",
        r"$^{c}$ 100\% \& more",
    ]
    names = [*comparisons[0].systems]
    for measure, comparison in enumerate(comparisons):
        for place, dataset in enumerate(comparison.datasets):
            for name, row in zip(names, rows, strict=True):
                cell = row[1 + 3 * measure + place]
                beaten = {
                    "abc"[names.index(each.baseline if each.difference > 0 else each.system)]
                    for each in comparison.rows
                    if each.dataset == dataset
                    and each.p_holm <= 0.05
                    and name == (each.system if each.difference > 0 else each.baseline)
                }
                value = f"{comparison.means[dataset][name]:.4f}"
                best = max(f"{mean:.4f}" for mean in comparison.means[dataset].values())
                wanted = rf"\textbf{{{value}}}" if value == best else value
                wanted += f"$^{{{''.join(sorted(beaten))}}}$" if beaten else ""
                assert cell == wanted
    assert rows[2][1].endswith("$^{ab}$") and "$^" not in rows[0][1] + rows[1][1]
    assert [row[3] for row in rows][2].startswith(r"\textbf{")  # the mean of the two


def test_the_table_is_whole(comparisons: list[Comparison]) -> None:
    """As many columns in every line as are declared; what begins ends."""
    for some in (comparisons, comparisons[:1]):
        table = latex_table(some)
        (columns,) = re.findall(r"\\begin\{tabular\}\{(l r*|lr+)\}", table)
        assert all(len(row) == len(columns) for row in rows_of(table))
        spans = sum(map(int, re.findall(r"\\multicolumn\{(\d+)\}", table)))
        assert spans == (len(columns) - 1 if len(some) > 1 else 0)
        begun, ended = (re.findall(rf"\\{word}\{{(\w+)\}}", table) for word in ("begin", "end"))
        assert begun == ended[::-1] == ["table", "tabular"]
    assert r"\multicolumn{3}{c}{nDCG@10} & \multicolumn{3}{c}{R@100} \\" in latex_table(comparisons)
    assert r"\cmidrule(lr){2-4}\cmidrule(lr){5-7}" in latex_table(comparisons)
    assert r" & set\_0 & set\_1 & mean of 2 \\" in latex_table(comparisons[:1])
    caption = (
        "nDCG@10. Best in bold. Letters: significantly better than that system at 0.05 by Holm"
    )
    assert caption in latex_table(comparisons[:1])


@given(st.text(string.printable + "äö\u2028\x1b", max_size=20))
def test_names_are_printed_and_never_run(name: str) -> None:
    """Undone by the definition of each escape, it is the name; no other command is in it."""
    written = escape_latex(name)
    meaning = {
        **{rf"\text{word}{{}}": sign for word, sign in (("less", "<"), ("greater", ">"))},
        **{rf"\text{word}{{}}": sign for word, sign in (("bar", "|"), ("quotedbl", '"'))},
        r"\textbackslash{}": "\\",
        r"\textasciitilde{}": "~",
        r"\textasciicircum{}": "^",
        **{f"\\{sign}": sign for sign in "{}$&#_%"},
    }
    pattern = "|".join(map(re.escape, sorted(meaning, key=len, reverse=True)))
    from embedder.text.printable import printable

    assert re.sub(pattern, lambda match: meaning[match[0]], written) == printable(name)
    assert not re.search(r"[\\{}$&#_%~^]", re.sub(pattern, "", written))


def test_csv_holds_every_figure_unrounded(comparisons: list[Comparison]) -> None:
    lines = list(csv.DictReader(io.StringIO(csv_table(comparisons))))
    rows = [
        (comparison, row)
        for comparison in comparisons
        for row in (*comparison.rows, *comparison.macro)
    ]
    assert len(lines) == len(rows) == 18
    for line, (comparison, row) in zip(lines, rows, strict=True):
        assert (line["measure"], line["dataset"]) == (comparison.measure, row.dataset)
        assert (line["system"], line["baseline"]) == (row.system, row.baseline)
        assert float(line["difference"]) == row.difference
        assert float(line["p_holm"]) == row.p_holm
        assert int(line["significant"]) == (row.p_holm <= 1 - comparison.options.level)
        assert row.interval is not None and float(line["low"]) == row.interval.low
        assert int(line["items"]) == row.items
