"""What is refused before anything is computed, and what every answer carries."""

import gzip
import json
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

import lastword as lw
from lastword.server.app import make_app
from lastword.server.settings import BODY_BYTES, ServerSettings

KEY = "an-example-key-of-24-chars"


@pytest.fixture(scope="module")
def keyed(engine: lw.SearchEngine) -> Iterator[TestClient]:
    """A server with a key, that a page of example.org may ask."""
    settings = ServerSettings(keys=("x" * 20, KEY), origins=("https://example.org",))
    with TestClient(make_app({"notes": engine}, settings), base_url="http://localhost") as client:
        yield client


def refused(answer: "object", status: int) -> str:
    """Return the one sentence of an error."""
    assert getattr(answer, "status_code") == status, getattr(answer, "text")  # noqa: B009
    body = json.loads(getattr(answer, "text"))  # noqa: B009
    assert body.keys() == {"error", "error_type"}
    assert body["error"] and "\n" not in body["error"] and len(body["error"]) <= 400
    return str(body["error"])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "body"),
        ("{", "not JSON"),
        ("[" * 100_000, "deep"),
        ('{"query": "a", "query": "b"}', "query"),
        ('{"query": NaN}', "NaN"),
        ('{"query": "\\ud800"}', "surrogate"),
        (b"\xff\xfe{}", "UTF-16"),
    ],
)
def test_a_body_that_is_no_json_is_refused(
    client: TestClient, body: str | bytes, says: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post("/v1/search", content=body, headers=headers)
    assert says in refused(answer, 422 if body == "" else 400)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "either"),
        ({"query": ""}, "query"),
        ({"query": " \n"}, "query"),
        ({"query": "\x1c\x85\u3000"}, "query"),
        ({"query": "a" * 10_001}, "query"),
        ({"query": "a", "queries": ["b"]}, "either"),
        ({"queries": []}, "queries: list should have at least 1 item, not 0"),
        ({"queries": ["a"] * 101}, "queries: list should have at most 100 items, not 101"),
        ({"query": "a", "k": 0}, "k"),
        ({"query": "a", "k": 1001}, "k"),
        ({"query": "a", "k": "3"}, "k"),
        ({"query": "a", "k": True}, "k"),
        ({"query": "a", "surprise": 1}, "surprise"),
        ({"query": "a", "fusion": "magic"}, "fusion"),
        ({"query": "a", "weights": {"bm25": -1.0}}, "weights"),
        ({"query": "a", "filter": "year >"}, "filter"),
        ({"query": 3}, "query"),
        ([1], "body"),
    ],
)
def test_a_search_of_illegal_values_is_refused(client: TestClient, body: object, says: str) -> None:
    assert says in refused(client.post("/v1/search", json=body), 422)


def test_an_unknown_index_or_path_is_not_found(client: TestClient) -> None:
    answer = client.post("/v1/search", json={"query": "a", "index": "../etc"})
    assert "'../etc'; there are notes" in refused(answer, 404)
    for choice in (
        {"channels": ["nothing"]},
        {"weights": {"nothing": 1.0}},
        {"fusion": "minmax:nothing=1"},
        {"channels": ["bm25"], "fusion": "minmax:dense=1"},
    ):
        answer = client.post("/v1/search", json={"query": "a", **choice})
        assert "bm25" in refused(answer, 404)
    refused(client.get("/v1/documents/nothing"), 404)
    refused(client.get("/v1/documents/%00"), 404)
    refused(client.get("/nothing"), 404)
    assert refused(client.get("/v1/documents/"), 422).startswith("id: string should")
    assert refused(client.get("/v1/documents"), 422).startswith("id: field required")
    refused(client.get("/openapi.json/"), 404)


def test_a_method_that_a_path_does_not_take_is_refused(client: TestClient) -> None:
    answer = client.get("/v1/search")
    refused(answer, 405)
    assert answer.headers["Allow"] == "POST"
    answer = client.put("/v1/documents/keys")
    refused(answer, 405)
    assert answer.headers["Allow"] == "DELETE, GET, HEAD"
    assert client.head("/v1/search").status_code == 405


def test_head_is_answered_where_get_is(client: TestClient) -> None:
    """Probes of load balancers ask so; it was 405 but for the page."""
    for path in ("/health", "/metrics", "/v1/indexes", "/v1/documents/keys", "/"):
        whole, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Type"] == whole.headers["Content-Type"]
    assert client.head("/v1/documents/nothing").status_code == 404


