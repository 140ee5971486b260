"""What the search API answers is what the library finds."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

import lastword as lw
from index.documents import Passages
from lastword.server.app import make_app
from lastword.server.messages import SearchRequest
from lastword.server.searching import Chosen, IndexSearch, Question
from lastword.server.settings import ServerSettings

QUERIES = ["rotate a key", "black tea", "lava on the shore", "month"]


def search(client: TestClient, **request: object) -> dict[str, Any]:
    answer = client.post("/v1/search", json=request)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_search_is_that_of_the_library(client: TestClient, engine: lw.SearchEngine) -> None:
    for query in QUERIES:
        answer, hits = search(client, query=query, k=3, texts=True), engine.search(query, k=3)
        assert answer["channels"] == list(hits.channels)
        assert answer["fusion"] == engine.fusion
        for found, hit in zip(answer["hits"], hits, strict=True):
            assert (found["rank"], found["id"]) == (hit.rank, hit.id)
            assert found["score"] == pytest.approx(hit.score, abs=1e-6)
            assert (found["title"], found["text"]) == (hit.title, hit.text)
            assert found["metadata"] == hit.metadata
            assert {name: place["rank"] for name, place in found["channels"].items()} == {
                name: place.rank for name, place in hit.channels.items()
            }
            assert found["passage"]["matches"] == [list(span) for span in hit.passage.matches]


def test_several_queries_are_answered_in_their_order(client: TestClient) -> None:
    results = search(client, queries=QUERIES, k=2.0)["results"]  # a whole number in JSON Schema
    assert [one["query"] for one in results] == QUERIES
    for one, query in zip(results, QUERIES, strict=True):
        alone = search(client, query=query, k=2)
        assert [hit["id"] for hit in one["hits"]] == [hit["id"] for hit in alone["hits"]]


def test_many_queries_ask_for_few_hits_each(client: TestClient) -> None:
    """100 queries for 1,000 hits each were legal: 17 s of the model's thread, and 770 MB."""
    for count, k, status in ((100, 100, 200), (10, 1000, 200), (11, 101, 422)):
        answer = client.post("/v1/search", json={"queries": ["month"] * count, "k": k})
        assert answer.status_code == status, answer.text
    assert "a request for more than 100 hits has at most 10 queries" in answer.text


def test_each_query_of_a_batch_has_its_own_passages(tmp_path: Path) -> None:
    """Passages were looked for among what all queries of the batch had found, by all of them."""
    places = ("harbour", "mountain", "valley", "desert", "island")
    documents = [
        {"id": str(at), "text": " ".join(f"The {place} of town {at} is quiet." for place in places)}
        for at in range(4)
    ]
    options = lw.BuildOptions(passages=Passages(7, at="sentences"))
    with lw.build(tmp_path / "towns", documents, model="bm25", options=options) as engine:
        bodies = [{"query": f"quiet {place}", "k": 3} for place in places]
        requests = [SearchRequest.model_validate(body) for body in bodies]
        asked = [Question(one.query, Chosen.of(one), one) for one in requests]
        for question, answer in zip(asked, IndexSearch("towns", engine)(asked), strict=True):
            hits = engine.search(question.text, k=3)
            for found, hit in zip(json.loads(answer)["hits"], hits, strict=True):
                passage = found["passage"]["text"]
                assert (found["id"], passage) == (hit.id, hit.passage.text)
                assert question.text.split()[1] in passage


def test_channels_fusion_weights_and_filter_are_chosen(
    client: TestClient, engine: lw.SearchEngine
) -> None:
    only = search(client, query="black tea", channels=["bm25"])
    assert (only["channels"], only["fusion"]) == (["bm25"], None)
    with lw.open(engine.path, channels=["dense", "bm25"], fusion="rrf") as other:
        expected = [(hit.id, hit.score) for hit in other.search("black tea")]
    fused = search(client, query="black tea", channels=["bm25", "dense"], fusion="rrf")
    assert [(hit["id"], hit["score"]) for hit in fused["hits"]] == expected
    weighed = search(
        client, query="black tea", channels=["dense", "bm25"], weights={"dense": 0.3, "bm25": 0.7}
    )
    assert weighed["fusion"] == "minmax:dense=0.3,bm25=0.7"
    tipped = search(client, query="black tea", fusion="rrf:k=20", weights={"bm25": 1.0})
    assert tipped["fusion"] == "rrf:dense=0.0,sparse=0.0,bm25=1.0"
    young = search(client, query="black tea", filter="year >= 2022")
    assert {hit["id"] for hit in young["hits"]} == {"lava", "<b>bold</b>"}
    vain = search(client, query="black tea", filter="colour == 'red'")
    assert vain["hits"] == [] and "colour" in vain["remarks"][0]


