"""Threads search one engine while another changes its index."""

import gc
import threading
from pathlib import Path

import pytest

import lastword as lw


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_threads_search_while_another_adds_and_deletes(tmp_path: Path) -> None:
    """An addition closed the files that other threads were reading: the process died of it."""
    engine = lw.build(tmp_path / "i", [f"tea {at}" for at in range(20)], model="bm25")
    ended = threading.Event()
    errors: list[Exception] = []

    def search() -> None:
        while not ended.is_set():
            try:
                assert engine.search("tea") and engine.search_many(["tea"]) and engine.ids()
                engine.explain("tea", "19")
            except Exception as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(8):
        engine.add([f"more tea {number}"])
    engine.delete("0")
    ended.set()
    for thread in threads:
        thread.join()
    assert not errors and len(engine) == 27
    engine.close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors on Linux")
def test_changes_leave_no_files_open(tmp_path: Path) -> None:
    before = open_files()
    engine = lw.build(tmp_path / "i", ["tea"], model="bm25")
    for number in range(5):
        engine.add([f"more tea {number}"])
    changed = open_files()
    engine.close()
    del engine
    assert open_files() == before
    again = lw.open(tmp_path / "i")
    assert open_files() == changed
    again.close()


def test_a_closed_engine_says_so(tmp_path: Path) -> None:
    engine = lw.build(tmp_path / "i", ["tea"], model="bm25")
    engine.close()
    engine.close()
    for call in (lambda: engine.search("tea"), engine.ids, lambda: engine.add(["x"])):
        with pytest.raises(ValueError, match="is closed; open it again"):
            call()


@pytest.mark.parametrize("ids", [None, 3, b"0"])
def test_ids_to_delete_are_names(ids: object, tmp_path: Path) -> None:
    with lw.build(tmp_path / "i", ["tea"], model="bm25") as engine:
        with pytest.raises(TypeError, match="ids must be a str, or several; got"):
            engine.delete(ids)  # type: ignore[arg-type]
        assert len(engine) == 1


def test_an_index_without_a_path_goes_when_it_is_closed() -> None:
    """It stayed until the engine was forgotten, against what `build` says."""
    with lw.build(None, ["tea"], model="bm25") as engine:
        engine.add(["rock"])
        folder = engine.path.parent
        assert folder.is_dir()
    assert not folder.exists()
