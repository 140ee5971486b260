"""Every kind of number in a GGUF file: read as the gguf package widens it, or refused by name."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader, GGUFWriter, quants
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors
from transformers import AutoConfig, AutoModelForCausalLM

from embedder.checkpoints.gguf import convert_gguf
from embedder.checkpoints.gguf_file import read_gguf_header
from tests.gguf_files import write_gguf
from tests.models import save_llama

pytestmark = [
    pytest.mark.usefixtures("model_cache"),
    pytest.mark.filterwarnings("ignore:Converting"),
]
WIDE = 256  # numbers in the largest block
PART = "blk.1.ffn_up.weight"
NAME = "model.layers.1.mlp.up_proj.weight"
UNREADABLE = {"Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64", "Q1_0"}
KINDS = [kind.name for kind in GGMLQuantizationType]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama whose rows are as long as the longest block."""
    folder = save_llama(tmp_path_factory.mktemp("wide"))
    config = AutoConfig.from_pretrained(folder, hidden_size=WIDE, intermediate_size=WIDE)
    config.head_dim = WIDE // config.num_attention_heads
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def packed(values: np.ndarray, kind: GGMLQuantizationType) -> np.ndarray:
    """Pack rows, or where the package cannot, make blocks whose scales are small halves."""
    try:
        return quants.quantize(values, kind)
    except NotImplementedError:
        block, size = GGML_QUANT_SIZES[kind]
        shape = (len(values), values.shape[1] // block * size)
        return np.random.default_rng(0).integers(0, 32, shape, np.uint8)


def replaced(source: Path, file: Path, kind: GGMLQuantizationType) -> tuple[Path, np.ndarray]:
    """Write a model as float32 with one matrix of a kind; return that matrix as packed too."""
    whole = write_gguf(source, file.with_suffix(".whole.gguf"))
    values = load_file(source / "model.safetensors")[NAME]
    writer, data = GGUFWriter(file, "llama"), packed(values, kind)
    reader = GGUFReader(whole)
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            items = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), field.types[0], items)
    for tensor in reader.tensors:
        if tensor.name == PART:
            writer.add_tensor(PART, data, raw_dtype=kind)
        else:
            writer.add_tensor(tensor.name, np.asarray(tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file, data


@pytest.mark.parametrize("name", [name for name in KINDS if name not in UNREADABLE])
def test_a_kind_is_read_as_the_package_widens_it(name: str, wide: Path, tmp_path: Path) -> None:
    kind = GGMLQuantizationType[name]
    file, data = replaced(wide, tmp_path / "m.gguf", kind)
    assert read_gguf_header(file).precisions == {"F32", name}
    folder = convert_gguf(file)
    ours = load_tensors(folder / "model.safetensors")[NAME]
    want = torch.from_numpy(np.array(quants.dequantize(data, kind), np.float32))
    assert ours.shape == want.shape and torch.equal(ours, want.to(ours.dtype))
    assert ours.dtype == (torch.float32 if name == "F32" else torch.float16)


@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_a_kind_that_cannot_be_widened_is_refused_by_name(
    name: str, wide: Path, tmp_path: Path, model_cache: Path
) -> None:
    """It was said after a minute, as NotImplementedError."""
    whole = write_gguf(wide, tmp_path / "m.gguf").read_bytes()
    place = whole.index(PART.encode()) + len(PART) + 4 + 2 * 8
    kind = int(GGMLQuantizationType[name]).to_bytes(4, "little")
    (tmp_path / "m.gguf").write_bytes(whole[:place] + kind + whole[place + 4 :] + bytes(2**20))
    with pytest.raises(ValueError, match=rf"{PART}' is of kind {name}, which transformers cannot"):
        convert_gguf(tmp_path / "m.gguf")
    assert not model_cache.exists()


def test_an_unknown_kind_is_refused(llama: Path, tmp_path: Path) -> None:
    shutil.copytree(llama, tmp_path / "source")
    whole = write_gguf(tmp_path / "source", tmp_path / "m.gguf").read_bytes()
    place = whole.index(PART.encode()) + len(PART) + 4 + 2 * 8
    (tmp_path / "m.gguf").write_bytes(whole[:place] + b"\xff\0\0\0" + whole[place + 4 :])
    with pytest.raises(ValueError, match="is of kind 255, which is unknown"):
        read_gguf_header(tmp_path / "m.gguf")
