"""Guards: nothing is chosen on judgements whose figures are reported."""

import re
from pathlib import Path

from eval.data.beir import BEIR, WHOLE, reported_split
from eval.runs.record import SUFFIX, Record, file_stem, is_record


def check_judgements(path: Path) -> None:
    """Refuse a file of judgements whose figures are the reported ones.

    Raises:
        ValueError: its name, or the record beside it, says that it is of such a split.
    """
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
    if dataset in BEIR or dataset in WHOLE or not name or split == reported_split(name):
        raise ValueError(_refusal(f"{dataset} is the split that figures are reported on", dataset))


def _refusal(fault: str, dataset: str) -> str:
    beir_set = BEIR.get(dataset) or WHOLE.get(dataset)
    splits, reported = (beir_set.splits, beir_set.reported) if beir_set else (("train",), "test")
    others = [split for split in splits if split != reported]
    advice = (
        f"take judgements of another split, e.g. lastword eval retrieval --split {others[0]}"
        if others
        else "it has no other split: choose on another data set, or on judgements of your own"
    )
    return f"{fault}, and what is chosen there would flatter it; {advice}"
