"""Raw states of the original programs: PromptEOL's family, token prepending, contrast, echo."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from embedder.encoders.llm import LLMEncoder
from embedder.models.pooling import TokenPooling
from embedder.models.request import ForwardOutput, ReadRequest
from embedder.prompts.files import load_prompt, prompt_library
from embedder.prompts.method_rules import ContrastRules, PrependingRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template
from embedder.text import sts_rules as text_rules
from embedder.types import Role
from tests.folders import GOLDEN
from tests.golden import backbone, cases, cut_wording, echo_template, read, strings

RAW = 2e-5  # of the largest entry of a vector
FAMILY = {"prompteol": "prompteol", "cot": "pretended-cot", "ke": "knowledge", "metaeol": "metaeol"}
FAMILY |= {"PromptEOL": "prompteol", "Pretended_CoT": "pretended-cot"}
FAMILY |= {"Knowledge_Enhancement": "knowledge", "zero_shot": "prompteol"}


def using(settings: dict[str, Any], prompt: Prompt) -> LLMEncoder:
    model, options = backbone(settings["model"])
    return LLMEncoder(model, prompt, options)


def same_ids(encoder: LLMEncoder, sentences: list[str], want: list[list[int]]) -> None:
    got = [row.ids for text in sentences for row in encoder.fed(text, Role.QUERY).wordings]
    assert got == want


def same_strings(encoder: LLMEncoder, settings: dict[str, Any], want: list[str]) -> None:
    place = settings.get("pst_token", "")
    sentences = settings["sentences"]
    assert [s for text in sentences for s in strings(encoder, text, Role.QUERY, place)] == want


def same_states(got: NDArray[np.float32], want: NDArray[np.float32]) -> None:
    assert got.shape == want.shape
    largest = np.abs(want).max(axis=-1, keepdims=True).clip(min=1e-30)  # zeros are zeros
    assert (np.abs(got - want) / largest).max() <= RAW


def reads(name: str, layer: int, **rules: PrependingRules | ContrastRules | None) -> Prompt:
    """A library prompt, read at the layer of a case and nothing else."""
    plain = load_prompt(name)
    return replace(plain, reading=ReadoutRules(layer=layer, sparse=None), **rules)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", cases("prompteol"))
def test_prompteol_with_and_without_demonstration(case: Path) -> None:
    settings, expected = read(case), read(case, "expected.json")
    arrays = np.load(case / "expected.npz")
    for run in expected["runs"]:
        name = f"prompteol-shot-{run['key']}" if run["key"] != "zero_shot" else "prompteol"
        worded = run["template_argument"].replace("_", " ").replace("*sent 0*", "{text}")
        templates = (Template(worded, tokens="whole"),)
        prompt = replace(
            reads("prompteol", settings["output_layer"]),
            forms=(PromptVariant("case", templates, templates),),
        )
        if name in prompt_library():
            assert load_prompt(name).forms[0].query == templates
        encoder = using(settings, prompt)
        same_ids(encoder, settings["sentences"], expected["input_ids"][run["fed"]])
        same_states(encoder.states(settings["sentences"], Role.QUERY), arrays[run["key"]])


@pytest.mark.parametrize("case", [*cases("metaeol"), *cases("pretcot_ke")])
def test_other_wordings(case: Path) -> None:
    settings, expected = read(case), read(case, "expected.json")
    arrays = np.load(case / "expected.npz")
    for run in expected["runs"]:
        layer = run.get("output_layer", settings.get("output_layer"))
        encoder = using(settings, reads(FAMILY[run["key"]], layer))
        same_strings(encoder, settings, expected["fed"][run["fed"]])
        same_ids(encoder, settings["sentences"], expected["input_ids"][run["fed"]])
        same_states(encoder.states(settings["sentences"], Role.QUERY), arrays[run["key"]])


@pytest.mark.parametrize("case", cases("tp"))
def test_token_prepending(case: Path) -> None:
    settings, expected = read(case), read(case, "expected.json")
    arrays = np.load(case / "expected.npz")
    for run in expected["runs"]:
        plan = run["plan"]
        rule = PrependingRules(run["start"], run["exit"]) if plan == "tp" else None
        name = FAMILY[run["prompt"]] + ("-tp" if plan == "tp" else "")
        encoder = using(settings, reads(name, run["output_layer"], prepend=rule))
        encoder.backbone.placeholder_row = torch.from_numpy(arrays["pst_row"])
        assert encoder.reader.frames[Role.QUERY][0].placeholder == settings["pst_id"]
        same_strings(encoder, settings, expected["fed"][f"{run['prompt']}__{plan}"])
        ids = expected["input_ids"][f"{run['prompt']}__{plan}"]
        same_ids(encoder, settings["sentences"], ids)
        same_states(encoder.states(settings["sentences"], Role.QUERY), arrays[run["key"]])
        for where in ("pst", "last"):
            if f"{run['key']}__hidden_{where}" in arrays:
                want = arrays[f"{run['key']}__hidden_{where}"]
                same_states(trace(encoder, settings, where), want)


def trace(encoder: LLMEncoder, settings: dict[str, Any], where: str) -> NDArray[np.float32]:
    """The first three sentences' states at every layer, at the placeholder or the last token."""
    fed = [encoder.fed(text, Role.QUERY) for text in settings["sentences"][:3]]
    rows = [one.wordings[0] for one in fed]
    at = [r.ids.index(settings["pst_id"]) if where == "pst" else len(r.ids) - 1 for r in rows]
    take = TokenPooling(np.arange(len(rows)), np.array(at))
    changed = encoder.reader._interventions(encoder.reader.frames[Role.QUERY][0], rows, None)
    steps: list[ForwardOutput] = [
        encoder.backbone.read(
            (),
            [row.ids for row in rows],
            ReadRequest(layer, logits=False, pooling=take),
            interventions=changed,
        )
        for layer in range(len(encoder.backbone.layers) + 1)
    ]
    states = [step.hidden.numpy() for step in steps if step.hidden is not None]
    return np.stack(states, axis=1)


