"""What servers do wrong: busy, silent, faulty, and where a key must not go."""

import time

import numpy as np
import pytest

from embedder.checkpoints.addresses import parse_remote
from embedder.remote import http_client
from embedder.remote.encoder import RemoteEncoder
from embedder.remote.http_client import JsonClient, RetryRules, ServerError
from embedder.types import RefusedTextError, Role
from tests.one_line import check_one_line
from tests.servers import (
    INFO,
    QUICK,
    TEXTS,
    WIDTH,
    Answer,
    Loader,
    Request,
    Server,
    dense_rows,
    load_openai,
    load_tei,
    row,
    serve,
)


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {}), (503, {"Retry-After": "0.1"}), (500, {}), (429, {"Retry-After": "soon"})],
)
def test_a_busy_server_is_asked_again(status: int, headers: dict[str, str], server: Server) -> None:
    encoder = load_tei(server)
    busy = iter([True, True])
    error = {"error": "model is overloaded", "error_type": "overloaded"}
    server.override = lambda request: (status, error, headers) if next(busy, False) else None
    begun = time.monotonic()
    assert np.allclose(dense_rows(encoder, ["a"])[0], row("a"), atol=1e-6)
    assert len(server.posted("/embed")) == 4  # one by the constructor
    assert time.monotonic() - begun > (0.2 if headers.get("Retry-After") == "0.1" else 0)


def test_a_server_that_stays_busy_is_given_up(server: Server) -> None:
    encoder = load_tei(server)
    error = {"error": "Model is overloaded", "error_type": "overloaded"}
    server.override = lambda request: (429, error, {})
    said = f"{server.url} answered 429 Too Many Requests: Model is overloaded"
    check_one_line(lambda: encoder.encode(["a"], Role.QUERY), ServerError, said)
    assert len(server.posted("/embed")) == 1 + QUICK.tries
    server.override = lambda request: (429, error, {"Retry-After": "3600"})
    check_one_line(lambda: encoder.encode(["a"], Role.QUERY), ServerError, said)
    assert len(server.posted("/embed")) == 2 + QUICK.tries  # nobody waits for an hour


def test_a_silent_server_is_asked_again_and_given_up(server: Server) -> None:
    client = JsonClient(server.url, ("TEI_API_KEY",), 0.1, RetryRules(3, 0.001))

    def sleep(request: Request) -> None:
        time.sleep(0.3)

    server.override = sleep
    check_one_line(lambda: client.ask("/info"), ServerError, "timed out")
    assert len(server.requests) == 3
    check_one_line(
        lambda: RemoteEncoder.load("tei:http://127.0.0.1:9"), ServerError, "Connection refused"
    )


@pytest.mark.parametrize("load", [load_tei, load_openai])
def test_the_text_that_is_refused_is_named(load: Loader, server: Server) -> None:
    encoder = load(server)
    texts = [*TEXTS[:6], "unreadable", "more"]
    with pytest.raises(RefusedTextError) as caught:
        encoder.encode(texts, Role.DOCUMENT)
    assert caught.value.at == 6
    assert str(caught.value).startswith(f"text 7: {server.url}")
    assert "answered 4" in str(caught.value) and "\n" not in str(caught.value)


def test_a_refusal_that_is_about_no_text_is_not_repeated(server: Server) -> None:
    encoder = load_openai(server)
    error = {"error": {"message": "Incorrect API key", "type": "invalid_request_error"}}
    server.override = lambda request: (401, error, {})
    before = len(server.requests)
    check_one_line(
        lambda: encoder.encode(TEXTS[:3], Role.QUERY), ServerError, "401 Unauthorized: Incorrect"
    )
    assert len(server.requests) == before + 1
    name = f"openai:other@{server.url}/v1"
    server.override = lambda request: None
    check_one_line(lambda: RemoteEncoder.load(name), ServerError, "The model does not exist")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([[0.5] * WIDTH], "expected rows of 2 texts; got 1"),
        ([[float("nan")] * WIDTH, [0.5] * WIDTH], "text 1: ADDRESS answered NaN"),
        ([[0.5] * WIDTH, [0.5] * 3], "text 2: ADDRESS answered a row of 3 numbers"),
        ([[0.5] * 3, [0.5] * 3], "text 1: ADDRESS answered a row of 3 numbers"),
        ([[0.5] * WIDTH, ["a"] * WIDTH], "text 2: ADDRESS answered a row that is no list"),
        ([[0.5] * WIDTH, [[0.5]] * WIDTH], "text 2: ADDRESS answered a row that is no list"),
        ([[0.5] * WIDTH, [1e300] * WIDTH], "text 2: ADDRESS answered NaN"),
        ([[0.5] * WIDTH, None], "text 2: ADDRESS answered a row that is no list"),
        ({"error": "odd"}, "expected rows as a list"),
        (b"<html>not here</html>", "ADDRESS cannot be asked: its answer: not JSON"),
        (b"\xff\xfe\x00", "ADDRESS cannot be asked"),
        (b"[" * 5000, "ADDRESS cannot be asked"),
    ],
)
def test_what_is_no_answer_is_one_line(answer: object, said: str, server: Server) -> None:
    encoder = load_tei(server)
    server.override = lambda request: (200, answer, {})
    said = said.replace("ADDRESS", server.url)
    kind = ValueError if said.startswith("text") else ServerError
    check_one_line(lambda: encoder.encode(["a", "b"], Role.QUERY), kind, said)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([{"index": 0, "embedding": [1.0] * WIDTH}] * 2, "each index from 0 to 1 once"),
        ([{"embedding": [1.0] * WIDTH}] * 2, "each index from 0 to 1 once"),
        ([7, 8], "each index from 0 to 1 once"),
        ([{"index": 0, "embedding": "%%"}, {"index": 1, "embedding": "AAAA"}], "no base64"),
        (None, "expected data as a list"),
    ],
)
def test_what_is_no_answer_of_openai(data: object, said: str, server: Server) -> None:
    encoder = load_openai(server)
    server.override = lambda request: (200, {"data": data}, {})
    with pytest.raises((ServerError, ValueError), match=said):
        encoder.encode(["a", "b"], Role.QUERY)


