"""Clients that people have, and our own, ask a real server."""

import base64
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import openai
import pytest
from fastapi.testclient import TestClient
from huggingface_hub.errors import HfHubHTTPError

import lastword as lw
from embedder.checkpoints.variant import ModelVariant
from embedder.remote.encoder import RemoteEncoder
from embedder.types import Float32Array, Role
from lastword.server.app import make_app
from lastword.server.settings import ServerSettings
from tests.lastword.server.conftest import DOCUMENTS
from tests.lastword.server.live import live

KEY = "a-key-of-enough-characters"
TEXTS = ["Rotate a key every month.", "black tea", "Lava cools."]


@pytest.fixture(scope="module")
def url(engine: lw.SearchEngine) -> Iterator[str]:
    with live(make_app({"notes": engine}, ServerSettings(keys=(KEY,)))) as url:
        yield url


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the client ask this machine; remember no server in the user's own folder."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("LASTWORD_HOME", str(tmp_path))
    for name in ("TEI_API_KEY", "LASTWORD_API_KEY"):
        monkeypatch.setenv(name, KEY)


@pytest.fixture
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)


def own_rows(engine: lw.SearchEngine, role: str = "document") -> Float32Array:
    dense = engine.encoders["dense"].encode(TEXTS, Role(role)).dense
    assert dense is not None
    return dense


def test_openai_embeds_by_floats_and_base64(client: openai.OpenAI, engine: lw.SearchEngine) -> None:
    own = own_rows(engine)
    answers = [
        client.embeddings.create(model="notes", input=TEXTS),  # the client asks for base64
        client.embeddings.create(model="notes", input=TEXTS, encoding_format="float"),
    ]
    for answer in answers:
        assert [row.index for row in answer.data] == [0, 1, 2]
        data = [row.embedding for row in answer.data]
        assert np.array_equal(np.array(data, np.float32), own)
        assert answer.usage.prompt_tokens == answer.usage.total_tokens > 30
    packed = client.embeddings.create(model="notes", input=TEXTS[0], encoding_format="base64")
    data_of_one = base64.b64decode(str(packed.data[0].embedding))
    assert np.allclose(np.frombuffer(data_of_one, "<f4"), own[0], atol=1e-6)
    query = client.embeddings.create(
        model="notes", input=TEXTS, extra_body={"prompt_name": "query"}
    )
    assert np.array_equal([row.embedding for row in query.data], own_rows(engine, "query"))
    ids = client.embeddings.create(model="notes", input=[[5, 6, 7], [8]])
    assert len(ids.data) == 2


def test_openai_cuts_rows_to_dimensions(client: openai.OpenAI, engine: lw.SearchEngine) -> None:
    answer = client.embeddings.create(model="notes", input=TEXTS, dimensions=64)
    cut = own_rows(engine)[:, :64]
    expected = cut / np.linalg.norm(cut, axis=1, keepdims=True)
    assert np.allclose([row.embedding for row in answer.data], expected, atol=1e-6)
    with pytest.raises(openai.BadRequestError, match="dimensions: rows have 512 numbers"):
        client.embeddings.create(model="notes", input=TEXTS, dimensions=513)


def test_openai_is_told_what_is_wrong(client: openai.OpenAI, url: str) -> None:
    for given in ("", [], ["tea", ""]):
        with pytest.raises(openai.BadRequestError, match="input: expected a text"):
            client.embeddings.create(model="notes", input=given)
    with pytest.raises(openai.BadRequestError, match="text 1 is too long") as refusal:
        client.embeddings.create(model="notes", input="tea " * 900)
    assert refusal.value.type == "invalid_request_error"
    with pytest.raises(openai.NotFoundError) as unknown:
        client.embeddings.create(model="text-embedding-3-small", input="tea")
    assert unknown.value.code == "model_not_found"
    stranger = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-another", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as refused:
        stranger.embeddings.create(model="notes", input="tea")
    assert refused.value.code == "invalid_api_key"
    assert [model.id for model in client.models.list()] == ["notes"]
    assert client.models.retrieve("notes").owned_by == "lastword"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