@pytest.mark.parametrize("case", cases("cp"))
def test_contrastive_prompting(case: Path) -> None:
    settings, expected = read(case), read(case, "expected.json")
    arrays = np.load(case / "expected.npz")
    worded = settings["aux_prompt"].replace("*sent 0*", "{text}")
    for run in expected["runs"]:
        rule = ContrastRules(
            Template(worded, tokens="whole"),
            run["act_layer"],
            1.0 if run["strategy"] == "norm" else run["coeff"],
            restore="norm" in run["strategy"],
        )
        name = "ck" if run["prompt"] == "ck" else FAMILY[run["prompt"]]
        encoder = using(settings, reads(name, run["output_layer"], contrast=rule))
        if run["fed"] in expected["input_ids"]:
            same_ids(encoder, settings["sentences"], expected["input_ids"][run["fed"]])
        same_states(encoder.states(settings["sentences"], Role.QUERY), arrays[run["key"]])


@pytest.mark.parametrize("case", cases("echo"))
def test_echo(case: Path) -> None:
    settings, expected = read(case), read(case, "expected.json")
    arrays = np.load(case / "expected.npz")
    for run in expected["runs"]:
        limit = run["max_length"]
        reading = ReadoutRules(span="copy", pool=run["pooling"], sparse=None)
        template = echo_template(run["template"], run["prompt"], settings["eos"])
        form = PromptVariant("echo", (template,), (template,))
        prompt = Prompt("echo", (form,), reading, specials="none")
        model, options = backbone(settings["model"])
        encoder = LLMEncoder(model, prompt, replace(options, max_text_tokens=limit))
        cut_wording(encoder, limit)
        key = run["key"].replace(f"__{run['pooling']}", "")
        same_ids(encoder, settings["sentences"], expected["input_ids"][key])
        same_states(encoder.states(settings["sentences"], Role.QUERY), arrays[run["key"]])


def test_sts_text_rules() -> None:
    rules: Any = read(GOLDEN / "cases" / "sts_text_rules", "expected.json")
    assert rules
    for row in rules:
        assert text_rules.sts(row["input"]) == row["output"]
        prompt = reads("prompteol", -1)
        encoder = using({"model": GOLDEN / "models" / "qwen2"}, prompt)
        frame = encoder.reader.frames[Role.QUERY][0]
        runs, _ = frame._fill(text_rules.sts(row["input"]))
        assert "".join(run.text for run in runs) == row["prompt"]
