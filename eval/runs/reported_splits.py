"""Guards: nothing is chosen on judgements whose figures are reported."""

import re
from collections.abc import Mapping
from pathlib import Path

from eval.data.asked import names_dataset, qrels_name
from eval.data.beir import BEIR, WHOLE, reported_split
from eval.data.downloads import NANO
from eval.data.qrels import Qrels, read_qrels
from eval.runs.record import SUFFIX, Record, file_stem, is_record

TABLE = ".tsv"  # as BEIR keeps judgements


def check_judgements(path: Path, queries: Path | None = None) -> str:
    """Refuse judgements whose figures are the reported ones.

    Args:
        path: of judgements, perhaps a link, or a data set by name; nothing is said of a file that
            is not there.
        queries: file of the queries, where it is known: judgements are looked for beside it too.

    Returns:
        A warning, or "": of a collection that has no other judgements a copy is let pass.

    Raises:
        ValueError: its name, what it links to, or the record beside it says that it is of such a
            split; or it judges queries of one that lies beside it or beside the queries.
    """
    if names_dataset(path):
        check_development(qrels_name(path))
        return ""
    for place in dict.fromkeys((path, path.resolve())):
        _check_name(place)
    return _check_content(path, queries)


def _check_content(path: Path, queries: Path | None) -> str:
    """Compare judgements with those of reported splits in the folders around."""
    if not path.is_file():
        return ""  # whoever reads it says so
    judged = read_qrels(path)
    beside = [
        place.parent for file in filter(None, (path, queries)) for place in (file, file.resolve())
    ]
    folders = dict.fromkeys(each for folder in beside for each in (folder, folder / "qrels"))
    for folder in folders:
        file = folder / f"{reported_split(folder.parent.name)}{TABLE}"
        shared = _shared_queries(judged, file)
        if not shared:
            continue
        fault = (
            f"{len(shared)} of the {len(judged)} queries that {path} judges are judged alike in "
            f"{file}, the split that figures are reported on"
        )
        others = [other for other in sorted(folder.glob(f"*{TABLE}")) if _is_apart(other, file)]
        if others:
            raise ValueError(
                f"{fault}, and what is chosen there would flatter it; take judgements of another "
                f"split, e.g. {others[0]}"
            )
        return f"{fault}: report no figure on them of what is chosen here"
    return ""


def _shared_queries(judged: Qrels, file: Path) -> set[str]:
    """Return the queries of which a file says that a document is relevant that is so here."""
    reported = _read(file)
    return {
        query
        for query, gains in judged.items()
        if _relevant(gains) & _relevant(reported.get(query, {}))
    }


def _is_apart(file: Path, reported: Path) -> bool:
    judged = _read(file)
    return bool(judged) and not _shared_queries(judged, reported)


def _read(file: Path) -> Qrels:
    try:
        return read_qrels(file)
    except (OSError, ValueError):  # no file, or not one of judgements
        return {}


def _relevant(gains: Mapping[str, int]) -> set[str]:
    return {document for document, gain in gains.items() if gain > 0}


def _check_name(path: Path) -> None:
    record_path = path.with_suffix(SUFFIX)
    if record_path != path and record_path.is_file() and is_record(record_path):
        check_development(Record.read(record_path).dataset)
    folder = path.resolve().parent.parent.name  # BEIR keeps judgements in NAME/qrels/SPLIT.tsv
    words = re.split(r"[^a-z0-9]+", path.stem.lower())
    if "test" in words or path.stem == reported_split(folder):
        raise ValueError(_refusal(f"{path} is of the split that figures are reported on", folder))
    for name in BEIR:
        if path.stem == file_stem(name):
            check_development(name)


def check_development(dataset: str) -> None:
    """Refuse a data set whose name says that its figures are the reported ones.

    Raises:
        ValueError: it is, e.g. "scifact" and not "scifact/train".
    """
    name, _, split = dataset.rpartition("/")
    whole = dataset in BEIR or dataset in WHOLE or not name
    if whole or name == NANO or split == reported_split(name):
        raise ValueError(_refusal(f"{dataset} is the split that figures are reported on", dataset))


def _refusal(fault: str, dataset: str) -> str:
    beir_set = BEIR.get(dataset) or WHOLE.get(dataset)
    usual = () if dataset.startswith(f"{NANO}/") else ("train",)
    splits, reported = (beir_set.splits, beir_set.reported) if beir_set else (usual, "test")
    others = [split for split in splits if split != reported]
    advice = (
        f"take judgements of another split, e.g. lastword eval retrieval --split {others[0]}"
        if others
        else "it has no other split: choose on another data set, or on judgements of your own"
    )
    return f"{fault}, and what is chosen there would flatter it; {advice}"
