"""Outputs of the original authors' programs on tiny models (format: README.md of that folder)."""

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from embedder.backbone import Backbone
from embedder.llm import LLMEncoder
from embedder.loading import LLMOptions, load_backbone
from embedder.prompt import Form, Prompt, Reading, SparseRules, Template
from embedder.terms import content_words, stop_words
from embedder.types import Role

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(os.environ.get("LASTWORD_GOLDEN", ROOT.parent / "shared" / "golden"))
UNIT = 2e-5
SIDES = {"docs": Role.DOCUMENT, "queries": Role.QUERY}

pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason=f"no golden data at {GOLDEN}; set LASTWORD_GOLDEN"
)


def cases(method: str) -> list[Any]:
    folders = sorted((GOLDEN / "cases" / method).glob("*/input.json"))
    return [pytest.param(path.parent, id=f"{method}/{path.parent.name}") for path in folders]


@pytest.fixture(autouse=True)
def punkt(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(GOLDEN / "nltk_data"), *nltk.data.path])


@cache
def backbone(model: str) -> tuple[Backbone, LLMOptions]:
    return load_backbone(GOLDEN / model, LLMOptions(dtype="float32", device="cpu"))


def read(case: Path, name: str = "input.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((case / name).read_text())
    return found


def encoder(settings: dict[str, Any], mode: str = "first-token", expansion: int = 0) -> LLMEncoder:
    given = settings["prompts"]
    query, document = (
        Template(given[f"{side}_prefix"] + "{text}" + given[f"{side}_suffix"])
        for side in ("query", "passage")
    )
    rules = SparseRules(words="nltk", scale=100, expansion=expansion)
    steps = settings.get("num_pooled_tokens") or 10
    reading = Reading(mode=mode, generated_tokens=steps, sparse=rules)  # type: ignore[arg-type]
    prompt = Prompt("golden", (Form("golden", query, document),), reading)
    model, options = backbone(settings["model"])
    return LLMEncoder(model, prompt, options)


def texts(settings: dict[str, Any], side: str) -> dict[str, str]:
    lines = (GOLDEN / settings[side]).read_text().splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    if side == "docs":
        return {row["docid"]: f"{row['title']} {row['text']}".strip() for row in rows}
    return {row["query_id"]: row["query"].strip() for row in rows}


def fed(using: LLMEncoder, text: str, role: Role) -> list[int]:
    return [*using.frames[role].prefix, *using.fed(text, role)]


def named(using: LLMEncoder, row: csr_matrix) -> dict[str, int]:
    assert using.table is not None
    return {
        using.table.name(int(column)): int(weight)
        for column, weight in zip(row.indices, row.data, strict=True)
    }


def agree(got: dict[str, int], want: dict[str, int], exact: dict[str, float]) -> None:
    """Equal, but for +-1 where the unrounded weight lies on a rounding edge (README tolerance)."""
    for term in got.keys() | positive(want).keys():
        mine, theirs = got.get(term, 0), want.get(term, 0)
        edge = abs(100 * exact.get(term, 0.0) - (mine + theirs) / 2) <= 100 * UNIT
        assert mine == theirs or (abs(mine - theirs) == 1 and edge), (term, mine, theirs)


def exact_weights(using: LLMEncoder, given: list[str], role: Role) -> list[dict[str, float]]:
    reading = using.prompt.reading
    assert using.table is not None and reading.sparse is not None
    unscaled = replace(reading, sparse=replace(reading.sparse, scale=0))
    same = LLMEncoder(using.backbone, replace(using.prompt, reading=unscaled), using.options)
    rows = same.encode(given, role).sparse
    assert rows is not None
    return [
        {using.table.name(int(c)): float(w) for c, w in zip(row.indices, row.data, strict=True)}
        for row in rows
    ]


def positive(terms: dict[str, int]) -> dict[str, int]:
    return {term: weight for term, weight in terms.items() if weight}


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
    from embedder.backbone import Wanted
    from embedder.sparsify import term_weights

    settings, arrays = read(case), np.load(case / "expected.npz")
    plain, role = encoder(settings), SIDES[side]
    window = plain._prepare(list(texts(settings, side).values())[:6], role)
    step = plain.backbone.read(plain.frames[role].prefix, window.rows, Wanted())
    assert step.logits is not None
    got = term_weights(step.logits).numpy()
    assert np.abs(got - arrays[f"{side}_w_first6"]).max() <= UNIT


@pytest.mark.parametrize("case", cases("promptreps_multi"))
@pytest.mark.parametrize("side", SIDES)
def test_generated_representations(case: Path, side: str) -> None:
    from embedder.generate import say

    settings, expected = read(case), read(case, "expected.json")[side]
    arrays = np.load(case / "expected.npz")
    using = encoder(settings, settings["mode"])
    role, given = SIDES[side], texts(settings, side)
    got = using.encode(list(given.values()), role)
    assert got.dense is not None and got.sparse is not None
    exact = exact_weights(using, list(given.values()), role)
    window = using._prepare(list(given.values()), role)
    prefix, limit = using.frames[role].prefix, settings["num_pooled_tokens"]
    said = [say(using.backbone, prefix, [row], limit)[0] for row in window.rows]
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
    )
    rules = SparseRules(words="nltk", scale=100)
    prompt = Prompt("snippet", (Form("chat", turn, turn, "chat"),), Reading(sparse=rules))
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
