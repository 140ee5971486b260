"""Which data sets may be chosen on, and what is said of those whose figures are reported."""

from pathlib import Path

import pytest

from eval.runs.reported_splits import check_development, check_judgements


@pytest.mark.parametrize(
    "dataset", ["scifact/train", "msmarco/train", "mine/dev", "cqadupstack/tex/dev", "msmarco/test"]
)
def test_development_splits_pass(dataset: str) -> None:
    """A guard returns nothing; letting a split pass is not raising."""
    check_development(dataset)


@pytest.mark.parametrize(
    ("dataset", "advice"),
    [
        ("scifact", "--split train"),
        ("msmarco", "--split train"),
        ("arguana", "it has no other split: choose on another data set"),
        ("cqadupstack/tex", "it has no other split"),
        ("cqadupstack", "it has no other split"),
        ("mine", "--split train"),
        ("mine/test", "--split train"),
        ("msmarco/dev", "--split train"),
        ("nano-beir/scifact", "it has no other split"),
    ],
)
def test_reported_splits_are_refused(dataset: str, advice: str) -> None:
    with pytest.raises(ValueError, match="figures are reported on") as error:
        check_development(dataset)
    assert advice in str(error.value) and "\n" not in str(error.value)


def write_qrels(path: Path, *queries: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{query}\td-{query}\t1" for query in queries]
    path.write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n")
    return path


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A collection in BEIR's folders, with a split to choose on."""
    folder = tmp_path / "mine"
    write_qrels(folder / "qrels" / "test.tsv", "q1", "q2")
    write_qrels(folder / "qrels" / "train.tsv", "q3", "q4")
    return folder


def test_a_link_to_judgements_of_a_test_split_is_refused(collection: Path, tmp_path: Path) -> None:
    """`dev.tsv -> qrels/test.tsv` went through, since the name of the link is harmless."""
    link = tmp_path / "dev.tsv"
    link.symlink_to(collection / "qrels" / "test.tsv")
    with pytest.raises(ValueError, match="figures are reported on"):
        check_judgements(link)


@pytest.mark.parametrize("beside", ["queries", "qrels"])
def test_a_copy_is_known_by_its_content(collection: Path, tmp_path: Path, beside: str) -> None:
    """Copied, shortened, in another order or format, joined with others: the pairs are the same."""
    place = collection / "qrels" if beside == "qrels" else tmp_path
    queries = collection / "queries.jsonl" if beside == "queries" else None
    copies = [
        write_qrels(place / "dev.tsv", "q2", "q1"),
        write_qrels(place / "joined.tsv", "q4", "q2"),
        place / "dev.trec",
    ]
    copies[2].write_text("q1 0 d-q1 1\n")
    for copy in copies:
        with pytest.raises(ValueError, match=r"judged alike in .*test\.tsv.*take .*train") as error:
            check_judgements(copy, queries)
        assert "\n" not in str(error.value)
    assert check_judgements(write_qrels(place / "own.tsv", "q4", "q5"), queries) == ""


def test_a_copy_of_all_that_there_is_comes_with_a_warning(tmp_path: Path) -> None:
    """Small collections are judged once; who chooses on them reports nothing on them."""
    folder = tmp_path / "small"
    write_qrels(folder / "qrels" / "test.tsv", "q1", "q2")
    write_qrels(folder / "qrels" / "all.tsv", "q1", "q2")
    copy = write_qrels(tmp_path / "dev.tsv", "q1", "q2")
    warning = check_judgements(copy, folder / "queries.jsonl")
    assert warning.startswith("2 of the 2 queries") and "report no figure" in warning
    assert check_judgements(copy) == "" == check_judgements(tmp_path / "missing.tsv")
