"""Proposers that see gradients find what was planted, and what they save is what is used."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedder.encoders.adapted import AdaptedEncoder, encoder_of
from embedder.encoders.llm import LLMEncoder
from embedder.models.loading import LLMOptions
from embedder.prompts.files import format_prompt, load_prompt
from embedder.prompts.prompt import Prompt
from embedder.prompts.query_adapter import QueryAdapter
from embedder.prompts.template import Template
from embedder.types import Role
from tests.planted import PlantedObjective, plain_prompt
from tuning.proposers import grad, soft
from tuning.proposers.gradients import GradientModel
from tuning.proposers.soft_vectors import SoftOptions
from tuning.proposers.vocabulary import Vocabulary
from tuning.search.budget import Budget, Cost
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.result import CHANGE
from tuning.search.types import MakeProposer, ProposerContext, Rules, TuningTask

FORMS = ("direct", "residual", "low_rank", "mixture")


def makers(
    objective: PlantedObjective, folder: Path, form: str = "direct"
) -> dict[str, MakeProposer]:
    gradients = GradientModel(
        LLMEncoder(objective.backbone, plain_prompt(), LLMOptions()), objective
    )
    words = Vocabulary.of(objective.backbone)
    options = SoftOptions(form=form, epochs=20, rate=0.2)  # type: ignore[arg-type]
    return {
        "grad": partial(grad.Gradient, gradients=gradients, vocabulary=words),
        "soft": partial(
            soft.Soft, gradients=gradients, vocabulary=words, folder=folder, options=options
        ),
    }


def share(objective: PlantedObjective, prompt: Prompt) -> float:
    prompts = [objective.space.default, prompt, objective.best()]
    default, score, best = objective(prompts, list(objective.texts)).mean(axis=1).tolist()
    return float((score - default) / (best - default))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", ["grad", "soft"])
def test_what_was_planted_is_found(name: str, seed: int, tmp_path: Path) -> None:
    objective = PlantedObjective(seed)
    proposers = {name: makers(objective, tmp_path)[name]}
    task = TuningTask(
        objective,
        objective.relevant,
        objective.space,
        objective.pool(),
        proposers,
        Rules(seed=seed),
    )
    outcome = tune(task, Budget(tokens=100_000), Journal(None, {}))
    assert outcome.verdict == CHANGE
    assert share(objective, outcome.prompt) >= 0.9
    assert outcome.spent.tokens <= 100_000


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_soft_prompt_learns(form: str, tmp_path: Path) -> None:
    objective = PlantedObjective(0)
    proposers = {"soft": makers(objective, tmp_path, form)["soft"]}
    task = TuningTask(
        objective, objective.relevant, objective.space, objective.pool(), proposers, Rules()
    )
    outcome = tune(task, Budget(tokens=100_000), Journal(None, {}))
    assert outcome.verdict == CHANGE and share(objective, outcome.prompt) > 0.5


def test_a_killed_training_gives_the_same_bytes(tmp_path: Path) -> None:
    def run(folder: Path) -> tuple[str, bytes]:
        objective = PlantedObjective(1)
        proposers = {"soft": makers(objective, folder)["soft"]}
        task = TuningTask(
            objective, objective.relevant, objective.space, objective.pool(), proposers, Rules()
        )
        path = folder / "journal.jsonl"
        with Journal(path, {}) as journal:
            outcome = tune(task, Budget(tokens=100_000), journal)
        journal_bytes = path.read_bytes().replace(str(folder).encode(), b"")
        return outcome.prompt.hash, re.sub(
            rb'"crc32": \d+', b"", journal_bytes
        )  # of the folder too

    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    whole = run(first)
    assert run(first) == whole == run(second)


def adapted(tmp_path: Path, adaptation: QueryAdapter) -> AdaptedEncoder:
    objective = PlantedObjective(0, queries=8)
    prompt = replace(plain_prompt(), adapt=adaptation.save(tmp_path))
    encoder = encoder_of(objective.backbone, prompt, LLMOptions())
    assert isinstance(encoder, AdaptedEncoder)
    return encoder


def test_soft_tokens_that_are_words_equal_words(tmp_path: Path) -> None:
    """The embeddings of two words, as soft tokens, give the rows of the words themselves."""
    objective = PlantedObjective(0, queries=8)
    table = objective.backbone.model.get_input_embeddings().weight.detach().numpy()
    ids = objective.backbone.tokenizer("amber kelp", add_special_tokens=False).input_ids
    encoder = adapted(tmp_path, QueryAdapter(soft=table[ids][None].copy()))
    texts = list(objective.texts.values())
    worded = LLMEncoder(objective.backbone, plain_prompt("amber kelp "), LLMOptions())
    vectors, expected = (
        encoder.encode(texts, Role.QUERY).dense,
        worded.encode(texts, Role.QUERY).dense,
    )
    assert vectors is not None and expected is not None
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    documents = encoder.encode(texts, Role.DOCUMENT).dense
    np.testing.assert_array_equal(documents, encoder.inner.encode(texts, Role.DOCUMENT).dense)


def test_soft_tokens_after_the_text_that_are_words_equal_words(tmp_path: Path) -> None:
    """Queries of unlike length in one batch: each has them where its own text ends."""
    objective = PlantedObjective(0, queries=8)
    table = objective.backbone.model.get_input_embeddings().weight.detach().numpy()
    ids = objective.backbone.tokenizer("amber kelp", add_special_tokens=False).input_ids
    encoder = adapted(tmp_path, QueryAdapter(after=table[ids][None].copy()))
    texts = ["onyx", "reef sable umber", "kelp kelp"]
    form = replace(plain_prompt().forms[0], query=(Template("{text} amber kelp :"),))
    worded = replace(plain_prompt(), forms=(form,))
    expected = LLMEncoder(objective.backbone, worded, LLMOptions()).encode(texts, Role.QUERY).dense
    vectors = encoder.encode(texts, Role.QUERY).dense
    assert vectors is not None and expected is not None
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    with pytest.raises(ValueError, match="expected soft or after"):
        QueryAdapter(soft=table[ids][None].copy(), after=table[ids][None].copy())


def context_of(objective: PlantedObjective, answers: dict[str, frozenset[str]]) -> ProposerContext:
    def once(kind: str, key: Any, cost: Cost, work: Any) -> Any:  # noqa: ANN401
        return work()

    def absent(prompt: Prompt, query_ids: Sequence[str]) -> Any:  # noqa: ANN401
        raise AssertionError("scores are told")

    ids = tuple(objective.texts)
    return ProposerContext(objective.space, 0, ids, once, absent, absent, answers)


@pytest.mark.parametrize("name", ["grad", "soft"])
def test_nothing_is_learned_from_answers_that_others_share(name: str, tmp_path: Path) -> None:
    objective = PlantedObjective(0, queries=24)
    proposer = makers(objective, tmp_path)[name](context_of(objective, {}))
    assert proposer.ask(4) == []
    assert "outside shares; got 0" in proposer.remarks[0]  # type: ignore[attr-defined]


def test_training_ends_where_held_out_queries_are_served_no_better(tmp_path: Path) -> None:
    """Answers drawn at random teach nothing: no epoch is proposed, and the report says so."""
    objective = PlantedObjective(0, queries=24)
    objective.vectors = objective.vectors[np.random.default_rng(0).permutation(168)]
    proposer = makers(objective, tmp_path)["soft"](context_of(objective, objective.relevant))
    assert proposer.ask(4) == []
    assert "no epoch served" in proposer.remarks[0]  # type: ignore[attr-defined]


def test_words_that_are_cut_otherwise_are_not_proposed(tmp_path: Path) -> None:
    """Prompts are deployed as text: what its text is not cut into again is no candidate."""
    objective = PlantedObjective(0, queries=24)
    gradients = GradientModel(
        LLMEncoder(objective.backbone, plain_prompt(), LLMOptions()), objective
    )
    known = Vocabulary.of(objective.backbone)
    strange = Vocabulary((*known.words[:5], *(f"{word}x" for word in known.words[5:])), known.rows)
    proposer = grad.Gradient(context_of(objective, objective.relevant), gradients, strange)
    proposals = proposer.ask(4)
    words = {proposal.prompt.forms[0].query[0].text.split()[0] for proposal in proposals}
    assert words and words <= set(known.words[:5])


def test_a_batch_of_one_equals_a_batch_of_many(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    adapter = QueryAdapter(
        soft=rng.standard_normal((2, 3, 68)).astype(np.float32),
        router=rng.standard_normal((68, 2)).astype(np.float32),
    )
    encoder = adapted(tmp_path, adapter)
    texts = ["amber", "kelp onyx reef", "sable tundra umber violet willow", ""]
    batch = encoder.encode(texts, Role.QUERY).dense
    ones = [encoder.encode([text], Role.QUERY).dense for text in texts]
    assert batch is not None
    np.testing.assert_allclose(batch, np.concatenate(ones), atol=1e-5)  # type: ignore[arg-type]


def test_a_map_of_rows_is_applied_to_queries_only(tmp_path: Path) -> None:
    matrix = np.eye(68, dtype=np.float32)[::-1].copy()
    offset = np.full(68, 0.01, np.float32)
    encoder = adapted(tmp_path, QueryAdapter(matrix=matrix, offset=offset))
    plain = encoder.inner.encode(["amber kelp"], Role.QUERY).dense
    assert plain is not None
    moved = plain[0][::-1] + 0.01
    expected = moved / np.linalg.norm(moved)
    vectors = encoder.encode(["amber kelp"], Role.QUERY).dense
    assert vectors is not None
    np.testing.assert_allclose(vectors[0], expected, atol=1e-6)


def test_other_numbers_than_the_prompt_names_are_refused(tmp_path: Path) -> None:
    named = QueryAdapter(offset=np.ones(4, np.float32)).save(tmp_path)
    path = named.rpartition("#")[0]
    with pytest.raises(ValueError, match="holds other numbers"):
        QueryAdapter.load(f"{path}#0123456789abcdef")
    with pytest.raises(ValueError, match="no such file"):
        QueryAdapter.load(f"{tmp_path / 'absent'}#00")
    Path(path).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="is no adaptation"):
        QueryAdapter.load(named)


def test_the_fingerprint_differs_on_the_query_side_only(tmp_path: Path) -> None:
    from embedder.types import fingerprint_differences

    encoder = adapted(tmp_path, QueryAdapter(offset=np.ones(68, np.float32)))
    lines = fingerprint_differences(encoder.inner.fingerprint, encoder.fingerprint)
    assert lines and all(line.startswith("query_") for line in lines)


def test_a_prompt_file_finds_what_lies_beside_it(tmp_path: Path) -> None:
    adapter = QueryAdapter(offset=np.ones(4, np.float32))
    reference = adapter.save(tmp_path)
    prompt = replace(plain_prompt(), adapt=Path(reference).name)
    (tmp_path / "tuned.toml").write_text(format_prompt(prompt))
    loaded = load_prompt(tmp_path / "tuned.toml")
    assert QueryAdapter.load(loaded.adapt).digest == adapter.digest
    assert loaded.hash == prompt.hash != plain_prompt().hash
