"""What tuning scores is what a search ranks: passages, several rows a text, documents read anew."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedder.encoders.adapted import AdaptedEncoder, encoder_of
from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.llm import LLMEncoder
from embedder.prompts.files import parse_prompt
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import Template
from embedder.types import Encoder, Role
from eval.fusion.sweep import Setting
from index.documents import Document
from index.folder import Index
from index.manifest import Passages
from retrieval.build import build_index
from retrieval.options import BuildOptions
from retrieval.pseudo_queries import read_query_fit
from retrieval.retriever import Retriever
from tests.models import load_llm
from tests.synthetic import SignEncoder, documents, queries
from tuning.first_prompts import fusion_settings
from tuning.objectives.corpus_card import typical_documents
from tuning.objectives.document_indexes import PooledDocuments
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.judged_queries import JudgedQueries
from tuning.objectives.pooled_objective import PooledObjective, pool_documents
from tuning.search.budget import Budget, Cost, Meter
from tuning.search.journal import Journal
from tuning.search.scorer import Scorer

DEPTH = 5
PLAIN = """
name = "plain"
[query]
template = 'Query: {text} Word: '
[document]
template = 'Passage: {text} Word: '
"""
SEVERAL_ROWS = f"""{PLAIN}
[read]
mode = "multi-token-multi"
generated_tokens = 3
"""
PROMPTS = {"one row": PLAIN, "several rows": SEVERAL_ROWS}


def read_prompt(text: str) -> LLMEncoder:
    return load_llm("bundled", parse_prompt(text))


def build(encoder: LLMEncoder, path: Path, passages: Passages | None) -> dict[str, Encoder]:
    encoders: dict[str, Encoder] = {"dense": encoder, "sparse": encoder, "bm25": BM25Encoder()}
    build_index(documents(40), encoders, path, BuildOptions(passages=passages))
    return encoders


def objective_of(
    index: Index,
    encoders: dict[str, Encoder],
    encoder: LLMEncoder,
    depth: int = DEPTH,
    settings: Mapping[str, Setting] | None = None,
) -> IndexObjective:
    def make_encoder(prompt: Prompt) -> LLMEncoder | AdaptedEncoder:
        return encoder_of(encoder.backbone, prompt, encoder.options)

    data = JudgedQueries(queries(4), {query: {"d1": 1} for query in queries(4)})
    return IndexObjective(index, encoders, data, make_encoder, depth, settings)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_channels_are_cut_to_the_depth_that_a_search_fuses(prompt: str, tmp_path: Path) -> None:
    """Of documents in several rows more came, so that scores were normalised over longer lists.

    Queries of several rows ended in "expected 12 distinct query ids".
    """
    encoder = read_prompt(PROMPTS[prompt])
    encoders = build(encoder, tmp_path / "i", Passages(4))
    with Index.open(tmp_path / "i") as index:
        objective = objective_of(index, encoders, encoder)
        retriever = Retriever(index, encoders, depth=DEPTH)
        runs = [*retriever.channel_runs(queries(4), DEPTH).values()]
        assert objective.run(encoder.prompt, list(queries(4))) == retriever.fuse(runs)
        assert all(len(scores) == DEPTH for scores in runs[0].values())


def test_every_fusion_is_known_from_one_reading(tmp_path: Path) -> None:
    """A query was read again for each of 22 fusions, which took 47 seconds."""
    encoder = read_prompt(PLAIN)
    encoders = build(encoder, tmp_path / "i", None)
    settings = fusion_settings(list(encoders))
    prompts = [replace(encoder.prompt, fusion=fusion) for fusion in settings]
    with Index.open(tmp_path / "i") as index:
        fused = objective_of(index, encoders, encoder)
        swept = objective_of(index, encoders, encoder, settings=settings)
        scorer = Scorer(swept, Journal(None, {}), Meter(Budget()))
        ids = list(queries(4))
        costs = []
        for prompt in prompts:
            costs.append(scorer.cost(prompt, ids))
            scores = scorer.scores(prompt, ids)
            assert scores == pytest.approx(fused([prompt], ids)[0], abs=1e-12)
        assert costs[0] == swept.query_cost(prompts[0], ids)
        assert {*costs[1:]} == {Cost(evaluations=4)}
        again = Scorer(swept, Journal(None, {}), Meter(Budget()))
        assert again.joint_cost(prompts, ids) == replace(costs[0], evaluations=4 * len(prompts))


@pytest.mark.parametrize("passages", [None, Passages(4)])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_documents_encoded_anew_score_as_an_index_of_them(
    prompt: str, passages: Passages | None, tmp_path: Path
) -> None:
    """They were one row each, refused several, and were never cut into passages."""
    encoder, old = read_prompt(PROMPTS[prompt]), read_prompt(PLAIN.replace("Passage", "Text"))
    encoders = build(old, tmp_path / "old", passages)
    new_encoders = build(encoder, tmp_path / "new", passages)
    with Index.open(tmp_path / "old") as index, Index.open(tmp_path / "new") as rebuilt:
        inner = objective_of(index, encoders, old)
        assert not inner.holds(encoder.prompt)
        every = PooledDocuments(frozenset(f"d{at}" for at in range(40)), True, 512)
        run = PooledObjective(inner, every).run(encoder.prompt, list(queries(4)))
        retriever = Retriever(rebuilt, new_encoders, depth=DEPTH)
        assert run == retriever.fuse([*retriever.channel_runs(queries(4), DEPTH).values()])


def test_a_candidate_is_centred_by_its_own_pseudo_queries(tmp_path: Path) -> None:
    """Candidates were centred by the default's mean, and judged too low; reading is charged."""
    encoder = read_prompt(f"{PLAIN}[post]\n")
    other = read_prompt(f"{PLAIN}[post]\n".replace("Query: {text} Word:", "{text} asks for"))
    encoders = build(encoder, tmp_path / "i", None)
    with Index.open(tmp_path / "i") as index:
        spec = index.channels["dense"]
        objective = objective_of(index, encoders, encoder, depth=40)
        assert objective.preparation(encoder.prompt) == ("", Cost())
        key, cost = objective.preparation(other.prompt)
        fed = other.reader.feed(spec.pseudo_queries, Role.QUERY, other.options.max_text_tokens)
        assert key == other.fingerprint and cost.tokens == sum(text.tokens for text in fed) > 0
        run = objective.retriever(other.prompt, index).channel_runs(queries(4), 40)["dense"]
        drawn = other.encode(list(spec.pseudo_queries), Role.QUERY).dense
        asked = other.encode(list(queries(4).values()), Role.QUERY).dense
        assert spec.post is not None and drawn is not None and asked is not None
        means = np.stack([spec.post.means[0], drawn.mean(axis=0)])
        asked = replace(spec.post, means=means).change(asked, Role.QUERY)
        for row, scores in zip(asked, run.values(), strict=True):
            for document, score in scores.items():
                [held] = index.vectors("dense", document)
                assert score == pytest.approx(float(row @ held), abs=1e-5)


