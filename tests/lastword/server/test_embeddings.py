"""Rows that a server gives are those of its index, and refusals are those of TEI."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from numpy.typing import NDArray

import lastword as lw
from embedder.types import Float32Array, Role, before_map
from index.live_rows import live_blocks
from lastword.server.app import make_app
from lastword.server.embeddings.encoders import ReadText, TooLongError, WrongTokenError
from lastword.server.embeddings.writing import write_rows
from lastword.server.settings import ServerSettings
from retrieval.retriever import Retriever
from tests.lastword.server.conftest import DOCUMENTS

LONG = "tea " * 900


def ask(client: TestClient, path: str, **body: object) -> Any:  # noqa: ANN401
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client: TestClient, path: str, **body: object) -> tuple[int, dict[str, Any]]:
    answer = client.post(path, json=body)
    error: dict[str, Any] = answer.json()
    return answer.status_code, error


def rows(answer: object) -> Float32Array:
    return np.array(answer, np.float32)


def held(retriever: Retriever, channel: str) -> tuple[list[str], Any]:
    """Return the texts of an index with the rows that it holds."""
    (block,) = live_blocks(retriever.index, [channel])
    return [document.content for document in block.documents], block.rows[channel]


def searched(retriever: Retriever, channel: str, texts: list[str]) -> Any:  # noqa: ANN401
    read = before_map(retriever.encoders[channel]).encode(texts, Role.QUERY)
    return retriever.query_rows(channel, read)


def test_dense_rows_are_those_of_the_index(client: TestClient, engine: lw.SearchEngine) -> None:
    texts, own = held(engine.retriever, "dense")
    answer = client.post("/embed", json={"inputs": texts})
    assert np.array_equal(rows(answer.json()), own.dense)  # bytes and all
    assert np.array_equal(rows(ask(client, "/", inputs=texts, prompt_name="passage")), own.dense)
    assert int(answer.headers["x-compute-tokens"]) > len(texts) * 10
    alone = [rows(ask(client, "/embed", inputs=text))[0] for text in texts]
    assert np.allclose(np.stack(alone), own.dense, atol=1e-6)


def test_rows_of_queries_are_what_the_index_is_searched_by(
    client: TestClient, engine: lw.SearchEngine
) -> None:
    texts = ["rotate a key", "black tea"]
    found = rows(ask(client, "/embed", inputs=texts, prompt_name="query"))
    assert np.array_equal(found, searched(engine.retriever, "dense", texts).dense)
    sparse = searched(engine.retriever, "sparse", texts).sparse
    for row, own in zip(
        ask(client, "/embed_sparse", inputs=texts, prompt_name="query"), sparse, strict=True
    ):
        assert [pair["index"] for pair in row] == own.indices.tolist()
        assert np.allclose([pair["value"] for pair in row], own.data, atol=1e-6)


def test_post_processed_rows_are_those_of_the_index(tmp_path: Path, llama: Path) -> None:
    """Rows as the model reads them would be near each other, and far from those that are held."""
    prompt = tmp_path / "post.toml"
    prompt.write_text(
        'name = "post"\n[query]\ntemplate = "q: {text}"\n[document]\ntemplate = "d: {text}"\n'
        "[sparse]\nenabled = false\n[post]\ncount = 40\n"
    )
    texts = [
        f"text {at} of {'tea' if at % 3 else 'rock'} and {at * 7 % 11} keys" for at in range(40)
    ]
    with lw.build(tmp_path / "i", texts, model=llama, prompt=prompt) as index:
        with index.retriever as retriever, TestClient(app_of(index), LOCAL) as client:
            contents, own = held(retriever, "dense")
            found = rows(ask(client, "/embed", inputs=contents[:32]))
            assert np.allclose(found, own.dense[:32], atol=1e-5)
            plain = retriever.encoders["dense"].encode(contents[:32], Role.DOCUMENT).dense
            assert plain is not None and not np.allclose(found, plain, atol=0.1)
            asked = rows(ask(client, "/embed", inputs=texts[:3], prompt_name="query"))
            assert np.allclose(asked, searched(retriever, "dense", texts[:3]).dense, atol=1e-5)


LOCAL = "http://127.0.0.1"


def app_of(index: lw.SearchEngine, **settings: Any) -> Any:  # noqa: ANN401
    return make_app({"own": index}, ServerSettings(**settings))


def test_a_text_that_is_too_long_is_refused_or_cut_at_the_side_that_is_named(
    client: TestClient,
) -> None:
    status, error = refused(client, "/embed", inputs=["tea", LONG])
    assert (status, error["error_type"]) == (413, "Validation")
    assert error["error"].startswith("text 2 is too long: it has 388 more tokens than the 512")

    def cut(text: str, side: str) -> NDArray[np.float32]:
        answer = ask(client, "/embed", inputs=text, truncate=True, truncation_direction=side)
        row: NDArray[np.float32] = rows(answer)[0]
        return row

    plain = cut(LONG, "right")
    assert np.allclose(cut("rock " + LONG, "Left"), plain, atol=1e-6)
    assert not np.allclose(cut("rock " + LONG, "right"), plain, atol=1e-4)


def test_rows_in_json_are_the_same_numbers() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, (50, 300), np.uint32).view(np.float32)
    table = np.where(np.isfinite(bits), bits, np.float32(0))
    table[0, :4] = 0, -0.0, np.finfo(np.float32).tiny, np.finfo(np.float32).smallest_subnormal
    read = np.array(json.loads(write_rows(list(table))), np.float64).astype(np.float32)
    assert np.array_equal(read, table)


def test_what_is_wrong_with_a_text_is_said_of_it_alone(app: FastAPI) -> None:
    """Texts of several clients are read together: one that is too long must not stop the others."""
    served = app.state.embeddings.served["notes", "dense"]
    items = [ReadText("tea"), ReadText(LONG, 2), ReadText([10**6]), ReadText("a key")]
    answers = served.read(items, Role.DOCUMENT)
    assert isinstance(answers[1], TooLongError) and str(answers[1]).startswith("text 2 is too long")
    assert isinstance(answers[2], WrongTokenError)
    (plain,) = served.read([ReadText("a key")], Role.DOCUMENT)
    assert answers[3][1] == plain[1] and np.allclose(answers[3][0], plain[0], atol=1e-6)


def test_statuses_and_bodies_are_those_of_tei(client: TestClient) -> None:
    status, error = refused(client, "/embed", inputs=["tea"] * 33)
    assert status == 413 and error == {
        "error": "a request has at most 32 texts (max_client_batch_size); got 33",
        "error_type": "Validation",
    }
    wrong: list[Any] = ["", [], ["tea", ""], [[]], 5, {"text": "tea"}, [["tea"]], [1.5], [-1]]
    for inputs in wrong:
        status, error = refused(client, "/embed", inputs=inputs)
        assert status == 422, inputs
        assert error["error"].startswith("inputs: expected a text, a list of texts, or"), inputs
    assert refused(client, "/embed", inputs="tea", prompt_name="other")[0] == 422
    assert refused(client, "/embed", inputs=[10**6])[0] == 422
    assert refused(client, "/embed", inputs="tea", dimensions=513)[0] == 422
    assert refused(client, "/rerank", query="tea", texts=["rock"])[0] == 424
    assert refused(client, "/embed", inputs="tea", model="other")[0] == 404


def test_an_index_of_words_alone_embeds_nothing() -> None:
    with lw.build(None, ["green tea"], model="bm25") as index:
        with TestClient(app_of(index), LOCAL) as client:
            for path in ("/embed", "/embed_sparse"):
                status, error = refused(client, path, inputs="tea")
                assert (status, error["error_type"]) == (424, "Backend")
            assert client.get("/info").json()["models"] == []
            assert client.get("/v1/models").json()["data"] == []


def test_a_request_without_a_place_is_told_when_to_come_again(engine: lw.SearchEngine) -> None:
    app = app_of(engine, places=1)
    with TestClient(app, LOCAL) as client:
        app.state.server.taken = 1
        answers = [
            client.post("/embed", json={"inputs": "tea"}),
            client.post("/v1/embeddings", json={"input": "tea"}),
        ]
        assert [answer.status_code for answer in answers] == [429, 429]
        assert all(answer.headers["retry-after"] == "1" for answer in answers)
        assert answers[0].json()["error_type"] == "Overloaded"
        assert answers[1].json()["error"]["code"] == "rate_limit_exceeded"


def test_tokens_are_listed_and_written_as_text(client: TestClient) -> None:
    (tokens,) = ask(client, "/tokenize", inputs="green tea")
    assert [(token["text"], token["start"], token["stop"]) for token in tokens] == [
        ("green", 0, 5),
        ("tea", 6, 9),
    ]
    ids = [token["id"] for token in tokens]
    assert ask(client, "/decode", ids=ids) == ["green tea"]
    assert ask(client, "/decode", ids=[[one] for one in ids]) == ["green", "tea"]
    given = rows(ask(client, "/embed", inputs=[ids, "green tea"]))
    assert np.allclose(given[0], given[1], atol=1e-6)
    (long,) = ask(client, "/tokenize", inputs=LONG)
    assert len(long) == 900 > client.get("/info").json()["max_input_length"]


def test_similarities_are_cosines(client: TestClient) -> None:
    sentences = ["black tea", "lava"]
    own = rows(ask(client, "/embed", inputs=["green tea", *sentences]))
    asked = {"source_sentence": "green tea", "sentences": sentences}
    assert np.allclose(ask(client, "/similarity", inputs=asked), own[1:] @ own[0], atol=1e-6)


@pytest.fixture(scope="module")
def reranking(engine: lw.SearchEngine) -> Iterator[tuple[TestClient, Any]]:
    reranker = lw.load_reranker("prompt", engine.encoders)
    with TestClient(make_app({"notes": engine}, reranker=reranker), LOCAL) as client:
        yield client, reranker


def test_ranks_are_those_of_the_reranker(reranking: tuple[TestClient, Any]) -> None:
    client, reranker = reranking
    texts = ["black rock", "green tea is steeped", "a key"]
    own = reranker.score("how is tea made", texts)
    asked = {"query": "how is tea made", "texts": texts}
    ranks = ask(client, "/rerank", **asked, raw_scores=True, return_text=True)
    assert [rank["index"] for rank in ranks] == np.argsort(-own).tolist()
    for rank in ranks:
        assert rank["score"] == pytest.approx(float(own[rank["index"]]), abs=1e-5)
        assert rank["text"] == texts[rank["index"]]
    for rank in ask(client, "/rerank", **asked):
        chance = 1 / (1 + np.exp(-own[rank["index"]]))
        assert rank == {"index": rank["index"], "score": pytest.approx(chance, abs=1e-6)}
    status, error = refused(client, "/rerank", query="tea", texts=["rock", LONG])
    assert status == 413 and "too long" in error["error"]
    assert len(ask(client, "/rerank", query="tea", texts=["rock", LONG], truncate=True)) == 2


def test_the_documents_of_the_api_are_all_there(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/embed", "/embed_sparse", "/rerank", "/similarity", "/v1/embeddings"} <= set(paths)
    assert len(DOCUMENTS) == client.get("/v1/indexes").json()["indexes"][0]["documents"]
