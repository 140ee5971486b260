"""Evaluate encoders, compare evaluations, and reword queries."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from embedder.arguments import (
    check_kind,
    check_options,
    check_path,
)
from embedder.prompts.prompt import Prompt
from embedder.text.layout import align_columns
from eval.data.collections import open_collection
from eval.data.mteb_pairs import NAMES, open_pairs
from eval.measures.given_queries import Judgements, QueryTexts, judgements, query_texts
from eval.measures.measures import Values, means
from eval.robustness.measure import RobustnessOptions
from eval.robustness.measure import measure_robustness as measure_rewordings
from eval.robustness.report import RobustnessReport
from eval.runs.record import Record, file_stem
from eval.runs.run_folder import RunFolder
from eval.runs.systems import FolderSystem
from eval.statistics.compare import compare as compare_systems
from eval.statistics.comparison import CompareOptions, Comparison
from eval.tasks.retrieval import JudgeOptions, judge
from eval.tasks.sts import judge as judge_pairs
from lastword.engine import SearchEngine
from lastword.opening import Model, choose_encoders, given_engine


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation:
    """Values of a system on a data set; it prints as a table, in a notebook too.

    Attributes:
        name: of the system, for comparisons.
        record: everything, values of single items included.

    >>> lw.evaluate("path/to/tiny", "bm25")
    tiny  nDCG@10   R@100  R@1000   RR@10      AP
    bm25   0.4169  0.6667  0.6667  0.3333  0.3611
    """

    name: str
    record: Record

    @property
    def dataset(self) -> str:
        """Name of the data set.

        >>> lw.evaluate("path/to/tiny", "bm25").dataset
        'tiny'
        """
        return self.record.dataset

    @property
    def measures(self) -> dict[str, float]:
        """Measure -> mean over all items, of the run that counts.

        >>> round(lw.evaluate("path/to/tiny", "bm25").measures["RR@10"], 4)
        0.3333
        """
        return self.record.measures

    @property
    def values(self) -> Values:
        """Measure -> item -> value, of the run that counts.

        >>> lw.evaluate("path/to/tiny", "bm25").values["RR@10"]
        {'q1': 0.5, 'q2': 0.5, 'q3': 0.0}
        """
        return self.record.main

    @property
    def runs(self) -> dict[str, dict[str, float]]:
        """Channel, or "fused" -> measure -> mean.

        >>> list(lw.evaluate("path/to/tiny").runs)
        ['dense', 'sparse', 'bm25', 'fused']
        """
        return {name: means(values) for name, values in self.record.values.items()}

    def __repr__(self) -> str:
        return align_columns(self._rows())

    def _repr_html_(self) -> str:
        head, *body = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in self._rows())
        lines = "".join(f"<tr>{row}</tr>" for row in body)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"

    def _rows(self) -> list[list[str]]:
        measures = list(self.measures)
        rows = [
            [name, *(f"{values.get(measure, float('nan')):.4f}" for measure in measures)]
            for name, values in self.runs.items()
        ]
        return [[self.dataset, *measures], *rows]


def evaluate(
    source: str | Path,
    model: Model = "bundled",
    prompt: Prompt | str | Path | None = None,
    indexes: str | Path | None = None,
    options: JudgeOptions | None = None,
) -> Evaluation:
    """Evaluate an encoder on a collection, or on pairs of sentences.

    Args:
        source: a BEIR folder, BEIR name or ir:ID for retrieval; a .tsv file of scored pairs, or
            MTEB's name of such a set (STS12, ...), for similarity.
        model: as for `lastword.build`; for pairs an encoder, not one for each channel.
        prompt: as for `lastword.build`.
        indexes: folder where the index is kept and found again; None keeps none.
        options: depth, measures, fusion and the run folder of a retrieval; see `JudgeOptions`.

    Raises:
        TypeError: an argument is of another type.
        ValueError: there is no such source, or it has no judgements.

    >>> lw.evaluate("path/to/pairs.tsv", "bundled", prompt="prompteol")
    pairs  spearman  pearson
    dense    1.0000   0.9343
    """
    check_path(source, "source", "a path or a name")
    check_options(options, JudgeOptions)
    if indexes is not None:
        check_path(indexes, "indexes")
    encoders = choose_encoders(model, prompt)
    name = model if isinstance(model, str) else "model"
    if isinstance(prompt, Prompt):
        name = f"{name}, {prompt.name}"
    elif prompt is not None:
        name = f"{name}, {Path(prompt).stem}"
    if _holds_pairs(source):
        if "dense" not in encoders:
            raise ValueError(f"pairs are judged by dense rows; {name} gives none")
        pair_set = open_pairs(str(source))[0]
        (outcome,) = judge_pairs([pair_set], encoders["dense"])
        return Evaluation(name, outcome)
    collection = open_collection(source)
    if indexes is not None:
        path = Path(indexes) / file_stem(collection.name)
        return Evaluation(name, judge(collection, encoders, path, options))
    with tempfile.TemporaryDirectory(prefix="lastword-") as folder:
        return Evaluation(name, judge(collection, encoders, Path(folder) / "index", options))


def _holds_pairs(source: str | Path) -> bool:
    return Path(source).suffix == ".tsv" or str(source) in NAMES


def compare(
    a: Evaluation | str | Path,
    b: Evaluation | str | Path,
    measure: str | None = None,
    options: CompareOptions | None = None,
) -> Comparison:
    """Compare two systems item by item, with a paired test and intervals.

    Args:
        a: the baseline: an `Evaluation`, or a run folder.
        b: the other one.
        measure: by default the first of the baseline.
        options: see `CompareOptions`.

    Raises:
        TypeError: an argument is of another type.
        ValueError: they share no data set, or one lacks the measure.

    >>> words, fused = lw.evaluate("path/to/tiny", "bm25"), lw.evaluate("path/to/tiny")
    >>> lw.compare(words, fused).rows[0].outcomes
    Outcomes(wins=1, ties=2, losses=0)
    """
    check_kind(measure, str | None, "measure", "a name")
    check_options(options, CompareOptions)
    systems: dict[str, Mapping[str, Values]] = {}
    for system in (a, b):
        name, values = _system(system)
        systems[name if name not in systems else f"{name} (2)"] = values
    return compare_systems(systems, measure, options)


def _system(system: Evaluation | str | Path) -> tuple[str, Mapping[str, Values]]:
    if isinstance(system, Evaluation):
        return system.name, {system.dataset: system.values}
    if not isinstance(system, str | Path):
        raise TypeError(f"expected an Evaluation or a run folder; got {type(system).__name__}")
    folder = RunFolder.open(Path(system))
    return folder.name, FolderSystem(folder.name, folder).values


def measure_robustness(
    index: SearchEngine | str | Path,
    queries: QueryTexts,
    qrels: Judgements | None = None,
    options: RobustnessOptions | None = None,
) -> RobustnessReport:
    """Reword queries by rule, and tell how much of their answers stays.

    Args:
        index: open, or its folder.
        queries: id -> text, a file of them, or a data set by name, e.g. "ir:ID".
        qrels: judgements of some or all of them; the report then tells what is lost.
        options: kinds of rewording, how many, and what is compared.

    Raises:
        TypeError: an argument is of another type.
        ValueError: there are no queries, or none of them is judged by the qrels.

    >>> report = lw.measure_robustness(index, {"q": "how do I rotate a key"})
    >>> [kind.kind for kind in report.kinds()]
    ['typing', 'order', 'case', 'synonym', 'negation']
    """
    check_options(options, RobustnessOptions)
    texts = query_texts(queries)
    judged = None if qrels is None else judgements(qrels)
    with given_engine(index) as engine:
        return measure_rewordings(engine.search_many, texts, judged, options)
