"""Tune prompts of every kind of wording, from made queries to the changed index.

The default prompt of a chat model is a chat; the pool averages several of its wordings, which a
prompt file could once not hold, so that the command ended after minutes of work.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedder.encoders.llm import LLMEncoder
from embedder.prompts.files import format_prompt, load_prompt, parse_prompt
from embedder.prompts.template import Template
from embedder.types import Role
from eval.data.qrels import read_qrels
from eval.data.queries import read_queries
from index.folder import Index
from lastword.main import main
from retrieval.open import load_encoders
from tests.tuned import TOPICS
from tuning.objectives.judged_queries import JudgedQueries
from tuning.options import TuningOptions
from tuning.outcome import apply_prompt
from tuning.setup import TuningSetup, prepare_tuning

PLAIN = (
    "[query]\ntemplate = 'Query: {text} Word: '\n[document]\ntemplate = 'Passage: {text} Word: '\n"
)
WHOLE = "[both]\ntemplate = 'This sentence : \"{text}\" means in one word:\"'\ntokens = 'whole'\n"
FREE = ("--apply", "--free-query-prompt", "--quiet", "--json")
KINDS = ("chat", "plain", "whole")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, llama: Path) -> Path:
    """Make a collection of several sentences a document, and an index by each kind of prompt."""
    folder = tmp_path_factory.mktemp("kinds")
    rng = np.random.default_rng(0)
    documents = []
    for at in range(130):
        words = TOPICS[at % 5].split()
        some = (
            " ".join([*rng.permutation(words), f"number{at}", f"{one}{at}"]) for one in words[:2]
        )
        documents.append(
            {"_id": f"d{at}", "title": f"{words[at % 4]} number{at}", "text": "It was so. "}
        )
        documents[-1]["text"] += ". ".join(one.capitalize() for one in some) + "."
    (folder / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in documents))
    (folder / "plain.toml").write_text(f"name = 'plain'\n{PLAIN}")
    (folder / "whole.toml").write_text(f"name = 'whole'\n{WHOLE}")
    reads = ["--model", str(llama), "--max-text-tokens", "64"]
    for kind in KINDS:
        prompt = "promptreps" if kind == "chat" else str(folder / f"{kind}.toml")
        command = ["index", str(folder / "corpus.jsonl"), "-o", str(folder / kind), *reads]
        assert main([*command, "--prompt", prompt, "--quiet"]) == 0
    command = ["devset", str(folder / "chat"), "--out", str(folder / "dev")]
    assert main([*command, "--queries", "110", "--quiet"]) == 0
    return folder


def files(place: Path) -> list[str]:
    dev = place / "dev"
    return ["--queries", str(dev / "queries.jsonl"), "--qrels", str(dev / "qrels" / "devset.tsv")]


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_command_runs(
    place: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["tune", str(place / kind), *files(place), "--budget", "200k-tokens"]
    command += ["--proposer", "evolve,prune", "--channels", "dense", "--out", str(tmp_path / "run")]
    assert main([*command, *FREE]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["queries"]["confirm"] > 0
    hows = {one["how"]: one["decision"] for one in outcome["proposals"]}
    assert hows["mean of 4 wordings"] != "the budget ended"
    assert not any(decision.startswith("cannot be used") for decision in hows.values())
    assert load_prompt(tmp_path / "run" / "tuned.toml").forms
    assert "mean of 4 wordings" in (tmp_path / "run" / "journal.jsonl").read_text()


def setup_of(place: Path, kind: str, tmp_path: Path) -> TuningSetup:
    dev = place / "dev"
    qrels = read_qrels(dev / "qrels" / "devset.tsv")
    data = JudgedQueries.of(read_queries(dev / "queries.jsonl"), qrels)
    with Index.open(place / kind) as index:
        encoders = load_encoders(index)
        return prepare_tuning(index, encoders, data, TuningOptions(), tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mean_of_wordings_is_written_into_an_index(
    place: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = setup_of(place, kind, tmp_path)
    mean = next(one for one in setup.task.first_prompts if one.how.startswith("mean of"))
    assert len(mean.prompt.forms[0].query) == 4
    apply_prompt(place / kind, setup, mean.prompt, free=True)
    capsys.readouterr()
    assert main(["search", str(place / kind), "volcano lava number0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"]
    with Index.open(place / kind) as index:
        stored = parse_prompt(json.loads(index.channels["dense"].recipe)["prompt"])
    assert stored.forms == mean.prompt.forms and stored.reading == mean.prompt.reading
    again = setup_of(place, kind, tmp_path)  # tuned again from there
    assert len(again.space.default.forms[0].query) == 4
    assert all(len(one.prompt.forms[0].query) == 1 for one in again.task.first_prompts[1:3])


def test_chat_and_plain_wordings_of_one_role_are_averaged(place: Path, tmp_path: Path) -> None:
    """A mean of unlike wordings is the mean of their states, and survives its file."""
    setup = setup_of(place, "chat", tmp_path)
    form = setup.space.default.forms[0]
    chat, plain = form.query[0], Template("find {text}")
    whole = Template("{text} in one word:", tokens="whole")
    wordings = (chat, plain, whole)
    mixed = replace(setup.space.default, forms=(replace(form, query=wordings),))
    assert parse_prompt(format_prompt(mixed)) == mixed
    each = [replace(mixed, forms=(replace(form, query=(one,)),)) for one in wordings]
    inner = setup.encoder
    assert isinstance(inner, LLMEncoder)
    mean, *states = (
        LLMEncoder(inner.backbone, one, inner.options).states(["volcano"], Role.QUERY)
        for one in (mixed, *each)
    )
    np.testing.assert_allclose(mean, np.mean(states, axis=0), atol=1e-5)


def test_a_pool_prompt_that_leaves_no_room_is_passed_over_and_named(
    tmp_path: Path, llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model's short context cannot hold every wording beside texts as long as the index's."""
    lines = [json.dumps({"_id": f"d{at}", "text": f"number{at} stone"}) for at in range(8)]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    queries = [json.dumps({"_id": f"q{at}", "text": f"number{at}"}) for at in range(8)]
    (tmp_path / "q.jsonl").write_text("\n".join(queries) + "\n")
    judged = [f"q{at}\td{at}\t1" for at in range(8)]
    (tmp_path / "dev.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(judged) + "\n")
    index = str(tmp_path / "some.index")
    build = ["index", str(tmp_path / "corpus.jsonl"), "-o", index, "--model", str(llama)]
    assert main([*build, "--max-text-tokens", "450", "--prompt", "mean", "--quiet"]) == 0
    command = ["tune", index, "--queries", str(tmp_path / "q.jsonl"), "--quiet", "--json"]
    command += ["--qrels", str(tmp_path / "dev.tsv"), "--proposer", "evolve"]
    assert main([*command, "--budget", "20k-tokens", "--out", str(tmp_path / "run")]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert any("max_text_tokens" in one["decision"] for one in outcome["proposals"])
