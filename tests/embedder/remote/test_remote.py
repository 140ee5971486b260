"""Encoders behind an address, against a real server of both interfaces."""

import json
import threading
import time

import numpy as np
import pytest

from embedder.checkpoints.variant import ModelVariant
from embedder.progress import watching
from embedder.prompts.files import load_prompt
from embedder.remote.encoder import RemoteEncoder
from embedder.types import Role
from tests.one_line import check_one_line
from tests.servers import (
    INFO,
    LIMIT,
    MOST,
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
    openai,
    row,
    serve,
    term,
)

LONG = "word " * 50


@pytest.mark.parametrize("load", [load_tei, load_openai])
def test_rows_are_the_servers_in_the_order_of_texts(load: Loader, server: Server) -> None:
    """Requests are answered late first, and OpenAI's `index` comes shuffled."""
    encoder = load(server)
    first = len(server.requests)

    def late_first(request: Request) -> None:
        time.sleep(max(0.0, 0.05 - 0.02 * (request.number - first)))

    server.override = late_first
    done: list[int] = []
    with watching(done.append, len(TEXTS)):
        got = dense_rows(encoder, TEXTS)
    assert np.abs(got - np.stack([row(text) for text in TEXTS])).max() < 1e-6
    assert done[-1] == len(TEXTS)
    for at in (0, 10):
        assert np.array_equal(dense_rows(encoder, [TEXTS[at]])[0], got[at])
    assert dense_rows(encoder, []).shape == (0, WIDTH)
    assert encoder.counts["texts"] == len(TEXTS) + 2 and encoder.counts["tokens"] > 30


@pytest.mark.parametrize("load", [load_tei, load_openai])
def test_an_empty_text_is_not_sent(load: Loader, server: Server) -> None:
    encoder = load(server)
    got = dense_rows(encoder, ["", "a", ""])
    assert not got[[0, 2]].any() and np.allclose(got[1], row("a"), atol=1e-6)
    assert encoder.counts["empty"] == 2
    assert not dense_rows(encoder, [""]).any()


def test_requests_hold_as_many_texts_as_the_server_takes(server: Server) -> None:
    encoder = load_tei(server)
    dense_rows(encoder, TEXTS)
    sizes = [len(request.body["inputs"]) for request in server.posted("/embed")[1:]]
    assert sorted(sizes) == [3, MOST, MOST]


def test_several_requests_are_under_way_at_once(server: Server) -> None:
    encoder = load_tei(server)
    together = threading.Barrier(3)

    def meet(request: Request) -> None:
        together.wait(5)

    server.override = meet
    dense_rows(encoder, TEXTS)  # else the barrier breaks, and nothing is answered


def test_long_texts_are_cut_and_counted(server: Server) -> None:
    encoder = load_tei(server)
    got = dense_rows(encoder, ["short", LONG, LONG, "also short"])
    assert np.allclose(got[1], row(LONG), atol=1e-6)
    assert encoder.counts["truncated"] == 2
    other = load_openai(server)
    got = dense_rows(other, ["short", LONG, "also short"])
    assert other.counts["truncated"] == 1
    cut = [" ".join(["word"] * n) for n in range(1, LIMIT + 1)]
    assert min(np.abs(got[1] - row(text)).max() for text in cut) < 1e-6
    assert np.allclose(got[2], row("also short"), atol=1e-6)


def test_sparse_rows_are_the_terms_of_a_splade_model(server: Server) -> None:
    server.info["model_type"] = {"embedding": {"pooling": "splade"}}
    encoder = load_tei(server)
    rows = encoder.encode(["b a a", "", LONG], Role.DOCUMENT).sparse
    assert rows is not None and encoder.counts["truncated"] == 1
    want = [{term("a"): 2.0, term("b"): 1.0}, {}, {term("word"): 50.0}]
    for at, terms in enumerate(want):
        one = rows[at]
        assert dict(zip(one.indices.tolist(), one.data.tolist(), strict=True)) == terms
    assert encoder.term_names([7, 5], []) == {7: "w7", 5: "w5"}
    assert [list(terms) for terms in encoder.columns(["a", "b a"])] == [
        [term("a")],
        [term("b"), term("a")],
    ]
    assert encoder.encode([], Role.QUERY).sparse is not None
    assert "sparse" in encoder.fingerprint


def test_the_fingerprint_is_what_the_server_says_it_is(server: Server) -> None:
    encoder = load_tei(server)
    facts = json.loads(encoder.fingerprint)
    assert facts["model"] == INFO["model_id"] and facts["revision"] == INFO["model_sha"]
    assert server.url not in encoder.fingerprint  # it may move
    with serve() as other:
        assert load_tei(other).fingerprint == encoder.fingerprint
        other.info["model_sha"] = "other"
        assert load_tei(other).fingerprint != encoder.fingerprint
    assert json.loads(load_openai(server).fingerprint)["model"] == "hash-1"


def test_a_prompt_stands_around_texts(server: Server) -> None:
    toml = 'name = "p"\n[query]\ntemplate = "q: {text} ?"\n[document]\ntemplate = "{text}"'
    encoder = load_tei(server, toml=toml)
    assert np.allclose(dense_rows(encoder, ["a"], Role.QUERY)[0], row("q: a ?"), atol=1e-6)
    assert np.allclose(dense_rows(encoder, ["a"])[0], row("a"), atol=1e-6)
    assert encoder.fingerprint != load_tei(server).fingerprint
    dense_rows(encoder, ["long " * 30], Role.QUERY)  # what is appended is kept
    assert server.requests[-1].body["inputs"][0].endswith(" ?")
    assert encoder.counts["truncated"] == 1
    with pytest.raises(ValueError, match="a server cannot follow"):
        RemoteEncoder.load(f"tei:{server.url}", load_prompt("echo"), None, QUICK)


def test_variants(server: Server) -> None:
    for load in (load_tei, load_openai):
        named = load(server, ModelVariant(prompt_names=("query", "passage")))
        assert np.allclose(dense_rows(named, ["a"], Role.QUERY)[0], row("querya"), atol=1e-6)
        assert np.allclose(dense_rows(named, ["a"])[0], row("passagea"), atol=1e-6)
        assert named.fingerprint != load(server).fingerprint
    short = row("a")[:3] / np.linalg.norm(row("a")[:3])
    for load in (load_tei, load_openai):
        encoder = load(server, ModelVariant(truncate_dim=3))
        assert np.allclose(dense_rows(encoder, ["a"])[0], short, atol=1e-6)
        assert encoder.fingerprint != load(server).fingerprint
    assert server.requests[-1].body.get("dimensions") is None
    check_one_line(
        lambda: load_tei(server, ModelVariant(truncate_dim=9)), ValueError, "have 8 numbers"
    )
    wrong = ModelVariant(revision="main")
    check_one_line(lambda: load_openai(server, wrong), ValueError, "has no revision")


def test_names_of_prompts_that_a_server_passes_over_are_refused(server: Server) -> None:
    """OpenAI's interface has no such field: most servers read on without it, and say nothing."""

    def without_names(request: Request) -> Answer:
        return openai({key: value for key, value in request.body.items() if key != "prompt_name"})

    server.override = without_names
    wrong = ModelVariant(prompt_names=("query", "passage"))
    check_one_line(lambda: load_openai(server, wrong), ValueError, "passes over them")
    load_openai(server, ModelVariant(prompt_names=("passage",)))