@pytest.mark.parametrize("path", ["", "/embed"])
def test_huggingface_hub_extracts_features(url: str, path: str, engine: lw.SearchEngine) -> None:
    client = huggingface_hub.InferenceClient(url + path, token=KEY)
    assert np.array_equal(client.feature_extraction(TEXTS), own_rows(engine))
    query = client.feature_extraction(
        TEXTS[0], prompt_name="query", normalize=True, truncate=True, truncation_direction="left"
    )
    assert np.allclose(query[0], own_rows(engine, "query")[0], atol=1e-6)
    with pytest.raises(HfHubHTTPError) as refusal:
        client.feature_extraction("tea " * 900)
    assert refusal.value.response.status_code == 413
    stranger = huggingface_hub.InferenceClient(url + path, token="another")
    with pytest.raises(HfHubHTTPError) as refused:
        stranger.feature_extraction("tea")
    assert refused.value.response.status_code == 401


def test_huggingface_hub_compares_sentences(url: str, engine: lw.SearchEngine) -> None:
    client = huggingface_hub.InferenceClient(f"{url}/similarity", token=KEY)
    own = own_rows(engine)
    cosines = client.sentence_similarity(TEXTS[0], TEXTS[1:])
    assert np.allclose(cosines, own[1:] @ own[0], atol=1e-6)


def test_an_index_that_is_built_through_a_server_ranks_as_its_own(
    url: str, engine: lw.SearchEngine
) -> None:
    remote = RemoteEncoder.load(
        f"tei:{url}", None, ModelVariant(prompt_names=("query", "document"))
    )
    with lw.build(None, DOCUMENTS, model={"dense": remote}) as copy:
        with lw.open(engine.path, channels=["dense"]) as own:
            for query in ("rotate a key", "black tea", "lava"):
                found = [(hit.id, round(hit.score, 4)) for hit in copy.search(query)]
                assert found == [(hit.id, round(hit.score, 4)) for hit in own.search(query)]
        with TestClient(make_app({"copy": copy}), "http://127.0.0.1") as client:
            answer = client.post("/embed", json={"inputs": TEXTS})
            assert np.allclose(np.array(answer.json()), own_rows(engine), atol=1e-6)
            # Its tokenizer is at the other server, which says nothing of what it cuts until then.
            for inputs, status in ((["tea", "tea " * 900], 413), ([[5, 6]], 422)):
                assert client.post("/embed", json={"inputs": inputs}).status_code == status
            longest = {"inputs": ["tea " * 900], "truncate": True}
            assert client.post("/embed", json=longest).status_code == 200
    assert remote.counts["tokens"] > 40
    before = remote.counts["truncated"]
    cut = remote.encode(["tea " * 900], Role.DOCUMENT)
    assert remote.counts["truncated"] == before + 1 and cut.dense is not None


def test_our_client_of_openai_reads_queries_as_queries(url: str) -> None:
    names = ModelVariant(prompt_names=("query", "document"))
    remote = RemoteEncoder.load(f"openai:notes@{url}/v1", None, names)
    of_tei = RemoteEncoder.load(f"tei:{url}", None, names)
    for role in Role:
        dense, expected = (each.encode(TEXTS, role).dense for each in (remote, of_tei))
        assert dense is not None and expected is not None
        assert np.allclose(dense, expected, atol=1e-6)


def test_our_client_of_openai_reads_the_rows_of_documents(
    url: str, engine: lw.SearchEngine
) -> None:
    remote = RemoteEncoder.load(f"openai:notes@{url}/v1")
    dense = remote.encode(TEXTS, Role.DOCUMENT).dense
    assert dense is not None and np.allclose(dense, own_rows(engine), atol=1e-6)
    remote.encode(["tea " * 900], Role.DOCUMENT)
    assert remote.counts["truncated"] == 1