def test_a_wording_that_is_searched_among_reads_few_pseudo_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was dropped after 25 queries had read 256 others first."""
    monkeypatch.setattr("tuning.objectives.index_objective.FEW", 9)
    encoder = read_prompt(f"{PLAIN}[post]\n")
    other = read_prompt(f"{PLAIN}[post]\n".replace("Query: {text} Word:", "{text} asks for"))
    encoders = build(encoder, tmp_path / "i", None)
    with Index.open(tmp_path / "i") as index:
        objective = objective_of(index, encoders, encoder, depth=40)
        quick, ids = objective.quick, list(queries(4))
        assert quick is not None and quick.quick is None
        kinds = {each.score_key(other.prompt, ids[0]) for each in (quick, objective)}
        assert len(kinds) == 2  # nor are scores of one kept as the other's
        kept = index.channels["dense"].pseudo_queries
        assert quick.index.channels["dense"].pseudo_queries == kept[::5] and len(kept) == 40
        less, more = (each.preparation(other.prompt)[1].tokens for each in (quick, objective))
        assert 0 < less < more / 3
        scorer = Scorer(objective, Journal(None, {}), Meter(Budget()))
        scorer.scores(encoder.prompt, ids)
        searcher = scorer.for_search(quick, encoder.prompt)
        assert not searcher.cost(encoder.prompt, ids).evaluations  # the same mean: known
        assert searcher.cost(other.prompt, ids).tokens < scorer.cost(other.prompt, ids).tokens
        for each in (quick, objective):  # neither takes the other's mean
            fit = read_query_fit(each.index.channels["dense"], other)
            drawn = other.encode(list(each.index.channels["dense"].pseudo_queries), Role.QUERY)
            assert fit is not None and drawn.dense is not None
            np.testing.assert_allclose(fit.means[1], drawn.dense.mean(axis=0), atol=1e-6)


def test_documents_encoded_anew_are_post_processed(tmp_path: Path) -> None:
    """Their encoder hid the prompt, so that raw rows were judged for a prompt with [post]."""
    encoder, old = read_prompt(f"{PLAIN}[post]\n"), read_prompt(PLAIN.replace("Passage", "Text"))
    encoders, new = build(old, tmp_path / "old", None), build(encoder, tmp_path / "new", None)
    with Index.open(tmp_path / "old") as index, Index.open(tmp_path / "new") as rebuilt:
        every = PooledDocuments(frozenset(f"d{at}" for at in range(40)), True, 512)
        pooled = PooledObjective(objective_of(index, encoders, old), every)
        retriever = Retriever(rebuilt, new, depth=DEPTH)
        expected = retriever.fuse([*retriever.channel_runs(queries(4), DEPTH).values()])
        assert pooled.run(encoder.prompt, list(queries(4))) == expected


def test_endings_of_documents_are_read_after_one_reading_of_the_text(tmp_path: Path) -> None:
    """Scores are those of prompts read one after the other; what is charged is less."""
    encoder = read_prompt(PLAIN)
    encoders = build(encoder, tmp_path / "i", Passages(4))
    form = encoder.prompt.forms[0]
    prompts = [
        replace(
            encoder.prompt, forms=(replace(form, document=(Template(f"Text: {{text}}{end}"),)),)
        )
        for end in (" Word: ", " In one word: ", " It says: ")
    ]
    ids = list(queries(4))
    with Index.open(tmp_path / "i") as index:
        inner = objective_of(index, encoders, encoder)
        pool = pool_documents(inner, encoder.prompt, seed=0)
        alone = PooledObjective(inner, pool)
        together = Scorer(PooledObjective(inner, pool), Journal(None, {}), Meter(Budget()))
        together.prepare_together(prompts, ids)
        spent = together.meter.spent.tokens
        apart = sum(alone.preparation(prompt)[1].tokens for prompt in prompts)
        assert spent < 0.7 * apart
        for prompt in prompts:
            assert together.scores(prompt, ids) == pytest.approx(alone([prompt], ids)[0])
        queries_only = sum(alone.cost(prompt, ids).tokens for prompt in prompts)
        assert together.meter.spent.tokens == spent + queries_only


def test_a_card_shows_documents_of_unlike_kinds(tmp_path: Path) -> None:
    """Of three kinds of documents k-means shows one of each."""
    kinds = {"wing": 40, "soup": 40, "law": 40}
    many = [
        Document(f"{kind}{at}", "", f"{kind} {kind} {kind}")
        for kind, n in kinds.items()
        for at in range(n)
    ]
    build_index(many, {"dense": SignEncoder()}, tmp_path / "i", BuildOptions())
    with Index.open(tmp_path / "i") as index:
        shown = typical_documents(index, 3, seed=1)
        assert {text.split()[0] for text in shown} == {*kinds}
        assert shown == typical_documents(index, 3, seed=1)


def test_a_pool_holds_the_relevant_and_is_all_that_is_returned(tmp_path: Path) -> None:
    encoder = read_prompt(PLAIN)
    encoders = build(encoder, tmp_path / "i", None)
    with Index.open(tmp_path / "i") as index:
        inner = objective_of(index, encoders, encoder, depth=40)
        pool = pool_documents(inner, encoder.prompt, seed=0)
        assert "d1" in pool.ids and len(pool.ids) == 40  # what is not near is drawn: all of it
        some = PooledDocuments(frozenset({"d1", "d2", "d3"}), False, 512)
        run = PooledObjective(inner, some).run(encoder.prompt, list(queries(4)))
        assert all(set(scores) == some.ids for scores in run.values())


def test_prompts_that_read_documents_otherwise_share_no_vectors(tmp_path: Path) -> None:
    """The key left out the filter, contrast, text rules and all wordings but the first."""
    plain = f"{PLAIN}[sparse]\nenabled = false\n"
    two = "[[document]]\ntemplate = '{text}:'\n[[document]]\ntemplate = 'It says {text}:'\n"
    texts = {
        "filter": f"{plain}[filter]\nskip = 2\ndim = 64\n",
        "contrast": f"{plain}[contrast]\ntemplate = 'The word of {{text}} is:'\nblock = 1\n",
        "text rules": plain.replace('name = "plain"', 'name = "plain"\ntext_rules = "sts"'),
        "further wordings": plain.replace("[document]\ntemplate = 'Passage: {text} Word: '\n", two),
    }
    encoder = read_prompt(plain)
    encoders: dict[str, Encoder] = {"dense": encoder}
    build_index(documents(40), encoders, tmp_path / "i")
    with Index.open(tmp_path / "i") as index:
        some = PooledDocuments(frozenset({"d1", "d2"}), False, 64)
        objective = PooledObjective(objective_of(index, encoders, encoder), some)
        prompts = {name: parse_prompt(text) for name, text in texts.items()}
        first = prompts["further wordings"]
        variant = first.forms[0]
        prompts["first wording"] = replace(
            first, forms=(replace(variant, document=variant.document[:1]),)
        )
        prompts["plain"] = encoder.prompt
        keys = {name: objective.preparation(prompt)[0] for name, prompt in prompts.items()}
        assert len(set(keys.values())) == len(keys)
        wording = encoder.prompt.forms[0]
        query = replace(encoder.prompt, forms=(replace(wording, query=wording.document),))
        assert objective.preparation(query)[0] == keys["plain"]  # documents are read alike
        for prompt in prompts.values():
            np.testing.assert_array_equal(
                objective([prompt], list(queries(4))),
                PooledObjective(objective.inner, some)([prompt], list(queries(4))),
            )
