"""The smollm2 prompt: its wording and fusion, chosen on development queries, judged against BM25.

    python -m benchmarks.smollm2 recipe --data DATA --out runs/smollm2
    python -m benchmarks.smollm2.recipe --prompts runs/smollm2/recipe
    lastword eval retrieval DATA/cranfield DATA/cisi DATA/vaswani DATA/scifact --model smollm2 --out R1
    lastword eval retrieval DATA/scifact --split train --model smollm2 --out R2
    python -m benchmarks.smollm2.recipe R1 R2

Development queries are every second one of Cranfield and CISI, from the first, and SciFact's
training queries. No other query has a part in the choice; Vaswani has none at all.
"""  # noqa: E501  (commands stay on one line)

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.bundled_section import markdown
from eval.data.qrels import Qrels
from eval.fusion.sweep import METHODS, grid, sweep
from eval.measures.measures import Values, evaluate
from eval.runs.run_folder import RunFolder, read_records
from eval.statistics.compare import compare
from eval.statistics.comparison import Difference
from retrieval.fusion import fusion_by_name
from retrieval.run import Run

CHANNELS = ("dense", "bm25")
HALVED = ("cranfield", "cisi")
TRAINING = "scifact/train"
MEASURE = "nDCG@10"
STEP = 0.05


class Judged:
    """Runs and judgements of data sets, out of run folders."""

    def __init__(self, folders: list[Path]) -> None:
        self.runs: dict[str, Mapping[str, Run]] = {}
        self.qrels: dict[str, Qrels] = {}
        for folder in map(RunFolder.open, folders):
            for name in folder.records:
                self.runs[name] = {channel: folder.run(name, channel) for channel in CHANNELS}
                self.qrels[name] = folder.qrels(name)

    def development(self) -> dict[str, Qrels]:
        """Return the judgements that may choose."""
        halves = {name: _every_second(self.qrels[name], 0) for name in HALVED}
        return {**halves, TRAINING: self.qrels[TRAINING]}

    def others(self) -> dict[str, Qrels]:
        """Return the judgements that have no part in the choice."""
        rest = {name: qrels for name, qrels in self.qrels.items() if name != TRAINING}
        return {**rest, **{name: _every_second(self.qrels[name], 1) for name in HALVED}}

    def values(self, qrels: Mapping[str, Qrels], fusion: str) -> dict[str, Values]:
        """Judge a fusion, or a channel by its name."""
        return {name: self._values(name, judged, fusion) for name, judged in qrels.items()}

    def _values(self, name: str, qrels: Qrels, fusion: str) -> Values:
        runs = self.runs[name]
        run = runs.get(fusion) or fusion_by_name(fusion, CHANNELS)([*runs.values()])
        return evaluate(run, qrels, [MEASURE])


def main() -> None:
    """Parse, choose, compare, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders of eval retrieval")
    parser.add_argument("--prompts", type=Path, help="folder of bench prompts")
    parser.add_argument("--fusion", default="", help="judge this one instead of the best")
    given = parser.parse_args()
    if given.prompts:
        show_prompts(given.prompts)
    if given.runs:
        show_fusion(given.runs, given.fusion)


def show_prompts(folder: Path) -> None:
    """Print dense rows of each prompt on development queries, and on the others."""
    rows = []
    for path in sorted(folder.glob("*/*/config.json")):
        records, row = read_records(path.parent), [path.parent.name]
        for name in HALVED:
            record = records.get(name)
            values = [*record.values["dense"][MEASURE].values()] if record else [np.nan] * 2
            row += [f"{np.mean(values[first::2]):.4f}" for first in (0, 1)]
        rows.append(row)
    heads = [f"{name}, {queries}" for name in HALVED for queries in ("development", "others")]
    print("\n".join(markdown(["prompt", *heads], rows)))


def show_fusion(folders: list[Path], fusion: str) -> None:
    """Print the best fusions on development queries, and what one gains over BM25."""
    judged = Judged(folders)
    best = choose(judged)
    print(f"Best on development queries: {best[0]}. The ten best:\n")
    print("\n".join(best[:10]), end="\n\n")
    fusion = fusion or best[0].split()[0]
    everything = {name: qrels for name, qrels in judged.qrels.items() if name != TRAINING}
    for title, qrels in (("All queries", everything), ("Without a part", judged.others())):
        systems = {name: judged.values(qrels, name) for name in ("bm25", "dense", fusion)}
        comparison = compare(systems, MEASURE)
        rows = [_cells(row) for row in (*comparison.rows, *comparison.macro)]
        print(f"{title}, {fusion} and dense against bm25:\n")
        print("\n".join(markdown(["data set", "run", "it", "bm25", "difference", "p"], rows)))


def choose(judged: Judged) -> list[str]:
    """Return fusions and their mean over the development sets, the best first."""
    settings = grid(len(CHANNELS), METHODS, STEP)
    by_set = [
        sweep(judged.runs[name], qrels, MEASURE, settings).mean(axis=1)
        for name, qrels in judged.development().items()
    ]
    means = np.mean(by_set, axis=0)
    return [
        f"{settings[at].text(CHANNELS)} {means[at]:.4f} "
        f"({', '.join(f'{values[at]:.4f}' for values in by_set)})"
        for at in np.argsort(-means, kind="stable")
    ]


def _cells(row: Difference) -> list[str]:
    reach = f"{row.interval.low:+.4f} to {row.interval.high:+.4f}" if row.interval else ""
    return [row.dataset, row.system, f"{row.system_mean:.4f}", f"{row.baseline_mean:.4f}",
            f"{row.difference:+.4f} ({reach})", f"{row.test.p:.4f}"]  # fmt: skip


def _every_second(qrels: Qrels, first: int) -> Qrels:
    return {query: judgements for at, (query, judgements) in enumerate(qrels.items())
            if at % 2 == first}  # fmt: skip


if __name__ == "__main__":
    main()
