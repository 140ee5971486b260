"""A small index, and libraries that tell nobody that they are used."""

import os

os.environ |= {
    "HAYSTACK_TELEMETRY_ENABLED": "false",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
}

from collections.abc import Iterator
from typing import Any

import pytest

import lastword
from embedder.text_encoder import TextEncoder

DOCUMENTS: list[Any] = [
    "green tea is steeped for three minutes",
    {"id": "keys", "title": "Keys", "text": "rotate the key at night", "year": 1999, "score": 3},
    {"id": "lava", "text": "lava flows down the mountain and cools into black rock"},
    {"id": "b", "text": "a stone in the garden", "lang": "en"},
]


@pytest.fixture(scope="session")
def engine() -> Iterator[lastword.SearchEngine]:
    with lastword.build(None, DOCUMENTS) as engine:
        yield engine


@pytest.fixture(scope="session")
def encoder() -> TextEncoder:
    return lastword.load_encoder("bundled")
