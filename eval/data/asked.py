"""Queries and judgements of a file, or of a data set by name."""

import os
from pathlib import Path

from eval.data.beir import BEIR
from eval.data.collections import Collection, open_collection
from eval.data.downloads import is_download
from eval.data.qrels import Qrels, read_qrels
from eval.data.queries import read_queries


def names_dataset(source: str | Path) -> bool:
    """Tell whether a data set is named: "ir:ID", "nanobeir/NAME" or a name of BEIR, and no file."""
    name = str(source)
    known = is_download(name) or name.removeprefix("beir/") in BEIR
    return known and not os.path.lexists(source)


def load_queries(source: str | Path) -> dict[str, str]:
    """Read query id -> text of a file, or the judged queries of a data set by name.

    Raises:
        OSError: there is no such file, or the data set cannot be fetched.
        ValueError: see `read_queries`; or there is no such data set, or it has no judged queries.
    """
    return _open(source).queries() if names_dataset(source) else read_queries(Path(source))


def load_qrels(source: str | Path) -> Qrels:
    """Read the judgements of a file or of a data set by name.

    Raises:
        OSError: there is no such file, or the data set cannot be fetched.
        ValueError: see `read_qrels`; or there is no such data set, or it has no judgements.
    """
    return _open(source).qrels() if names_dataset(source) else read_qrels(Path(source))


def qrels_name(source: str | Path) -> str:
    """Return what judgements are called: the name of their data set, or of their file."""
    return _open(source).name if names_dataset(source) else Path(source).stem


def _open(source: str | Path) -> Collection:
    return open_collection(str(source))
