"""The cache of converted GGUF files: two writers, a killed one, links, and what is refused."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import load_file, save_file

from embedder.checkpoints import gguf
from embedder.checkpoints.gguf import convert_gguf
from embedder.encoders.load import load_encoder
from tests.embedder.checkpoints.test_hub import keep
from tests.gguf_files import write_gguf

pytestmark = [
    pytest.mark.usefixtures("model_cache"),
    pytest.mark.filterwarnings("ignore:Converting"),
]
CONVERT = """
import sys, warnings
from pathlib import Path
from embedder.checkpoints.gguf import convert_gguf
warnings.simplefilter("ignore")
print(convert_gguf(Path(sys.argv[1])))
"""


def start(file: Path) -> "subprocess.Popen[str]":
    """Convert in a process of its own, and in the cache that the environment names."""
    arguments = [sys.executable, "-c", CONVERT, str(file)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def file(llama: Path, tmp_path: Path) -> Path:
    return write_gguf(llama, tmp_path / "m.gguf")


def test_two_processes_end_well_with_one_copy(file: Path, model_cache: Path) -> None:
    """They converted side by side, with memory for two."""
    both = [start(file), start(file)]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert {out.strip() for out, _ in answers} == {str(convert_gguf(file))}
    assert len(list(model_cache.iterdir())) == 1
    assert not [name for name in files_below(model_cache) if "partial" in name]


def test_the_next_one_goes_on_after_a_kill(file: Path, model_cache: Path) -> None:
    killed = start(file)
    deadline = time.monotonic() + 60
    while not list(model_cache.glob(".lastword-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert list(model_cache.glob(".lastword-*"))
    out, _ = start(file).communicate(timeout=120)
    assert [str(path) for path in model_cache.iterdir()] == [out.strip()]


@pytest.mark.parametrize("what", ["folder", "file"])
def test_nothing_is_written_through_a_link_in_the_cache(
    what: str, file: Path, tmp_path: Path, model_cache: Path
) -> None:
    name = convert_gguf(file).name
    shutil.rmtree(model_cache)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "config.json").write_text("mine")
    if what == "folder":
        model_cache.mkdir()
        (model_cache / name).symlink_to(foreign)
    else:
        (model_cache / name).mkdir(parents=True)
        (model_cache / name / "config.json").symlink_to(foreign / "config.json")
    with pytest.raises(OSError, match=r"m\.gguf cannot be converted into the cache: a link"):
        convert_gguf(file)
    assert files_below(foreign) == ["config.json"]
    assert (foreign / "config.json").read_text() == "mine"


def test_the_cache_itself_may_lie_elsewhere(
    file: Path, tmp_path: Path, model_cache: Path, llama: Path
) -> None:
    (tmp_path / "disk").mkdir()
    model_cache.parent.mkdir(parents=True)
    model_cache.symlink_to(tmp_path / "disk")
    convert_gguf(file)
    assert len(files_below(tmp_path / "disk")) > 4


def test_a_file_that_changes_under_its_times_is_converted_again(file: Path, llama: Path) -> None:
    first = convert_gguf(file)
    facts, data = file.stat(), bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert file.stat().st_size == facts.st_size and convert_gguf(file) != first


def spoiled(llama: Path, folder: Path, number: float) -> Path:
    """Copy a model with one weight of another size."""
    shutil.copytree(llama, folder)
    weights = load_file(llama / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][3, 5] = number
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("number", "precision", "reason"),
    [
        (np.nan, "F32", r"mlp\.up_proj\.weight holds NaN or infinity"),
        (np.inf, "F32", r"mlp\.up_proj\.weight holds NaN or infinity"),
        (3e6, "Q8_0", r"mlp\.up_proj\.weight is too large for float16"),
    ],
)
def test_weights_that_no_model_has_are_refused_before_they_are_kept(
    llama: Path, tmp_path: Path, model_cache: Path, number: float, precision: str, reason: str
) -> None:
    """They were refused on opening only, and lay in the cache for ever."""
    file = write_gguf(spoiled(llama, tmp_path / "s", number), tmp_path / "m.gguf", precision)
    with pytest.raises(ValueError, match=reason) as caught:
        convert_gguf(file)
    assert str(file) in str(caught.value) and not list(model_cache.iterdir())


@pytest.mark.parametrize(
    "name", ["two words.gguf", "\u6a21\u578b \u00e9.GGUF", "a:b.gguf", "-x.gguf"]
)
def test_files_may_have_any_name(
    name: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file.rename(name)
    assert load_encoder(name, prompt="promptreps").encode_query(["tea"]).shape[0] == 1


def test_a_file_of_the_hub_is_looked_up_once(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each lookup of an online hub takes a while."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "g" / "a folder").mkdir(parents=True)
    file.rename(tmp_path / "g" / "a folder" / "m.gguf")
    keep(tmp_path / "hub", "someone/packed", tmp_path / "g")
    find, calls = gguf.find_gguf, []

    def count(name: str) -> Path:
        calls.append(name)
        return find(name)

    monkeypatch.setattr(gguf, "find_gguf", count)
    load_encoder("someone/packed:a folder/m.gguf", prompt="promptreps")
    assert calls == ["someone/packed:a folder/m.gguf"]
