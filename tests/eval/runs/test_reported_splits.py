"""Which data sets may be chosen on, and what is said of those whose figures are reported."""

import pytest

from eval.runs.reported_splits import check_development


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
    ],
)
def test_reported_splits_are_refused(dataset: str, advice: str) -> None:
    with pytest.raises(ValueError, match="figures are reported on") as error:
        check_development(dataset)
    assert advice in str(error.value) and "\n" not in str(error.value)
