"""GGUF files that lie, change or are damaged once converted: refused in a line, or made again."""

import struct
import time
from pathlib import Path

import pytest

from embedder.checkpoints import gguf_model
from embedder.checkpoints.gguf import convert_gguf, find_gguf
from embedder.checkpoints.gguf_file import GGUFHeader, read_gguf_header
from tests.gguf_files import write_gguf

pytestmark = pytest.mark.usefixtures("model_cache")


def patched(whole: bytes, key: bytes, number: int) -> bytes:
    """Set the 32-bit number of a key of a GGUF file."""
    place = whole.index(key) + len(key)
    assert whole[place : place + 4] == struct.pack("<I", 4), key
    return whole[: place + 4] + struct.pack("<I", number) + whole[place + 8 :]


@pytest.mark.parametrize(
    ("key", "number", "reason"),
    [
        (b"llama.block_count", 2**31 - 1, "block_count"),
        (b"llama.block_count", 1, "block_count is 1; its tensors are of 3"),
        (b"llama.attention.head_count_kv", 2**30, "num_key_value_heads"),
        (b"llama.vocab_size", 2**31 - 1, "parameters"),
        (b"llama.feed_forward_length", 2**30, "parameters"),
        (b"llama.context_length", 2**32 - 5, "context_length is 4294967291; expected 2 to"),
        (b"llama.context_length", 0, "context_length is 0; expected 2 to"),
        (b"llama.attention.head_count", 2, "weights of .* or of other shape"),
        (b"tokenizer.ggml.bos_token_id", 2**31, "IndexError"),
    ],
)
def test_absurd_numbers_are_refused_before_memory_is_taken(
    llama: Path, tmp_path: Path, model_cache: Path, key: bytes, number: int, reason: str
) -> None:
    file = write_gguf(llama, tmp_path / "m.gguf")
    file.write_bytes(patched(file.read_bytes(), key, number))
    with pytest.raises(ValueError, match=reason) as caught:
        convert_gguf(file)
    assert "\n" not in str(caught.value) and not list(model_cache.rglob("*.safetensors"))


@pytest.mark.parametrize("text", [b"gpt2", b"<|user|>"])
def test_a_damaged_text_is_named(llama: Path, tmp_path: Path, text: bytes) -> None:
    """One flipped bit in a key's text or a token: "the config file is not a valid JSON file"."""
    file = write_gguf(llama, tmp_path / "m.gguf")
    whole = file.read_bytes()
    file.write_bytes(whole.replace(text, bytes([text[0] | 0x80]) + text[1:], 1))
    with pytest.raises(ValueError, match=r"m\.gguf: damaged: a text is not UTF-8"):
        read_gguf_header(file)


def header_of(
    tmp_path: Path, tensors: list[tuple[str, int]], keys: bytes = b"", count: int | None = None
) -> Path:
    """Write a file with float32 tensors of 8 numbers at these offsets, and perhaps keys."""
    keyed = bool(keys) if count is None else count
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), keyed) + keys
    for name, offset in tensors:
        said = struct.pack("<Q", len(name)) + name.encode()
        head += said + struct.pack("<IQIQ", 1, 8, 0, offset)
    (tmp_path / "h.gguf").write_bytes(head + bytes(4096))
    return tmp_path / "h.gguf"


def test_tensors_neither_overlap_nor_share_a_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tensors 'a' and 'b' overlap"):
        read_gguf_header(header_of(tmp_path, [("b", 16), ("a", 0)]))
    with pytest.raises(ValueError, match="tensor 'a' is there twice"):
        read_gguf_header(header_of(tmp_path, [("a", 0), ("a", 32)]))
    with pytest.raises(ValueError, match="cut short"):
        read_gguf_header(header_of(tmp_path, [("a", 2**64 - 32)]))


def test_arrays_of_far_too_many_values_are_not_read(tmp_path: Path) -> None:
    keys = struct.pack("<Q", 1) + b"x" + struct.pack("<IIQ", 9, 0, 2**23)
    with pytest.raises(ValueError, match="arrays of more than"):
        read_gguf_header(header_of(tmp_path, [], keys))


@pytest.mark.parametrize(
    ("item", "count", "reason"),
    [
        (9, 300_000, "an array of values of kind 9, which transformers cannot read"),
        (8, 300_000, "arrays of 300000 values; expected at most"),
        (10, 400_000, "arrays of 400000 values; expected at most"),
        (77, 1, "an array of values of kind 77"),
    ],
)
def test_arrays_beyond_a_vocabulary_are_refused_at_once(
    tmp_path: Path, item: int, count: int, reason: str
) -> None:
    """Three million arrays of arrays took 22 s, and a million texts two minutes in transformers."""
    keys = struct.pack("<Q", 20) + b"general.architecture" + struct.pack("<IQ", 8, 5) + b"llama"
    keys += struct.pack("<Q", 17) + b"llama.block_count" + struct.pack("<II", 4, 0)
    keys += struct.pack("<Q", 1) + b"x" + struct.pack("<IIQ", 9, item, count) + bytes(8 * count)
    begun = time.process_time()
    with pytest.raises(ValueError, match=reason):
        read_gguf_header(header_of(tmp_path, [("a", 0)], keys, 3))
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"GGUF" + struct.pack(">I", 3), "big-endian; expected GGUF version 2 or 3, little-endian"),
        (b"GGUF" + struct.pack("<I", 1), "of version 1; expected GGUF version 2 or 3"),
        (b"FUGG" + struct.pack("<I", 3), "does not begin with GGUF"),
    ],
)
def test_other_forms_are_named(tmp_path: Path, start: bytes, reason: str) -> None:
    file = header_of(tmp_path, [("a", 0)])
    file.write_bytes(start + file.read_bytes()[8:])
    with pytest.raises(ValueError, match=reason):
        read_gguf_header(file)


@pytest.mark.parametrize("damage", ["gone", "cut", "unreadable record"])
def test_a_converted_folder_that_was_damaged_is_made_again(
    llama: Path, tmp_path: Path, damage: str
) -> None:
    file = write_gguf(llama, tmp_path / "m.gguf")
    folder = convert_gguf(file)
    weights = (folder / "model.safetensors").read_bytes()
    if damage == "gone":
        (folder / "model.safetensors").unlink()
    elif damage == "cut":
        (folder / "model.safetensors").write_bytes(weights[:-10])
    else:
        (folder / "source.json").write_text("[]")
    assert convert_gguf(file) == folder
    assert (folder / "model.safetensors").read_bytes() == weights


def test_a_file_that_changes_while_it_is_read_is_refused(
    llama: Path, tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gguf(llama, tmp_path / "m.gguf")
    save_plain = gguf_model.save_plain

    def save_and_change(path: Path, folder: Path, header: GGUFHeader, precision: str) -> None:
        save_plain(path, folder, header, precision)
        path.touch()

    monkeypatch.setattr(gguf_model, "save_plain", save_and_change)
    with pytest.raises(ValueError, match="changed while it was read"):
        convert_gguf(file)
    assert not list(model_cache.rglob("source.json"))


@pytest.mark.parametrize(
    "name",
    [
        *("a/b:../../x.gguf", "a/b:/x.gguf", "a/b:c/../x.gguf", "a/b:./x.gguf", "a/b:c:x.gguf"),
        *("a/b:c\\x.gguf", "a/b:", "a\nb.gguf", "a\0.gguf", "a" * 5000 + ".gguf", ".gguf"),
    ],
)
def test_names_that_no_file_can_have_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(ValueError, match="there is no such GGUF file") as caught:
        find_gguf(name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
