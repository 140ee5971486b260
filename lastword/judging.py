"""Evaluate encoders, compare evaluations, and tune the prompt of an index."""

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from embedder.arguments import (
    check_kind,
    check_options,
    check_path,
    check_query,
    check_text,
)
from embedder.prompts.prompt import Prompt
from embedder.text.layout import align_columns
from eval.data.asked import load_qrels, load_queries
from eval.data.collections import open_collection
from eval.data.mteb_pairs import NAMES, open_pairs
from eval.data.qrels import Qrels
from eval.measures.measures import Values, check_judged, means
from eval.runs.record import Record, file_stem
from eval.runs.reported_splits import check_judgements
from eval.runs.run_folder import RunFolder
from eval.runs.systems import FolderSystem
from eval.statistics.compare import compare as compare_systems
from eval.statistics.comparison import CompareOptions, Comparison
from eval.synthesis.devset import DevsetOptions
from eval.tasks.retrieval import JudgeOptions, judge
from eval.tasks.sts import judge as judge_pairs
from lastword.engine import SearchEngine
from lastword.opening import Model, choose_encoders, open_engine
from tuning.objectives.judged_queries import JudgedQueries
from tuning.options import TuningOptions
from tuning.run import tune_index
from tuning.search.result import TuningOutcome
from tuning.unjudged import tune_unjudged

QueryTexts = Mapping[str, str] | str | Path
Judgements = Qrels | str | Path


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


def tune(
    index: SearchEngine | str | Path,
    queries: QueryTexts | None = None,
    qrels: Judgements | None = None,
    budget: str = "2M-tokens",
    options: TuningOptions | None = None,
    *,
    devset: DevsetOptions | None = None,
    out: str | Path | None = None,
) -> TuningOutcome:
    """Search for a better prompt of an index, and say whether it is one.

    The index stays as it is. The same call again continues an interrupted search.

    Without judgements, queries are made of the documents, and it is tried whether they order
    prompts as judgements do: those of a few judged queries, given beside `devset`, or those of two
    small collections that come along.

    Args:
        index: open, or its folder.
        queries: id -> text, a file of them, or a data set by name, e.g. "ir:ID".
        qrels: query id -> document id -> gain, or a file of judgements or name of a data set.
        budget: limits that are never exceeded, e.g. "300k-tokens" or "2M-tokens,600-seconds".
        options: what is tuned and how; its budget counts where it is given.
        devset: which queries are made, to be tuned on; by default 200, and only where there are
            no judgements.
        out: folder of journal, prompt and report, by default INDEX.tuned; other options need
            another.

    Raises:
        TypeError: an argument is of another type.
        ValueError: there are fewer than six queries that differ in text and in relevant documents
            of the index, made queries do not order prompts as judgements do, or the budget is too
            small.

    >>> words = ["tea", "key", "sea", "bee", "oak", "rye"]
    >>> index = lw.build("words.index", words, encoder)
    >>> qrels = {word: {str(at): 1} for at, word in enumerate(words)}
    >>> lw.tune(index, {word: word for word in words}, qrels, budget="4k-tokens").verdict
    'keep the default'
    """
    check_options(options, TuningOptions)
    check_options(devset, DevsetOptions, "devset")
    chosen = options or TuningOptions(budget=budget)
    if (queries is None) != (qrels is None):
        raise ValueError("queries and qrels go together; give both, or none to have queries made")
    data = None
    if queries is not None and qrels is not None:
        texts = _query_texts(queries)
        beside = None if isinstance(queries, Mapping) else Path(queries)
        data = JudgedQueries.of(texts, _judgements(qrels, beside))
    if out is not None:
        check_path(out, "out", "a folder")
    folder = Path(out) if out is not None else None
    if isinstance(index, SearchEngine):
        return _tune(index, data, chosen, devset, folder)
    check_path(index, "index", "an open index, or its folder")
    with open_engine(index) as engine:
        return _tune(engine, data, chosen, devset, folder)


def _tune(
    engine: SearchEngine,
    data: JudgedQueries | None,
    options: TuningOptions,
    devset: DevsetOptions | None,
    folder: Path | None,
) -> TuningOutcome:
    if data is not None and devset is None:
        if options.judge:
            raise ValueError("a judge goes with made queries: give devset, or no judged queries")
        return tune_index(engine.retriever, data, options, folder)
    return tune_unjudged(engine.retriever, options, devset, data, folder)


def _query_texts(queries: QueryTexts) -> Mapping[str, str]:
    if not isinstance(queries, Mapping):
        check_path(queries, "queries", "a dict of id -> text, or a file")
        return load_queries(queries)
    for query_id, text in queries.items():
        check_text(query_id, "the id of a query")
        check_query(text, f"query {query_id!r}")
    return queries


def _judgements(qrels: Judgements, queries: Path | None = None) -> Qrels:
    if isinstance(qrels, Mapping):
        check_judged(qrels)
        return qrels
    check_path(qrels, "qrels", "a dict of query -> document -> gain, or a file")
    if warning := check_judgements(Path(qrels), queries):
        warnings.warn(f"{warning}.", stacklevel=3)
    return load_qrels(qrels)
