"""The study of prompts: its parts are whole, its cells are those of their own runs, its tables."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.smollm2 import cells as study
from benchmarks.smollm2.cells import Cell, read_cells, record_cells
from benchmarks.smollm2.parts import PARTS
from benchmarks.smollm2.tables import LONG, print_tables
from eval.runs.run_config import open_run

SHARES = {"prompteol": [0.9, 0.5, 0.7], "mean": [0.2, 0.4, 0.3], "echo": [0.8, 0.8, 0.8]}
"""What each pair adds to a correlation, which is their mean: 0.7, 0.3 and 0.8."""
HERE = Cell("sts-families", "mean", "stsb-dev", {"dense": 0.5}, -0.1, (-0.2, 0.1), 0.3, 9, "a GPU",
            "float32", "abc")  # fmt: skip


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cells that were read elsewhere: of the same part, and of another."""
    path = tmp_path / "cells.jsonl"
    monkeypatch.setattr(study, "FILE", path)
    others = [
        HERE,
        replace(HERE, dataset="stsb-test"),
        replace(HERE, prompt="knowledge", dataset="stsb-test"),
        replace(HERE, part="sts-layers", dataset="stsb-test"),
    ]
    path.write_text("".join(json.dumps(asdict(cell)) + "\n" for cell in others))
    return path


def run_folders(out: Path, dataset: str) -> Path:
    for prompt, shares in SHARES.items():
        folder = out / "smollm2" / prompt
        open_run(folder, {"fingerprint": {"dtype": "bfloat16"}}, resume=False)
        pairs = {str(at): share for at, share in enumerate(shares, 1)}
        values = {"dense": {"spearman": pairs}}
        record = {"benchmark": "sts", "dataset": dataset, "counted": "dense", "values": values}
        cost = {"seconds": {}, "counts": {}, "peak_bytes": 0, "latencies_ms": []}
        (folder / f"{dataset}.json").write_text(json.dumps({**record, **cost, "fingerprint": {}}))
    return out


@pytest.mark.parametrize("name", PARTS)
def test_a_part_has_a_baseline_and_no_name_twice(name: str) -> None:
    part = PARTS[name]
    names = [*part.library, *(prompt.name for prompt in part.made())]
    assert len(names) == len(set(names)) and part.baseline == names[0]


def test_cells_read_elsewhere_stay(tmp_path: Path) -> None:
    """Recording STS-B test from one machine once threw away STS-B dev from another."""
    before = read_cells()
    record_cells("sts-families", run_folders(tmp_path / "out", "stsb-test"))
    after = {(cell.part, cell.prompt, cell.dataset): cell for cell in read_cells()}
    assert [after[cell.part, cell.prompt, cell.dataset] == cell for cell in before] == [
        True, False, True, True,
    ]  # fmt: skip
    fresh = [after["sts-families", prompt, "stsb-test"] for prompt in SHARES]
    assert [cell.runs["dense"] for cell in fresh] == pytest.approx([0.7, 0.3, 0.8])
    assert [cell.difference for cell in fresh] == [None, *map(pytest.approx, (-0.4, 0.1))]
    assert {cell.dtype for cell in fresh} == {"bfloat16"} and len(after) == len(before) + 2


def test_without_its_baseline_nothing_is_recorded(tmp_path: Path, kept: Path) -> None:
    before = kept.read_text()
    with pytest.raises(ValueError, match="its baseline promptreps was not run"):
        record_cells("pair-wordings", run_folders(tmp_path / "out", "cranfield"))
    assert kept.read_text() == before


def test_a_long_table_shows_the_best_the_worst_and_the_library(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = replace(HERE, part="sts-prepending")
    named = [replace(cell, prompt=f"p{at}", runs={"dense": at / 100}) for at in range(LONG)]
    named.append(replace(cell, prompt="knowledge", runs={"dense": 0.155}))
    kept.write_text("".join(json.dumps(asdict(cell)) + "\n" for cell in named))
    print_tables()
    out = capsys.readouterr().out
    rows = [line.split("|")[1].strip() for line in out.splitlines() if line.startswith("| ")]
    best, worst = [f"p{at}" for at in range(35, 25, -1)], ["p3", "p2", "p1", "p0"]
    assert rows == ["prompt", "---", *best, "knowledge", *worst]
    assert "22 between them are in cells.jsonl." in out and "Read on stsb-dev: a GPU" in out
