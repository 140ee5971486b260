"""Outputs of the original authors' programs on tiny models (format: README.md of that folder)."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder.encoders.llm import LLMEncoder
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules, SparseRules
from embedder.prompts.template import PromptVariant, Template
from embedder.text.stop_words import content_words, stop_words
from embedder.types import Representation, Role
from index.channels.inversion import build_inverted
from index.channels.inverted import InvertedChannel
from index.channels.postings_files import open_inverted
from index.channels.weighting import Weighting, statistics
from index.topk import select
from retrieval.fusion import promptreps
from retrieval.run import Run, cut, drop_self, read_trec, to_run
from tests.exact import ExactIndex
from tests.folders import GOLDENS
from tests.golden import (
    SIDES,
    UNIT,
    agree,
    backbone,
    cases,
    encoder,
    exact_weights,
    fed,
    named,
    positive,
    read,
    texts,
)


@pytest.fixture(autouse=True)
def punkt(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(GOLDENS[-1] / "nltk_data"), *nltk.data.path])


@pytest.mark.parametrize("case", cases("promptreps"))
@pytest.mark.parametrize("side", SIDES)
def test_first_token_single(case: Path, side: str) -> None:
    settings, expected = read(case), read(case, "expected.json")[side]
    arrays = np.load(case / "expected.npz")
    plain, expanding = encoder(settings), encoder(settings, expansion=20)
    role, given = SIDES[side], texts(settings, side)
    assert list(given) == arrays[f"{side}_ids"].tolist()
    got = plain.encode(list(given.values()), role)
    wide = expanding.encode(list(given.values()), role)
    assert got.dense is not None and got.sparse is not None and wide.sparse is not None
    assert np.abs(got.dense - arrays[side]).max() <= UNIT
    exact = exact_weights(expanding, list(given.values()), role)
    for position, (name, text) in enumerate(given.items()):
        want = expected[name]
        assert text == want["text"]
        assert fed(plain, text, role) == want["input_ids"], name
        assert content_words(text, "nltk", stop_words("english")) == want["words"], name
        agree(named(plain, got.sparse[position]), want["sparse_exp0"], exact[position])
        agree(named(plain, wide.sparse[position]), want["sparse_exp20"], exact[position])
    assert plain.counts["without_words"] >= sum(want["fallback"] for want in expected.values())


@pytest.mark.parametrize("case", cases("promptreps"))
@pytest.mark.parametrize("side", SIDES)
def test_log_saturated_logits(case: Path, side: str) -> None:
    from embedder.models.request import ReadRequest
    from embedder.models.sparse import term_weights

    settings, arrays = read(case), np.load(case / "expected.npz")
    plain, role = encoder(settings), SIDES[side]
    window = plain.prepare(list(texts(settings, side).values())[:6], role)
    rows = [fed.wordings[0].ids for fed in window]
    step = plain.backbone.read((), rows, ReadRequest())
    assert step.logits is not None
    got = term_weights(step.logits).numpy()
    assert np.abs(got - arrays[f"{side}_w_first6"]).max() <= UNIT


@pytest.mark.parametrize("case", cases("promptreps_multi"))
@pytest.mark.parametrize("side", SIDES)
def test_generated_representations(case: Path, side: str) -> None:
    from embedder.models.greedy import greedy_answers

    settings, expected = read(case), read(case, "expected.json")[side]
    arrays = np.load(case / "expected.npz")
    using = encoder(settings, settings["mode"])
    role, given = SIDES[side], texts(settings, side)
    got = using.encode(list(given.values()), role)
    assert got.dense is not None and got.sparse is not None
    exact = exact_weights(using, list(given.values()), role)
    window = using.prepare(list(given.values()), role)
    limit = settings["num_pooled_tokens"]
    said = [greedy_answers(using.backbone, (), [one.wordings[0].ids], limit)[0] for one in window]
    start = 0
    for position, (name, count) in enumerate(zip(given, arrays[f"{side}_count"], strict=True)):
        want, mine = expected[name], np.flatnonzero(got.owner == position)
        assert fed(using, given[name], role) == want["input_ids"], name
        assert list(said[position].tokens) == want["generated"], name
        assert said[position].stopped == want["stopped"], name
        if count == 0:  # the reference drops such a text; here its first position stands for it
            assert len(mine) == 1, name
            continue
        assert len(mine) == count, name
        rows = arrays[side][start : start + count]
        if settings["mode"] == "multi-word-multi":  # means of unit states; ours are unit again
            rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        assert np.abs(got.dense[mine] - rows).max() <= UNIT, name
        for row, terms in zip(mine.tolist(), want["reps"], strict=True):
            agree(named(using, got.sparse[row]), terms, exact[row])
        start += count


@pytest.mark.parametrize("case", cases("promptreps_readme_snippet"))
def test_chat_template_with_open_answer(case: Path) -> None:
    settings = read(case)
    turn = Template(
        settings["user"].replace("{passage}", "{text}"),
        settings["system"],
        settings["assistant"],
        chat=True,
        tokens="whole",
    )
    rules = SparseRules(words="nltk", scale=100)
    form = PromptVariant("chat", (turn,), (turn,), "chat")
    prompt = Prompt("snippet", (form,), ReadoutRules(sparse=rules), specials="none")
    model, options = backbone(settings["model"])
    using = LLMEncoder(model, prompt, options)
    arrays = np.load(case / "expected.npz")
    for position, row in enumerate(read(case, "expected.json")["rows"]):
        got = using.encode([row["passage"]], Role.DOCUMENT)
        assert got.dense is not None and got.sparse is not None
        assert fed(using, row["passage"], Role.DOCUMENT) == row["input_ids"]
        raw = arrays["dense"][position]
        assert np.abs(got.dense[0] - raw / np.linalg.norm(raw)).max() <= UNIT
        decoded = {
            model.tokenizer.decode([int(column)]): int(weight)
            for column, weight in zip(got.sparse[0].indices, got.sparse[0].data, strict=True)
        }
        assert decoded == positive(row["sparse_decoded"])


@pytest.mark.parametrize("case", cases("promptreps_search"))
def test_search_and_hybrid_runs(case: Path) -> None:
    settings = read(case)
    mode = case.name.split("-", 2)[2]
    using = encoder(settings, "first-token" if mode == "first-token-single" else mode)
    sides = []
    for side, role in SIDES.items():
        given = texts(settings, side)
        sides.append(Side(list(given), using.encode(list(given.values()), role)))
        if mode == "multi-word-multi":
            vectors = case.parents[1] / "promptreps_multi" / case.name / "expected.npz"
            sides[-1].lengths = np.linalg.norm(np.load(vectors)[side], axis=1)
    for wanted in settings["runs"]:
        search = several if mode.endswith("-multi") else once
        dense, sparse = (
            search(channel, sides[0], sides[1], wanted["depth"]) for channel in ("dense", "sparse")
        )
        runs = [drop_self(run) if wanted["remove_query"] else run for run in (dense, sparse)]
        # Minimum and maximum are taken before a query's own document goes; the reference's
        # multi-row search is another program, which drops it first.
        fused = runs if mode.endswith("-multi") else [dense, sparse]
        alpha = float(wanted["alpha"])
        hybrid = promptreps(fused, weights=[alpha, 1 - alpha])
        same_run(runs[0], read_trec(case / wanted["dense"]), exact=False)
        same_run(runs[1], read_trec(case / wanted["sparse"]), exact=True)
        hybrid = drop_self(hybrid) if wanted["remove_query"] else hybrid
        same_run(hybrid, read_trec(case / wanted["hybrid"]), exact=False)


@dataclass
class Side:
    """One side's ids and rows; `lengths` where the reference's rows are not of unit length."""

    ids: list[str]
    rows: Representation
    lengths: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        owner = self.rows.owner
        self.place = np.arange(len(owner)) - np.searchsorted(owner, owner)  # t-th row of its text

    def at(self, t: int) -> "Side":
        """Return the t-th row of every text that has one."""
        kept, rows = np.flatnonzero(self.place == t), self.rows
        assert rows.dense is not None and rows.sparse is not None
        part = Representation(rows.dense[kept], rows.sparse[kept], np.arange(len(kept)))
        lengths = None if self.lengths is None else self.lengths[kept]
        return Side([self.ids[i] for i in rows.owner[kept]], part, lengths)


def once(channel: str, docs: Side, queries: Side, depth: int) -> Run:
    """Search one row per query in one row per document."""
    assert docs.rows.dense is not None and queries.rows.dense is not None
    if channel == "sparse":
        assert docs.rows.sparse is not None
        with TemporaryDirectory() as folder:
            build_inverted(docs.rows.sparse, Path(folder))
            postings = open_inverted(Path(folder))
            rules = Weighting("impacts", drop_ubiquitous=True)  # as Lucene's impact search does
            counted = statistics([postings], [None])
            hits = InvertedChannel(postings, rules, counted).search(queries.rows, depth)
    elif docs.lengths is None or queries.lengths is None:
        hits = ExactIndex(docs.rows.dense).search(queries.rows, depth)
    else:
        scores = queries.rows.dense @ docs.rows.dense.T
        hits = select(scores * np.outer(queries.lengths, docs.lengths), depth)
    return to_run(hits, queries.ids, docs.ids)


def best_of(runs: list[Run]) -> Run:
    best: Run = {}
    for query, scores in chain.from_iterable(run.items() for run in runs):
        highest = best.setdefault(query, {})
        for document, score in scores.items():
            highest[document] = max(score, highest.get(document, 0.0))
    return best


def sum_of(runs: list[Run]) -> Run:
    total: Run = {}
    for query, scores in chain.from_iterable(run.items() for run in runs):
        sums = total.setdefault(query, {})
        for document, score in scores.items():
            sums[document] = sums.get(document, 0.0) + score
    return total


def several(channel: str, docs: Side, queries: Side, depth: int) -> Run:
    """Search every query row in every document row; the best row counts, query rows add up."""
    places = [range(int(side.place.max()) + 1) for side in (docs, queries)]
    by_query_row = [
        best_of([once(channel, docs.at(t), queries.at(u), depth) for t in places[0]])
        for u in places[1]
    ]
    return cut(sum_of(by_query_row), depth)


def same_run(got: Run, want: Run, exact: bool) -> None:
    got = {query: found for query, found in got.items() if found}
    assert got.keys() == want.keys()
    for query, found in want.items():
        assert got[query].keys() == found.keys(), query
        for document, score in found.items():
            near = 0.0 if exact else 1e-5 * max(1.0, abs(score))
            assert abs(got[query][document] - score) <= near, (query, document)
