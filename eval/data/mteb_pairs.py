"""Sets of sentence pairs by the names of MTEB's tasks, read through the mteb library."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eval.data.collections import is_written_as_path
from eval.data.pairs import PairSet, SentencePair, read_pairs
from eval.data.tables import tsv_files

NAMES = ("STS12", "STS13", "STS14", "STS15", "STS16", "STSBenchmark", "SICK-R")
SPLIT = "test"  # what papers report, and the only split that MTEB judges


def open_pairs(source: str) -> list[PairSet]:
    """Read pairs from a file, a folder of files, or MTEB's copy of a set by its name.

    What exists under a path comes first.

    Raises:
        ValueError: there is nothing to read, it is not as expected, or it cannot be fetched.
    """
    if Path(source).exists() or is_written_as_path(source):
        return [read_pairs(path) for path in tsv_files(Path(source), "pairs")]
    names = {name.lower(): name for name in NAMES}
    if source.lower() not in names:
        raise ValueError(
            f"{source} is neither a file nor a folder of .tsv files, nor one of MTEB's sets "
            f"({', '.join(NAMES)})"
        )
    try:
        import mteb
    except ImportError as error:
        raise ValueError(
            f"{source} is read through the mteb library: pip install 'lastword[mteb]'; "
            "local .tsv files need none"
        ) from error
    return [task_pairs(mteb.get_task(names[source.lower()]))]


def task_pairs(task: Any) -> PairSet:  # noqa: ANN401  (mteb carries no types that are followed)
    """Read the pairs of an AbsTaskSTS, which fetches data that is not on this disk.

    Raises:
        ValueError: it cannot be fetched.
    """
    name = task.metadata.name
    try:
        with errors_only("huggingface_hub"):  # five retries are one error
            task.load_data()
    except (OSError, ValueError) as error:  # no network; a copy that is damaged
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{name} could not be fetched ({reason}); a local .tsv file with score, sentence1, "
            "sentence2 works instead"
        ) from error
    first, second = task.column_names
    table = task.dataset[SPLIT]
    rows = zip(table["score"], table[first], table[second], strict=True)
    return PairSet(name, tuple(SentencePair(float(gold), *texts) for gold, *texts in rows))


@contextmanager
def errors_only(library: str) -> Iterator[None]:
    """Silence warnings, and all that a library logs below an error."""
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
