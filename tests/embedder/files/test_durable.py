"""Writing files: whole or not at all, never through a link, nothing left over."""

import errno
import fcntl
import os
import resource
import stat
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from embedder.files.durable import (
    create_file,
    filling,
    naming,
    open_append,
    remove_leftovers,
    replace_file,
    replacing,
)

PARTIAL = ".lastword-0123456789abcdef.partial"


def test_a_file_is_the_old_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="stop"), replacing(path) as file:
        file.write(b"half of the n")
        raise RuntimeError("stop")
    assert path.read_bytes() == b"old"
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_the_mode_is_that_of_a_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "one", b"")
        with filling(tmp_path) as folder:
            (folder / "two").touch(mode=0o600)
        create_file(tmp_path / "three", b"")
    finally:
        os.umask(before)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o640, path


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    precious, link = tmp_path / "precious", tmp_path / "out"
    precious.write_bytes(b"thesis")
    link.symlink_to(precious)
    with pytest.raises(OSError, match="a link"):
        open_append(link)
    with pytest.raises(FileExistsError):
        create_file(link, b"x")
    (tmp_path / "out.partial").symlink_to(precious)  # a name that used to be foreseen
    replace_file(tmp_path / "run", b"run")
    with pytest.raises(OSError, match="a link"):  # /dev/stdout would be replaced
        replace_file(link, b"run")
    with pytest.raises(OSError, match="a link"), filling(tmp_path) as folder:
        (folder / "out").write_bytes(b"run")
    assert precious.read_bytes() == b"thesis"
    assert link.is_symlink()


def test_a_folder_that_is_a_link_is_not_filled(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "adapter").symlink_to(tmp_path / "home")
    with pytest.raises(OSError, match="a link"), filling(tmp_path / "out") as folder:
        (folder / "adapter").mkdir()
        (folder / "adapter" / "weights").touch()
    assert not list((tmp_path / "home").iterdir())


def test_a_refused_place_leaves_all_files_as_they_were(tmp_path: Path) -> None:
    """Files before the one that was refused were new, and those behind it old."""
    (tmp_path / "ids").write_bytes(b"old")
    (tmp_path / "vectors").symlink_to("elsewhere")
    with pytest.raises(OSError, match="a link"), filling(tmp_path) as folder:
        (folder / "ids").write_bytes(b"new")
        (folder / "vectors").write_bytes(b"new")
    assert (tmp_path / "ids").read_bytes() == b"old"
    (tmp_path / "sub").write_bytes(b"a file")
    with pytest.raises(NotADirectoryError), filling(tmp_path) as folder:
        (folder / "ids").write_bytes(b"new")
        (folder / "sub").mkdir()
    assert (tmp_path / "ids").read_bytes() == b"old"


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(OSError, match="out") as caught:
        replace_file(path, b"x")
    assert caught.value.filename == str(path)
    with pytest.raises(OSError, match="out"):
        open_append(path)
    assert path.exists()


def test_a_full_disk_is_named_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            replace_file(path, bytes(5000))
        with pytest.raises(OSError, match="too large"):
            create_file(path, bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_named_where_a_library_in_rust_writes(tmp_path: Path) -> None:
    arrays = {"x": np.zeros(10_000, np.float32)}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught, filling(tmp_path) as folder:
            save_file(arrays, folder / "x.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_our_own_leftovers_of_the_dead_are_removed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis").write_bytes(b"thesis")
    (tmp_path / PARTIAL).write_bytes(b"half")
    folder = tmp_path / PARTIAL.replace("0", "1")
    folder.mkdir()
    (folder / "weights").write_bytes(b"more")
    (folder / "link").symlink_to(tmp_path / "home")
    alive = tmp_path / PARTIAL.replace("0", "2")
    alive.touch()
    (tmp_path / PARTIAL.replace("0", "3")).symlink_to(tmp_path / "home")
    (tmp_path / "mine.partial").touch()
    with alive.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert remove_leftovers(tmp_path) == 8
    left = {one.name for one in tmp_path.iterdir()}
    assert left == {"home", alive.name, PARTIAL.replace("0", "3"), "mine.partial"}
    assert (tmp_path / "home" / "thesis").exists()


def test_the_next_to_write_removes_what_the_killed_left(tmp_path: Path) -> None:
    (tmp_path / PARTIAL).write_bytes(b"half")
    replace_file(tmp_path / "out", b"whole")
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_an_error_that_names_another_file_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, naming(tmp_path / "out"):
        (tmp_path / "source").read_bytes()
    assert caught.value.filename == str(tmp_path / "source")
    with pytest.raises(OSError, match="out") as full, naming(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert full.value.errno == errno.ENOSPC
