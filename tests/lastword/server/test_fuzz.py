"""Broken requests of every kind get 4xx with one sentence, and nothing else."""

import json
import random
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

TRIES = 150
PATHS = ("/v1/search", "/v1/explain", "/v1/documents", "/embed", "/v1/embeddings", "/rerank")
BODIES: tuple[dict[str, Any], ...] = (
    {"query": "tea", "k": 3, "channels": ["bm25"], "weights": {"bm25": 1.0}, "filter": "year > 1"},
    {"queries": ["tea", "key"], "fusion": "rrf", "words": True},
    {"query": "tea", "id": "keys"},
    {"inputs": ["tea"], "normalize": True},
)
ODD = [
    "",
    "\x00",
    "\ud83d",
    "..",
    "../../etc/passwd",
    "%2e%2e/",
    "'; --",
    "\x1b[31m",
    "é" * 300,
    "$(id)",
]
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e308,
    10**30,
    [],
    {},
    [[]],
    "",
    " ",
    "x" * 20_000,
    "\x00",
    {"a": {"b": []}},
)


def broken_body(draw: random.Random) -> bytes:
    """Return a body with some bytes or values of a legal one changed."""
    body = dict(draw.choice(BODIES))
    if draw.random() < 0.5:
        name = draw.choice([*body, *body, "surprise", "__proto__"])
        body[name] = draw.choice(VALUES)
    data = bytearray(json.dumps(body).encode())
    for _ in range(draw.choice([0, 1, 1, 3])):
        at = draw.randrange(len(data))
        data[at : at + draw.choice([0, 1, 9])] = draw.randbytes(draw.choice([0, 1, 2]))
    return bytes(data)


def broken_headers(draw: random.Random) -> dict[str, str]:
    """Return headers of which some are odd."""
    headers = {"Content-Type": "application/json"}
    for name in ("Content-Type", "Host", "Authorization", "Content-Length", "Accept", "Origin"):
        if draw.random() < 0.1:
            text = draw.choice(["", "x" * 3000, "a, b", "Bearer", "\t", "-1", "[::1", "text/html;"])
            headers[name] = text if name != "Content-Length" else draw.choice(["-1", "x", "9" * 30])
    return headers


@pytest.mark.parametrize("seed", range(3))
def test_broken_requests_are_told_what_is_wrong(client: TestClient, seed: int) -> None:
    draw = random.Random(seed)
    refused = 0
    for _ in range(TRIES):
        path = draw.choice(PATHS)
        if draw.random() < 0.3:
            path += "/" + quote(draw.choice(ODD).encode("utf-8", "surrogatepass"), safe="%/.")
        method = draw.choice(["POST"] * 6 + ["GET", "DELETE", "PUT", "BREW"])
        content = None if method == "GET" else broken_body(draw)
        answer = client.request(method, path, content=content, headers=broken_headers(draw))
        told = f"{seed} {method} {path} {content!r}: {answer.status_code} {answer.text:.200}"
        assert answer.status_code == 200 or 400 <= answer.status_code < 500, told
        if answer.status_code == 200:
            continue
        refused += 1
        error = answer.json()["error"]
        sentence = error["message"] if isinstance(error, dict) else error
        assert sentence and sentence.isprintable() and len(sentence) <= 400, told
    assert refused > TRIES / 2
