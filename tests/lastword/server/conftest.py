"""One index, and one app on it, for all tests of the server."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import lastword as lw
from lastword.server.app import make_app
from tests.lastword.server.browsing import ODD, Visit, launch_chromium, opened
from tests.lastword.server.live import live

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DOCUMENTS = [
    {
        "id": "keys",
        "title": "Keys",
        "text": "Rotate a key every month. Keep old keys.",
        "year": 1999,
    },
    {
        "id": "a/tea.md",
        "title": "Tea",
        "text": "Green tea is steeped for three minutes.",
        "year": 2021,
    },
    {"id": "lava", "title": "", "text": "Lava cools into black rock on the shore.", "year": 2022},
    {
        "id": "<b>bold</b>",
        "title": "<script>",
        "text": "A month of black tea & rock.",
        "year": 2023,
    },
]


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lw.SearchEngine]:
    """A small index of the bundled model."""
    path = tmp_path_factory.mktemp("served") / "notes"
    with lw.build(path, DOCUMENTS) as index:
        yield index


@pytest.fixture(scope="session")
def app(engine: lw.SearchEngine) -> FastAPI:
    return make_app({"notes": engine})


@pytest.fixture(scope="session")
def client(app: FastAPI) -> Iterator[TestClient]:
    """The app without a socket."""
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def index_path(engine: lw.SearchEngine) -> Path:
    return engine.path


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lw.SearchEngine]:
    """An index of documents that pages trip over."""
    with lw.build(tmp_path_factory.mktemp("page") / "odd", ODD) as index:
        yield index


@pytest.fixture(scope="module")
def address(browser: "Browser", odd: lw.SearchEngine, engine: lw.SearchEngine) -> Iterator[str]:
    """A server of two indexes."""
    with live(make_app({"odd": odd, "notes": engine})) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Not for the session: playwright's event loop would be in the way of other tests."""
    yield from launch_chromium()


@pytest.fixture
def visit(browser: "Browser", address: str) -> Iterator[Visit]:
    """A page that must write no line to its console."""
    with opened(browser, address) as visit:
        yield visit
        assert visit.lines == []