def test_shares_add_up_to_the_score(client: TestClient) -> None:
    for hit in search(client, query="black tea", shares=True)["hits"]:
        shares = [place["share"] for place in hit["channels"].values()]
        assert sum(shares) == pytest.approx(hit["score"], abs=1e-9)


def test_the_words_of_the_model_are_told(client: TestClient) -> None:
    words = search(client, query="rotate a key", words=True)["words"]["sparse"]
    assert {"rotate", "key"} <= {one["word"] for one in words}
    assert search(client, query="rotate a key")["words"] == {}


def test_matches_stand_where_they_are_said_to(client: TestClient) -> None:
    hit = search(client, query="rotate keys", texts=True)["hits"][0]
    words = [hit["text"][start:end] for start, end in hit["passage"]["matches"]]
    assert words == ["Rotate", "key", "keys"]
    assert hit["title_matches"] == [[0, 4]]


def test_an_explanation_is_that_of_the_library(client: TestClient, engine: lw.SearchEngine) -> None:
    counts: Any = engine.encoders["sparse"]
    before = counts.counts["texts"]
    answer = client.post("/v1/explain", json={"query": "rotate a key", "id": "keys"}).json()
    assert counts.counts["texts"] == before + 1  # its words were read by a second pass
    assert answer["words"] == search(client, query="rotate a key", words=True)["words"]
    expected = engine.explain("rotate a key", "keys")
    assert answer["score"] == pytest.approx(expected.score)
    assert [part["name"] for part in answer["channels"]] == list(engine.channels)
    for part, own in zip(answer["channels"], expected.channels, strict=True):
        assert [word["word"] for word in part["words"]] == [word for word, _ in own.words]
    missing = client.post("/v1/explain", json={"query": "rotate a key", "id": "nothing"})
    assert missing.status_code == 404
    assert missing.json() == {
        "error": "index 'notes' has no document 'nothing'",
        "error_type": "NotFound",
    }


def test_documents_are_read_by_ids_of_any_kind(client: TestClient) -> None:
    for name in ("keys", "a/tea.md", "%3Cb%3Ebold%3C%2Fb%3E"):
        assert client.get(f"/v1/documents/{name}").status_code == 200
    assert client.get("/v1/documents/a/tea.md").json()["title"] == "Tea"


def test_ids_that_no_path_can_hold_are_read_and_deleted(tmp_path: Path) -> None:
    """Clients make another path of dots; a line end or 1,001 characters were refused."""
    names = [
        ".",
        "..",
        "/",
        "\n",
        "a\nb",
        "\x00",
        "%00",
        "%2F",
        "a?b#c",
        "é",
        "e\u0301",
        "x" * 4096,
    ]
    documents = [{"id": name, "text": f"tea {at}"} for at, name in enumerate(names)]
    with lw.build(tmp_path / "odd", documents, model="bm25") as engine:
        app = make_app({"odd": engine}, ServerSettings(writable=True))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            for at, name in enumerate(names):
                asked = {"id": name, "index": "odd"}
                found = client.get("/v1/documents", params=asked)
                assert (found.json()["id"], found.json()["text"]) == (name, f"tea {at}")
                explained = client.post("/v1/explain", json={"query": "tea", **asked})
                assert explained.json()["found"]
                assert client.delete("/v1/documents", params=asked).json()["deleted"] == 1
                assert client.get("/v1/documents", params=asked).status_code == 404
        assert len(engine) == 0


def test_an_index_that_cannot_be_written_is_told_without_its_files(tmp_path: Path) -> None:
    """A read-only folder was told as [Errno 30] with a path of the server."""
    with lw.build(tmp_path / "a", ["tea"], model="bm25") as engine:
        (tmp_path / "a" / "lock").unlink(missing_ok=True)
        (tmp_path / "a" / "lock").mkdir()
        app = make_app({"a": engine}, ServerSettings(writable=True))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            answer = client.delete("/v1/documents/0")
    assert answer.status_code == 424
    text = answer.json()["error"]
    assert text.startswith("the index cannot be written: ") and "lock" not in text


def test_indexes_are_listed(client: TestClient) -> None:
    (index,) = client.get("/v1/indexes").json()["indexes"]
    assert (index["name"], index["documents"], index["sparse"]) == ("notes", 4, ["sparse"])
