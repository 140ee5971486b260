"""Read the golden folder (format: its README.md) and make the encoders that it asks for."""

import atexit
import json
import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix

from embedder.encoders.llm import LLMEncoder
from embedder.models.backbone import Backbone
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules, SparseRules
from embedder.prompts.template import PromptVariant, Template
from embedder.text import sts_rules as text_rules
from embedder.types import Role
from tests.folders import GOLDENS

UNIT = 2e-5
WHOLE_SET_ONLY = {
    *("cp", "echo", "metaeol", "pretcot_ke"),
    *("promptreps_multi", "promptreps_readme_snippet"),
}
SIDES = {"docs": Role.DOCUMENT, "queries": Role.QUERY}


def cases(method: str) -> list[Any]:
    """List the folders of a method's cases; those of the repository are never skipped."""
    folders = [
        path.parent
        for golden in GOLDENS
        for path in sorted((golden / "cases" / method).glob("*/input.json"))
    ]
    if method in WHOLE_SET_ONLY and len(GOLDENS) == 1:
        skip = pytest.mark.skip(reason=f"{method} is in the whole set only; set LASTWORD_GOLDEN")
        return [pytest.param(None, id=method, marks=skip)]
    assert folders, f"no case of {method} in {GOLDENS}: run the tests in a clone of the repository"
    return [
        pytest.param(path, id=f"{method}/{path.name}/{number}")
        for number, path in enumerate(folders)
    ]


@cache
def model_folder(model: Path) -> Path:
    """Return the folder of a model, put together again where its weights lie as planes of bytes.

    Planes of the four bytes of a float32 are smaller when compressed, and lose nothing.
    """
    if not (model / "weights.npz").is_file():
        return model
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with np.load(model / "weights.npz") as file:
        planes = {name: np.moveaxis(file[name], 0, -1) for name in file.files}
    weights = {name: np.ascontiguousarray(p).view("<f4")[..., 0] for name, p in planes.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for path in model.glob("*.json"):
        shutil.copyfile(path, folder / path.name)
    return folder


@cache
def backbone(model: Path) -> tuple[Backbone, LLMOptions]:
    return load_backbone(model_folder(model), LLMOptions(dtype="float32", device="cpu"))


def read(case: Path, name: str = "input.json") -> dict[str, Any]:
    """Read a file of a case; what it names by a path lies in the case's own golden folder."""
    content: dict[str, Any] = json.loads((case / name).read_text(encoding="utf-8"))
    for key in ("model", "docs", "queries") if name == "input.json" else ():
        if key in content:
            content[key] = case.parents[2] / content[key]
    return content


def encoder(settings: dict[str, Any], mode: str = "first-token", expansion: int = 0) -> LLMEncoder:
    given = settings["prompts"]
    query, document = (
        Template(given[f"{side}_prefix"] + "{text}" + given[f"{side}_suffix"])
        for side in ("query", "passage")
    )
    rules = SparseRules(words="nltk", scale=100, expansion=expansion)
    steps = settings.get("num_pooled_tokens") or 10
    reading = ReadoutRules(mode=mode, generated_tokens=steps, sparse=rules)  # type: ignore[arg-type]
    # Their program adds no special token: the prompt files spell what they want.
    form = PromptVariant("golden", (query,), (document,))
    prompt = Prompt("golden", (form,), reading, specials="none")
    model, options = backbone(settings["model"])
    most = settings.get("max_text_tokens", options.max_text_tokens)
    return LLMEncoder(model, prompt, replace(options, max_text_tokens=most))


def texts(settings: dict[str, Any], side: str) -> dict[str, str]:
    lines = settings[side].read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    if side == "docs":
        return {row["docid"]: f"{row['title']} {row['text']}".strip() for row in rows}
    return {row["query_id"]: row["query"].strip() for row in rows}


def fed(using: LLMEncoder, text: str, role: Role) -> list[int]:
    return using.fed(text, role).wordings[0].ids


def strings(using: LLMEncoder, text: str, role: Role, placeholder: str) -> list[str]:
    """The strings that a text becomes before they are cut into tokens, one for each wording."""
    ruled = text_rules.sts(text) if using.prompt.text_rules == "sts" else text
    return [
        "".join(run.text or placeholder for run in frame._fill(ruled)[0])
        for frame in using.reader.frames[role]
    ]


def echo_template(template: str, prompt: str | None, eos: str) -> Template:
    """Turn a template of Echo's own program into one of ours.

    There a piece stands in braces or between them, is cut into tokens alone, and is read if it
    stands in braces and does not begin with "!".
    """
    pieces = []
    for at, piece in enumerate(re.split(r"\{((?:.|\n)+?)\}", template)):
        if at % 2 and piece in ("%%text%%", "!%%text%%"):
            pieces.append("{text}")
        elif at % 2 and piece == eos:
            pieces.append("{eos}")
        elif piece:
            worded = piece.removeprefix("!") if at % 2 else piece
            pieces.append("{|}" + worded.replace("%%prompt%%", prompt or "") + "{|}")
    return Template("".join(pieces))


def cut_wording(using: LLMEncoder, limit: int) -> LLMEncoder:
    """Cut the pieces of the wording as well, as Echo's own program does; ours cuts texts only."""
    for frames in using.reader.frames.values():
        for frame in frames:
            frame._literals = [ids[:limit] for ids in frame._literals]
            frame.prefix = frame._find_prefix()
    return using


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
