"""Read the golden folder (format: its README.md) and make the encoders that it asks for."""

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from scipy.sparse import csr_matrix

from embedder.backbone import Backbone
from embedder.llm import LLMEncoder
from embedder.loading import LLMOptions, load_backbone
from embedder.prompt import Prompt
from embedder.reading import Reading, SparseRules
from embedder.template import Form, Template
from embedder.types import Role

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(os.environ.get("LASTWORD_GOLDEN", ROOT.parent / "shared" / "golden"))
UNIT = 2e-5
SIDES = {"docs": Role.DOCUMENT, "queries": Role.QUERY}


def cases(method: str) -> list[Any]:
    folders = sorted((GOLDEN / "cases" / method).glob("*/input.json"))
    return [pytest.param(path.parent, id=f"{method}/{path.parent.name}") for path in folders]


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
    # Their program adds no special token: the prompt files spell what they want.
    form = Form("golden", (query,), (document,))
    prompt = Prompt("golden", (form,), reading, specials="none")
    model, options = backbone(settings["model"])
    return LLMEncoder(model, prompt, options)


def texts(settings: dict[str, Any], side: str) -> dict[str, str]:
    lines = (GOLDEN / settings[side]).read_text().splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    if side == "docs":
        return {row["docid"]: f"{row['title']} {row['text']}".strip() for row in rows}
    return {row["query_id"]: row["query"].strip() for row in rows}


def fed(using: LLMEncoder, text: str, role: Role) -> list[int]:
    return using.fed(text, role).rows[0].ids


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
