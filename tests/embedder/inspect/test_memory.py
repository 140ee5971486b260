"""A model that is larger than the memory is named, not loaded."""

from pathlib import Path

import pytest

from embedder.inspect import memory
from embedder.inspect.listed_model import ListedModel
from embedder.inspect.memory import check_memory, free_memory, memory_of

BILLION = 10**9


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 16 GB free, whose processor widens bfloat16."""
    (tmp_path / "meminfo").write_text("MemTotal: 32000000 kB\nMemAvailable:   15625000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "multiplies_bfloat16", lambda: False)
    return tmp_path


def listed(name: str = "a/b", source: str = "cache", size: int = 14 * BILLION) -> ListedModel:
    return ListedModel(name, source, 7 * BILLION, size)


def test_memory_is_what_the_system_and_the_container_leave(machine: Path) -> None:
    assert free_memory() == 16 * BILLION
    (machine / "memory.max").write_text("max\n")
    assert free_memory() == 16 * BILLION
    (machine / "memory.max").write_text("8000000000\n")
    (machine / "memory.stat").write_text("anon 3000000000\nfile 4000000000\n")
    assert free_memory() == 5 * BILLION
    (machine / "meminfo").unlink()
    assert free_memory() is None


def test_memory_of_a_model_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory_of(listed()) == 28 * BILLION
    assert memory_of(listed("a/b:x.Q4_0.gguf", size=4 * BILLION)) == 42 * BILLION
    assert memory_of(listed("smollm2", "package")) == 42 * BILLION
    monkeypatch.setattr(memory, "multiplies_bfloat16", lambda: True)
    assert memory_of(listed()) == 14 * BILLION
    assert memory_of(listed(size=28 * BILLION)) == 28 * BILLION


def test_what_does_not_fit_is_refused(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MemoryError, match=r"about 28\.0 GB of memory, and 16\.0 GB are free"):
        check_memory(listed())
    monkeypatch.setattr(memory, "multiplies_bfloat16", lambda: True)
    check_memory(listed())
    monkeypatch.setattr(memory, "multiplies_bfloat16", lambda: False)
    (machine / "meminfo").write_text("")
    check_memory(listed())
