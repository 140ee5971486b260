"""Tasks for the mteb library, local ones and its own by name, and how a model is judged on one."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.files.name_lists import suggest_names
from eval.data.beir import holds_queries
from eval.data.collections import Collection, is_written_as_path, open_collection
from eval.data.local import is_beir_folder
from eval.data.mteb_pairs import errors_only
from eval.data.pairs import PairSet, read_pairs
from eval.measures.measures import means

if TYPE_CHECKING:
    from mteb import ResultCache
    from mteb.abstasks import AbsTask
    from mteb.results import TaskResult

    from eval.tasks.mteb_model import DenseModel

BATCH = 32  # texts that mteb hands over at a time; how many are read together is the encoder's
SPLIT = "test"  # name of the one split of a local task in results
_STEMS = {  # trec_eval's name -> mteb's
    "ndcg_cut": "ndcg",
    "map_cut": "map",
    "recall": "recall",
    "P": "precision",
    "success": "hit_rate",
}


def open_task(source: str, languages: Sequence[str] = ()) -> "AbsTask":
    """Find a task by path or by mteb's name; a path that exists comes first.

    Args:
        source: a BEIR folder, a .tsv file of scored pairs, or a name like "SciFact".
        languages: ISO 639-3 codes, e.g. "eng"; leaves subsets of other languages out of a task
            of mteb's. None is named: all stay.

    Raises:
        ValueError: neither a path nor a name of mteb's, or nothing to judge by there.
    """
    path = Path(source)
    if is_beir_folder(path):
        return retrieval_task(open_collection(path))
    if path.suffix == ".tsv" and path.is_file():
        return pairs_task(read_pairs(path))
    if is_written_as_path(source):
        path.stat()  # what is not there is called that
    if path.exists():
        raise ValueError(
            f"{source} is no task: expected a BEIR folder with corpus.jsonl, a .tsv file of "
            "scored pairs, or a name of mteb's"
        )
    import mteb

    try:
        return mteb.get_task(source, languages=list(languages) or None)
    except KeyError as error:
        hint = name_hint(source, known_names())
        raise ValueError(f"{source!r} is neither a path here nor a task of MTEB{hint}") from error


def benchmark_tasks(name: str) -> "list[AbsTask]":
    """Return the tasks of a benchmark of mteb's, e.g. "MTEB(eng, v2)".

    Raises:
        ValueError: no benchmark has this name.
    """
    import mteb

    try:
        return list(mteb.get_benchmark(name).tasks)
    except KeyError as error:
        known = [benchmark.name for benchmark in mteb.get_benchmarks()]
        raise ValueError(f"no MTEB benchmark is called {name!r}{name_hint(name, known)}") from error


def judge_task(task: "AbsTask", model: "DenseModel", cache: "ResultCache") -> "TaskResult":
    """Judge a model on a task, or on its missing parts, and keep the result in mteb's format.

    A result of other data, known by their revision, does not count.

    Raises:
        OSError: the data could not be fetched.
        ValueError: the model cannot do the task, or a file of results is broken.
    """
    import mteb

    if task.is_aggregate:
        for part in task.metadata.tasks:
            judge_task(part, model, cache)
    result = _load_result(task, model, cache)
    stale = result is not None and result.dataset_revision != task.metadata.revision
    if result is None or stale or result.get_missing_evaluations(task):
        _fetch(task)
    outcome = mteb.evaluate(
        model,
        task,
        cache=cache,
        overwrite_strategy="always" if stale else "only-missing",
        co2_tracker=False,
        show_progress_bar=False,
        encode_kwargs={"batch_size": BATCH, "show_progress_bar": False},
    )
    if task.data_loaded:
        task.unload_data()
    return outcome.task_results[0]


def _load_result(task: "AbsTask", model: "DenseModel", cache: "ResultCache") -> "TaskResult | None":
    key = (task.metadata.name, model.mteb_model_meta)
    try:
        return cache.load_task_result(*key)
    except ValueError as error:
        raise ValueError(
            f"{cache.get_task_result_path(*key)} is no result of mteb, perhaps because a run was "
            "killed while it was written; delete it, and the task is judged again"
        ) from error


def _fetch(task: "AbsTask") -> None:
    """Load the data of a task by itself, so that a failure is known to be of this step."""
    from datasets.exceptions import DatasetsError

    if task.is_aggregate:
        return
    try:
        task.load_data()
    except (OSError, DatasetsError) as error:
        path, reason = task.metadata.dataset["path"], str(error).strip().split("\n")[0]
        raise OSError(
            f"{path}, the data of {task.metadata.name}, could not be fetched from the Hugging "
            f"Face hub: {reason}"
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Keep bars and remarks of mteb and its libraries away; errors are raised anyway."""
    import datasets

    had_bars = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        with errors_only("mteb"):
            yield
    finally:
        if had_bars:
            datasets.enable_progress_bars()