def test_a_server_without_base64_is_asked_for_numbers(server: Server) -> None:
    def refuse(request: Request) -> Answer | None:
        if request.body.get("encoding_format") == "base64":
            return 400, {"error": {"message": "unknown encoding_format"}}, {}
        return None

    packed = dense_rows(load_openai(server), TEXTS)
    server.override = refuse
    assert np.array_equal(dense_rows(load_openai(server), TEXTS), packed)


def test_an_answer_without_end_is_left(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_tei(server)
    monkeypatch.setattr(http_client, "MOST_BYTES", 1000)
    server.override = lambda request: (200, [[0.5] * 1000], {})
    check_one_line(lambda: encoder.encode(["a"], Role.QUERY), ServerError, "longer than")


def test_a_redirect_takes_neither_texts_nor_key_along(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\n")
    encoder = load_openai(server)
    assert server.requests[-1].headers["Authorization"] == "Bearer sk-secret"
    with serve() as other:
        place = {"Location": f"{other.url}/v1/embeddings"}
        for status in (301, 302, 307, 308):
            server.override = lambda request, status=status: (status, b"", place)  # type: ignore[misc]
            check_one_line(lambda: encoder.encode(["a"], Role.QUERY), ServerError, "answered 30")
        assert other.requests == []


def test_a_key_goes_to_its_own_kind_of_server_and_into_no_message(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    load_tei(server)
    assert all("Authorization" not in request.headers for request in server.requests)
    monkeypatch.setenv("TEI_API_KEY", "tei-secret")
    encoder = load_tei(server)
    assert server.requests[-1].headers["Authorization"] == "Bearer tei-secret"
    server.override = lambda request: (403, {"error": "bad key tei-secret"}, {})
    check_one_line(lambda: encoder.encode(["a"], Role.QUERY), ServerError, "bad key ***")
    monkeypatch.setenv("TEI_API_KEY", "two\nlines")
    with pytest.raises(ValueError, match="the key in TEI_API_KEY") as caught:
        load_tei(server)
    assert "two" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tei:", "an address is like"),
        ("tei:localhost:8080", "an address is like"),
        ("tei:http://localhost:99999999", "an address is like"),
        ("tei:http://localhost/a b", "an address is like"),
        ("tei:http://[::1", "an address is like"),
        ("tei:http://example.com", "for all to read"),
        ("tei:https://bob:hunter2@example.com", "TEI_API_KEY"),
        ("openai:https://example.com/v1", "openai:MODEL@URL"),
        ("openai:hunter2@", "openai:MODEL@URL"),
        ("openai:m@https://example.com/v1?key=hunter2", "OPENAI_API_KEY"),
    ],
)
def test_a_name_is_a_model_and_an_address(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        parse_remote(name)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({}, "is not that of text-embeddings-inference"),
        ({"model_type": {"embedding": {}}}, "is not that of text-embeddings-inference"),
        ({**INFO, "model_type": {"reranker": {}}}, "has a reranker"),
    ],
)
def test_a_server_of_something_else_is_refused(
    info: dict[str, object], said: str, server: Server
) -> None:
    server.info = info
    check_one_line(lambda: load_tei(server), ServerError, said)


def test_a_server_that_is_loading_is_waited_for(server: Server) -> None:
    unready = iter([True, True])
    error = {"error": "unhealthy", "error_type": "unhealthy"}
    server.override = lambda request: (
        (503, error, {}) if request.route == "/health" and next(unready, False) else None
    )
    assert len(dense_rows(load_tei(server), ["a"])) == 1