def test_documents_are_not_written_unless_the_server_may(client: TestClient) -> None:
    document = {"documents": [{"id": "new", "text": "new"}]}
    assert "--writable" in refused(client.post("/v1/documents", json=document), 403)
    refused(client.delete("/v1/documents/keys"), 403)
    assert client.get("/v1/documents/keys").status_code == 200


def test_a_document_without_words_is_refused(engine: lw.SearchEngine) -> None:
    """It was a conflict, 409, and the sentence named options of the command."""
    app = make_app({"notes": engine}, ServerSettings(writable=True))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        for blank in ({"text": ""}, {"text": " \n\x1f\u3000", "title": "\t"}):
            document = {"id": "new", **blank}
            answer = client.post("/v1/documents", json={"documents": [document]})
            text = refused(answer, 422)
            assert "'new' has neither title nor text" in text and "--" not in text
    assert "new" not in engine.ids()


def test_a_long_body_is_refused_before_it_is_read(client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    long = b'{"query": "' + b"a" * BODY_BYTES + b'"}'
    assert "longer" in refused(client.post("/v1/search", content=long, headers=headers), 413)
    parts = (long[at : at + 65536] for at in range(0, len(long), 65536))  # of unknown length
    assert "longer" in refused(client.post("/v1/search", content=parts, headers=headers), 413)


def test_a_body_of_another_type_is_refused(client: TestClient) -> None:
    """A page elsewhere may send text/plain without asking the browser for leave."""
    for media in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""):
        answer = client.post(
            "/v1/search", content=b'{"query": "a"}', headers={"Content-Type": media}
        )
        assert "application/json" in refused(answer, 415)


def test_a_compressed_body_is_refused_as_one(client: TestClient) -> None:
    """It was told to be Latin-1 and to be saved as UTF-8."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = gzip.compress(b'{"query": "a"}')
    answer = client.post("/v1/search", content=body, headers=headers)
    assert "'gzip'" in refused(answer, 415)
    assert answer.headers["Accept-Encoding"] == "identity"
    as_it_is = {**headers, "Content-Encoding": "identity"}
    answer = client.post("/v1/search", content=b'{"query": "a"}', headers=as_it_is)
    assert answer.status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1].evil"])
def test_another_name_of_the_server_is_refused(client: TestClient, host: str) -> None:
    """A page of evil.example can make that name mean 127.0.0.1, and read answers."""
    refused(client.get("/v1/indexes", headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1:8010", "[::1]:80"])
def test_names_of_this_machine_are_served(client: TestClient, host: str) -> None:
    assert client.get("/v1/indexes", headers={"Host": host}).status_code == 200


def test_the_key_must_come_and_be_right(keyed: TestClient) -> None:
    for header in ("", KEY, "Bearer", "Bearer wrong", f"Basic {KEY}", f"Bearer {KEY}x"):
        answer = keyed.get("/v1/indexes", headers={"Authorization": header})
        refused(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    raw = {b"Authorization": b"Bearer \xff\xfe"}
    refused(keyed.get("/v1/indexes", headers=raw), 401)
    for path in ("/metrics", "/openapi.json", "/v1/documents/keys"):
        refused(keyed.get(path), 401)
        assert keyed.get(path, headers={"Authorization": f"bearer {KEY}"}).status_code == 200
    assert keyed.get("/health").status_code == 200


def test_pages_elsewhere_read_nothing_unless_they_are_named(
    keyed: TestClient, client: TestClient
) -> None:
    origin = {"Origin": "https://example.org", "Authorization": f"Bearer {KEY}"}
    named = keyed.get("/v1/indexes", headers=origin).headers
    assert named["Access-Control-Allow-Origin"] == "https://example.org"
    other = keyed.get("/v1/indexes", headers=origin | {"Origin": "https://example.com"})
    assert "Access-Control-Allow-Origin" not in other.headers
    plain = client.get("/v1/indexes", headers=origin)
    assert "Access-Control-Allow-Origin" not in plain.headers


def test_every_answer_tells_browsers_to_guess_nothing(client: TestClient) -> None:
    for answer in (client.get("/health"), client.get("/nothing"), client.post("/v1/search")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_beyond_this_machine_a_key_is_demanded(host: str) -> None:
    with pytest.raises(ValueError, match="needs a key"):
        ServerSettings(host=host)
    ServerSettings(host=host, keys=(KEY,))
    for own in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        ServerSettings(host=own)


@pytest.mark.parametrize(
    "origin", ["example.org", "https://example.org/", "https://example.org/a", "*", "null", ""]
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    """With a slash at its end it let nobody in, and nothing said so."""
    with pytest.raises(ValueError, match="--cors takes the origin"):
        ServerSettings(origins=(origin,))
    ServerSettings(origins=("http://localhost:3000", "https://[::1]:8443"))
