"""A server of embeddings for each test, and no keys of whoever runs them."""

from collections.abc import Iterator

import pytest

from tests.servers import Server, serve


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LASTWORD_API_KEY", "OPENAI_API_KEY", "TEI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
