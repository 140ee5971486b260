"""bench prompts as people call it: the matrix, its files, kill -9, errors in one line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eval.runs.run_folder import RunFolder
from lastword.main import main
from tests.eval.matrix.test_matrix import collection
from tests.folders import ROOT

MINE = "name = 'mine'\n[query]\ntemplate = '{text} means'\n[document]\ntemplate = '{text} means'\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a collection, a file of pairs and a prompt."""
    collection(tmp_path / "small")
    lines = [f"{at}\tthe lava number {at}\ta rock called {at * 3 % 7}" for at in range(9)]
    text = "\n".join(["score\tsentence1\tsentence2", *lines])
    (tmp_path / "pairs.tsv").write_text(text)
    (tmp_path / "mine.toml").write_text(MINE)
    return tmp_path


def arguments(place: Path, *more: str) -> list[str]:
    prompts = f"own,{place / 'mine.toml'}"
    datasets = f"{place / 'small'},{place / 'pairs.tsv'}"
    given = ["--prompts", prompts, "--prompts", "rice", "--datasets", datasets]
    return ["bench", "prompts", *given, "--out", str(place / "out"), *more]


def test_the_matrix_as_json_and_as_run_folders(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(place, "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["prompts"] == ["own", "mine", "rice"] and told["datasets"] == ["small", "pairs"]
    assert told == json.loads((place / "out" / "matrix.json").read_text())
    cells = {(one["prompt"], one["dataset"]): one for one in told["cells"]}
    assert "collection" in cells["rice", "pairs"]["refused"]
    assert cells["rice", "small"]["measures"], "its examples are drawn from the collection"
    for prompt in ("own", "mine"):
        folder = RunFolder.open(place / "out" / "bundled" / prompt)
        for name in told["datasets"]:
            assert cells[prompt, name]["measures"] == folder.records[name].measures
    assert {one["default"] for one in told["spread"]} == {"own"}
    pair = [str(place / "out" / "bundled" / prompt) for prompt in ("own", "mine")]
    for dataset in told["datasets"]:
        assert main(["compare", *pair, "--datasets", dataset, "--json"]) == 0
        assert dataset in capsys.readouterr().out


def test_what_people_see(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(place, "--dry-run")) == 0
    assert "to be run" in capsys.readouterr().out and not (place / "out").exists()
    assert main(arguments(place, "--dry-run", "--json")) == 0
    whole = json.loads(capsys.readouterr().out)["tokens"]["computed"]
    assert main(arguments(place, "--budget", str(whole - 1))) == 0
    shown = capsys.readouterr().out
    for word in ("nDCG@10", "left out", "refused: rice with bundled on pairs", "tokens"):
        assert word in shown
    assert main(arguments(place)) == 0
    shown = capsys.readouterr().out
    assert "left out" not in shown and "Spread over prompts on pairs" in shown
    assert main(arguments(place, "--dry-run")) == 0
    assert "finished" in capsys.readouterr().out


def test_a_prompt_of_the_library_keeps_the_points_of_its_name(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """prompteol-shot-opt-1.3b and -1.5b would have been filed in one folder, ...-opt-1."""
    shot = "prompteol-shot-opt-1.3b"
    asked = ["--prompts", shot, "--datasets", str(place / "pairs.tsv"), "--dry-run", "--json"]
    assert main(["bench", "prompts", *asked]) == 0
    assert json.loads(capsys.readouterr().out)["prompts"] == [shot]


def test_kill_9_and_the_same_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "lastword", *arguments(place, "--json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None and not any((place / "out").rglob("*.npz")):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    killed = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert main(arguments(place, "--json", "--out", str(place / "whole"))) == 0
    got, want = json.loads(killed.stdout), json.loads(capsys.readouterr().out)
    for told in (got, want):
        for cell in told["cells"]:
            cell.pop("seconds", None)
    assert got == want


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--side", "query", "--base", "nothing"], "no prompt is called 'nothing'"),
        (["--base", "own"], "add --side"),
        (["--side", "left"], "a side is one of"),
        (["--channels", "bm25"], "bm25 reads none"),
        (["--models", "bundled,x/bundled"], "filed under 'bundled'"),
        (["--datasets", "gone.tsv"], "gone.tsv"),
    ],
)
def test_errors_are_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert main(arguments(place, *more)) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and not captured.out
