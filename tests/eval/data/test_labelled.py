"""Labelled sentences: files and folders become tasks."""

from pathlib import Path

import pytest

from eval.data.labelled import LabelledItems, LabelledTask, read_labelled, read_tasks, sentences
from eval.data.tables import tsv_files

ONE = 'label\ttext\n1\tgood "film"\n0\tbad film\n'
TWO = "label\tsentence1\tsentence2\n1\ta cat\tthe cat\n0\ta cat\tlava\n"


def test_files_are_grouped_into_tasks_by_name(tmp_path: Path) -> None:
    names = ("mr", "well-known", "sst2-train", "sst2-dev", "sst2-test", "mrpc-train", "mrpc-test")
    for name in names:
        (tmp_path / f"{name}.tsv").write_text(TWO if "mrpc" in name else ONE)
    tasks = {task.name: task for task in read_tasks(tsv_files(tmp_path, "labelled text"))}
    assert {name: sorted(task.parts) for name, task in tasks.items()} == {
        "mr": ["all"],
        "well-known": ["all"],
        "sst2": ["dev", "test", "train"],
        "mrpc": ["test", "train"],
    }
    assert tasks["mr"].training.items == (('good "film"',), ("bad film",))
    assert tasks["mrpc"].pairs and tasks["mrpc"].parts["test"].items[0] == ("a cat", "the cat")
    assert sentences(tasks.values()) == ['good "film"', "bad film", "a cat", "the cat", "lava"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["mrpc-train"], "mrpc: expected one file mrpc.tsv, or .*; got train"),
        (["mr", "mr-train"], "mr: expected one file .*; got all, train"),
        (["x-dev", "x-test"], "x: expected one file .*; got dev, test"),
    ],
)
def test_a_task_that_lacks_a_part_is_refused(names: list[str], said: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / f"{name}.tsv").write_text(ONE)
    with pytest.raises(ValueError, match=said):
        read_tasks(tsv_files(tmp_path, "labelled text"))


def test_a_part_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mr.tsv"
    path.write_text(ONE)
    with pytest.raises(ValueError, match="are both mr; rename one"):
        read_tasks([path, path])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "columns label, text, separated by tabs; label, text is missing"),
        ("text\tsentence1\n", "label, sentence1, sentence2, separated .*; label, sentence2 is mis"),
        ("label\ttext\n", "at least one item; got 0 labels"),
        ("label\ttext\n1\ta\tb\n", "bad.tsv:2: expected 2 fields .*; got 3"),
    ],
)
def test_a_broken_file_says_what_was_expected(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_labelled(path)


def test_parts_must_fit_together() -> None:
    one = LabelledItems((("a",), ("b",)), ("0", "1"))
    two = LabelledItems((("a", "b"),), ("0",))
    with pytest.raises(ValueError, match="one sentence an item, others two"):
        LabelledTask("x", {"train": one, "test": two})
    with pytest.raises(ValueError, match="needs two labels"):
        LabelledTask("x", {"all": two})


def test_folders_are_looked_into(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no \.tsv files of pairs"):
        tsv_files(tmp_path, "pairs")
    for name in ("b.tsv", "a.tsv", "notes.txt", ".hidden.tsv"):
        (tmp_path / name).write_text(ONE)
    assert [path.name for path in tsv_files(tmp_path, "pairs")] == ["a.tsv", "b.tsv"]
    with pytest.raises(FileNotFoundError, match="gone"):
        tsv_files(tmp_path / "gone", "pairs")
