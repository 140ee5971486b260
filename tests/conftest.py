"""Small real models and tokenizers, made in memory once per session."""

import os

# Small matrices gain nothing from two threads, and lose much where tests run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.models import save_llama


@pytest.fixture(autouse=True, scope="session")
def _state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Remember nothing of what tests choose in the user's own state folder."""
    os.environ["LASTWORD_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random 3-layer Llama and a byte-level tokenizer trained on a few lines."""
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def model_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Convert models into a folder of the test, not the user's; it is not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lastword" / "models"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make stdout a terminal of so many columns, without colours."""

    def set_columns(columns: int) -> None:
        for name, value in {"COLUMNS": columns, "LINES": 25, "TERM": "dumb"}.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    return set_columns
