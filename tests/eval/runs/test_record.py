"""Records, run folders and judgements: what is written is read back, and nothing is mixed up."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eval.runs.record import FUSED, Record, RunCost, peak_bytes
from eval.runs.run_config import open_run
from eval.runs.run_folder import RetrievalRecordFiles, RunFolder

COST = RunCost({"search": 0.5}, {"bm25": {"texts": 2, "tokens": 9}}, 1000, (1.5, 2.5))
VALUES = {"bm25": {"AP": {"q1": 1.0, "q2": 0.5}}, FUSED: {"AP": {"q1": 0.25, "q2": 0.5}}}


def record(dataset: str = "tiny", counted: str = FUSED) -> Record:
    prints = {"bm25": '{"kind":"bm25","language":"süd"}'}
    return Record("retrieval", dataset, VALUES, counted, prints, COST, {"documents": 3})


def test_the_mean_over_items_is_the_measure() -> None:
    assert record().measures == {"AP": 0.375}
    assert record(counted="bm25").measures == {"AP": 0.75}
    assert record().size == 2
    held = record().to_json()
    assert held["measures_by_run"] == {"bm25": {"AP": 0.75}, FUSED: {"AP": 0.375}}
    assert held["documents"] == 3
    assert "values" not in record().summary()


def test_a_record_is_read_back_equal(tmp_path: Path) -> None:
    path = record("cqadupstack/tex").write(tmp_path)
    assert path.name == "cqadupstack-tex.json"
    assert Record.read(path) == record("cqadupstack/tex")


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    path = record().write(tmp_path)
    whole = path.read_text()
    path.write_text(whole[:-40])
    with pytest.raises(ValueError, match=r"tiny\.json: "):
        Record.read(path)
    data = json.loads(whole)
    del data["counted"]
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=r"tiny\.json: expected a record.*counted"):
        Record.read(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"counted": "dense"}, "run 'dense' counts, and has no values; there are bm25, fused"),
        ({"benchmark": "bingo"}, "one of retrieval, sts, transfer; got 'bingo'"),
        ({"details": {"values": 1}}, "details may not be called values"),
        ({"values": {FUSED: {"AP": {}}}}, "no measure, or no items"),
    ],
)
def test_a_record_states_what_it_needs(change: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(record(), **change)  # type: ignore[arg-type]


def test_a_run_folder_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no run folder: it has no config\.json"):
        RunFolder.open(tmp_path)
    assert open_run(tmp_path, {"depth": 1, "datasets": ["tiny"]}, resume=False) == {}
    with pytest.raises(ValueError, match="no finished data set yet"):
        RunFolder.open(tmp_path)
    runs = {"bm25": {"q1": {"a": 2.0}, "q2": {}}, FUSED: {"q1": {"b": 1.0}, "q2": {}}}
    queries = {"q1": "line\u2028break", "q2": "two"}
    RetrievalRecordFiles(record(), runs, {"q1": {"a": 1, "b": 0}, "q2": {"a": -1}}, queries).write(
        tmp_path
    )
    (tmp_path / "sweep.json").write_text('{"weights": [1]}')  # of another program
    folder = RunFolder.open(tmp_path)
    assert folder.records == {"tiny": record()}
    assert folder.run("tiny") == runs[FUSED]
    assert folder.run("tiny", "bm25") == runs["bm25"]
    assert folder.qrels("tiny") == {"q1": {"a": 1, "b": 0}, "q2": {"a": -1}}
    assert folder.queries("tiny") == queries
    assert folder.index_path("tiny") is None
    with pytest.raises(ValueError, match="no data set 'huge'; it has tiny"):
        folder.run("huge")


def test_a_run_folder_belongs_to_its_settings(tmp_path: Path) -> None:
    first = {"depth": 10, "prompt": {"name": "a"}, "datasets": ["x"]}
    open_run(tmp_path, first, resume=False)
    record().write(tmp_path)
    assert open_run(tmp_path, first, resume=False) == {}  # judged again
    more = first | {"datasets": ["y"]}
    assert open_run(tmp_path, more, resume=True) == {"tiny": record()}
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["settings"]["datasets"] == ["x", "y"]
    assert {"command", "machine", "cores", "versions", "started"} <= config.keys()
    with pytest.raises(
        ValueError, match=r'settings \(depth: it has 10, now 5; prompt\.name: .*"b"'
    ):
        open_run(tmp_path, {"depth": 5, "prompt": {"name": "b"}}, resume=True)
    assert RunFolder.open(tmp_path).config == config


def test_peak_memory_is_in_bytes() -> None:
    held = bytearray(50_000_000)
    assert peak_bytes() > len(held)


def test_a_run_names_its_command_where_python_was_called_with_m(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run folders said that __main__.py had made them."""
    monkeypatch.setattr("sys.argv", ["/somewhere/lastword/__main__.py", "eval", "sts"])
    open_run(tmp_path / "run", {}, resume=True)
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert config["command"] == ["lastword", "eval", "sts"]