def retrieval_task(collection: Collection) -> "AbsTask":
    """Make a task of a collection with queries and judgements; all of it is held in memory."""
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval

    queries, qrels = collection.queries(), collection.qrels()
    texts = ([doc.id, doc.title, doc.text] for doc in collection.documents())
    revision = _digest([sorted(queries.items()), sorted(qrels.items())], texts)

    class LocalRetrieval(AbsTaskRetrieval):  # type: ignore[misc]
        """A collection; scores that mteb rounds to five digits are replaced by unrounded ones."""

        metadata = _metadata(collection.name, "Retrieval", "ndcg_at_10", revision)
        ignore_identical_ids = holds_queries(collection.name)

        def load_data(self, *_: object, **__: object) -> None:
            documents = list(collection.documents())
            corpus = {
                name: [getattr(document, name) for document in documents]
                for name in ("id", "title", "text")
            }
            split = {
                "corpus": Dataset.from_dict(corpus),
                "queries": Dataset.from_dict({"id": [*queries], "text": [*queries.values()]}),
                "relevant_docs": qrels,
                "top_ranked": None,
            }
            self.dataset = {"default": {SPLIT: split}}
            self.data_loaded = True

        def task_specific_scores(
            self, scores: Mapping[str, Mapping[str, float]], *_: object, **__: object
        ) -> dict[str, float]:
            return _unrounded(scores)

    return LocalRetrieval()


def pairs_task(pair_set: PairSet) -> "AbsTask":
    """Make a task of scored pairs; all pairs count together, whatever subset they are from."""
    from datasets import Dataset
    from mteb.abstasks import AbsTaskSTS

    pairs = [(pair.gold, pair.first, pair.second) for pair in pair_set.pairs]
    revision = _digest([], pairs)

    class LocalPairs(AbsTaskSTS):  # type: ignore[misc]
        """A file of scored pairs."""

        metadata = _metadata(pair_set.name, "STS", "cosine_spearman", revision)

        def load_data(self, *_: object, **__: object) -> None:
            scores, first, second = (list(column) for column in zip(*pairs, strict=True))
            columns = {"score": scores, "sentence1": first, "sentence2": second}
            self.dataset = {SPLIT: Dataset.from_dict(columns)}
            self.data_loaded = True

    return LocalPairs()


def _metadata(name: str, kind: str, main_score: str, revision: str) -> Any:  # noqa: ANN401  (mteb's type)
    from mteb.abstasks.task_metadata import TaskMetadata

    return TaskMetadata(
        name=name.replace("/", "-"),
        description=f"{name}, from files on this disk",
        type=kind,
        category="t2t",
        main_score=main_score,
        eval_splits=[SPLIT],
        eval_langs=["und-Zyyy"],
        dataset={"path": "local", "revision": revision},
    )


def _unrounded(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Average the values of trec_eval: query id -> "ndcg_cut_10" -> value becomes "ndcg_at_10"."""
    by_measure: dict[str, dict[str, float]] = {}
    for query_id, values in scores.items():
        for measure, value in values.items():
            stem, _, cutoff = measure.rpartition("_")
            by_measure.setdefault(f"{_STEMS[stem]}_at_{cutoff}", {})[query_id] = value
    return means(by_measure)


def _digest(facts: object, rows: Iterable[object]) -> str:
    """Return 16 hex digits of everything that is judged: other texts are another revision."""
    digest = hashlib.blake2b(json.dumps(facts).encode(), digest_size=8)
    for row in rows:
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()


def known_names() -> list[str]:
    """Return the names of mteb's tasks and of the types of tasks."""
    import mteb

    tasks = [task.metadata for task in mteb.get_tasks(exclude_superseded=False)]
    return list(dict.fromkeys([task.name for task in tasks] + [task.type for task in tasks]))


def name_hint(name: str, known: Iterable[str]) -> str:
    """Return the end of an error about an unknown name: the names that are like it."""
    otherwise = "https://embeddings-benchmark.github.io/mteb lists them"
    return f"; {suggest_names(name, known, otherwise)}"
