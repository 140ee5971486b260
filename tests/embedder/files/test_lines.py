"""Lines of files of others: marks, ends, encodings, packing, and what is no text at all."""

import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from embedder.files import lines
from embedder.files.lines import read_lines


def texts(path: Path) -> list[str]:
    return [line for _, line in read_lines(path)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n", b"\r\n \r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_ends_and_marks_are_no_part_of_a_line(tmp_path: Path, end: bytes, mark: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(mark + end.join([b"a", mark + b"b\xe2\x80\xa8c"]))
    assert texts(path) == ["a", "b\u2028c"]
    path.write_bytes(mark + end)
    assert texts(path) == []


def test_places_count_every_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("\n\na\n\nb")
    assert [place for place, _ in read_lines(tmp_path / "x")] == [
        f"{tmp_path / 'x'}:3",
        f"{tmp_path / 'x'}:5",
    ]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_files_are_unpacked_by_name_and_damage_is_named(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(pack(b"a\nb\n" * 1000))
    assert texts(path) == ["a", "b"] * 1000
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=rf"x{suffix} is damaged"):
        texts(path)
    path.write_bytes(b"a\n")
    with pytest.raises(ValueError, match=rf"x{suffix} is damaged"):
        texts(path)
    (tmp_path / "x").write_bytes(pack(b"a\n"))
    with pytest.raises(ValueError, match=rf"x:1: .*packed {suffix} file: name it"):
        texts(tmp_path / "x")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("a\n".encode("utf-16"), "x:1: .*UTF-16.*iconv"),
        ("a\n".encode("utf-32"), "x:1: .*UTF-32"),
        ("a\n".encode("utf-16-le"), "x:1: .*NUL bytes.*UTF-16"),
        (b"ok\ncaf\xe9\n", "x:2: .*character 4 is the byte 0xe9.*Windows-1252"),
        (b"a\rb\r", "x:1: a carriage return"),
        (b"ok\n\0\n", "x:2: .*NUL"),
    ],
)
def test_other_encodings_are_named_and_not_guessed(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match=told):
        texts(tmp_path / "x")


def test_what_is_no_file_is_called_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        texts(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError):
        texts(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # reading one waits for a writer, without end
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="a device, a pipe or a socket"):
            texts(path)


def test_a_line_without_end_does_not_fill_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 10)
    (tmp_path / "x").write_bytes(b"123456789\n12345678901")
    with pytest.raises(ValueError, match="x:2: the line is longer"):
        texts(tmp_path / "x")
