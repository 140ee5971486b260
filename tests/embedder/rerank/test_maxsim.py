"""MaxSim: the sum, over the tokens of a query, of the likest token of a text, by hand in numpy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from embedder.models.loading import LLMOptions
from embedder.rerank.load import load_reranker
from embedder.rerank.maxsim import MaxSimReranker
from tests.models import LINES

QUERIES = ["what is the capital of France", "lava"]


@pytest.fixture(scope="module")
def reranker(llama: Path) -> MaxSimReranker:
    loaded = load_reranker("maxsim", llama, LLMOptions(dtype="float32"))
    assert isinstance(loaded, MaxSimReranker)
    return loaded


def states(reranker: MaxSimReranker, text: str) -> NDArray[np.float64]:
    """Return what transformers says of a text alone, without the token before it."""
    tokenizer, model = reranker.backbone.tokenizer, reranker.backbone.model
    ids = torch.tensor([tokenizer(text).input_ids])
    with torch.inference_mode():
        last = model(ids, output_hidden_states=True).hidden_states[-1][0, 1:].double().numpy()
    rows: NDArray[np.float64] = last / np.linalg.norm(last, axis=1, keepdims=True)
    return rows


def test_scores_are_those_of_numpy(reranker: MaxSimReranker) -> None:
    found = reranker.score_many([(query, LINES) for query in QUERIES])
    for query, row in zip(QUERIES, found, strict=True):
        for text, score in zip(LINES, row, strict=True):
            of_text = states(reranker, text)
            expected = sum(max(q @ t for t in of_text) for q in states(reranker, query))
            assert score == pytest.approx(expected, abs=1e-4)


def test_a_text_alone_is_a_text_among_many(reranker: MaxSimReranker) -> None:
    many = reranker.score("lava flows", LINES)
    alone = [reranker.score("lava flows", [text])[0] for text in LINES]
    np.testing.assert_allclose(many, alone, atol=1e-5)


def test_a_text_is_its_own_best_match_and_nothing_the_worst(reranker: MaxSimReranker) -> None:
    scores = reranker.score(LINES[2], [*LINES, ""])
    tokens = len(states(reranker, LINES[2]))
    assert scores[2] == pytest.approx(tokens, abs=1e-4) and scores.argmax() == 2
    assert scores[-1] == -tokens


def test_every_text_is_read_once_and_cut_texts_are_counted(llama: Path) -> None:
    reranker = load_reranker("maxsim", llama, LLMOptions(dtype="float32", max_text_tokens=8))
    reranker.score_many([(query, LINES) for query in ("tea", "rock")])
    assert reranker.counts == {
        "pairs": 2 * len(LINES),
        "tokens": len(LINES) * 9 + sum(len(states_ids(reranker, q)) for q in ("tea", "rock")),
        "truncated": len(LINES),
    }


def states_ids(reranker: object, text: str) -> list[int]:
    assert isinstance(reranker, MaxSimReranker)
    return list(reranker.backbone.tokenizer(text).input_ids)
