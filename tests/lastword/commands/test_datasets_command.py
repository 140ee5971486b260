"""The command eval datasets: BEIR's table for people and as JSON."""

import json
from typing import Any

import pytest

from lastword.main import main


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["eval", "datasets", "--json"]) == 0
    return {held["name"]: held for held in json.loads(capsys.readouterr().out)}


def test_the_nineteen_sets_of_beir_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    found = listed(capsys)
    assert len(found) == 19
    assert found["scifact"] == {
        "name": "scifact",
        "documents": 5183,
        "queries": 300,
        "megabytes": 3,
        "licence": "CC BY-NC 4.0",
        "splits": ["train", "test"],
        "reported": "test",
        "holds_queries": False,
        "bm25": {"measure": "nDCG@10", "flat": 0.6789, "multifield": 0.6647},
        "parts": [],
    }
    assert found["msmarco"]["bm25"]["flat"] is None
    assert found["msmarco"]["reported"] == "dev"
    assert found["robust04"]["megabytes"] is None
    assert [name for name, held in found.items() if held["holds_queries"]] == ["arguana", "quora"]


def test_cqadupstack_sums_its_parts_and_averages_their_figures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The paper's Table 1 has 457,199 documents and 13,145 queries."""
    whole = listed(capsys)["cqadupstack"]
    assert len(whole["parts"]) == 12
    assert (whole["documents"], whole["queries"]) == (457_199, 13_145)
    flat = [0.3801, 0.3453, 0.4822, 0.2901, 0.2015, 0.3214]
    flat += [0.2802, 0.2711, 0.2244, 0.2749, 0.3059, 0.2483]
    assert whole["bm25"]["flat"] == pytest.approx(sum(flat) / 12, abs=1e-12)


def test_people_see_a_table_that_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["eval", "datasets"]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= 100
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert rows["scifact"][1:6] == ["5,183", "300", "train", "test", "3"]
    assert rows["tex"][1:] == ["68,184", "2,906", "0.2244", "0.2086"]
    assert rows["msmarco"].count("-") == 2
    assert "arguana, quora" in shown.err
