"""[post] in the study: applied as apart, with a query mean for each wording."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from embedder.encoders.llm import LLMEncoder
from embedder.models.loading import load_backbone
from embedder.prompts.method_rules import PostRules
from eval.matrix.run import WORK, run_matrix
from eval.measures.measures import evaluate
from eval.tasks.retrieval import JudgeOptions, judge
from eval.tasks.sts import judge as judge_pairs
from index.folder import Index
from retrieval.retriever import Retriever
from tests.eval.matrix.test_matrix import (
    OPTIONS,
    PROMPTS,
    asked,
    assert_equal_values,
    collection,
    pairs,
)
from tests.models import save_llama


def test_rows_are_post_processed_and_each_query_wording_has_its_own_mean(
    tmp_path: Path,
) -> None:
    """Encoders that share their work hid the prompt, so that [post] was passed over."""
    one = {"one": str(save_llama(tmp_path / "model"))}
    small = collection(tmp_path / "data" / "small")
    word, means = PROMPTS["word"], PROMPTS["means"]
    assert word is not None and means is not None
    prompts = {name: replace(each, post=PostRules()) for name, each in
               (("word", word), ("means", means))}  # fmt: skip
    told: list[tuple[int, list[int]]] = []

    @contextmanager
    def watch(label: str, total: int) -> Iterator[Callable[[int], None]]:
        told.append((total, []))
        yield told[-1][1].append

    matrix = run_matrix(asked(one, prompts=prompts), [small, pairs()], tmp_path / "both", watch)
    # Pseudo-queries were counted with the texts: 4,986 of 4,608.
    assert [total for total, _ in told] == [max(counts) for _, counts in told]
    backbone, options = load_backbone(one["one"], OPTIONS)
    for name, rules in prompts.items():
        encoder = LLMEncoder(backbone, rules.reading_only(dense=True, sparse=False), options)
        index = tmp_path / f"{name}.index"
        apart = judge(small, {"dense": encoder}, index, JudgeOptions(latencies=0))
        assert_equal_values(matrix.column("small", "one")[name], apart)
        [apart] = judge_pairs([pairs()], encoder)
        assert_equal_values(matrix.column("pairs", "one")[name], apart)
    queries_only = asked(one, prompts=prompts, side="query", base="means")
    side = run_matrix(queries_only, [small], tmp_path / "side").column("small", "one")
    [place] = (tmp_path / "side" / WORK / "indexes").glob("*.index")
    forms = (replace(means.forms[0], query=word.forms[0].query),)
    mixed = replace(prompts["means"], forms=forms).reading_only(dense=True, sparse=False)
    with Index.open(place) as opened:
        retriever = Retriever(
            opened, {"dense": LLMEncoder(backbone, mixed, options)}, any_query_prompt=True
        )
        run = retriever.search(small.queries(), 1000)
    values = evaluate(run, small.qrels(), ["nDCG@10"])["nDCG@10"]
    assert side["word"].values["dense"]["nDCG@10"] == pytest.approx(values, abs=1e-4)
