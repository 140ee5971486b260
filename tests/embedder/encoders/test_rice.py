"""A prompt that shows texts of the collection, from the command line to the index and back."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from embedder.prompts.files import parse_prompt
from lastword.app import app
from tests.models import LINES, save_llama

PROMPT = (
    "name = 'shown'\n[both]\ntemplate = 'Text: \"{text}\" Word: \"'\n"
    "[sample]\ncount = 2\nseed = 3\nmax_tokens = 6\n"
)


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rice")
    save_llama(folder / "model")
    (folder / "shown.toml").write_text(PROMPT)
    for name in ("one", "two"):
        (folder / name / "qrels").mkdir(parents=True)
        rows = [{"_id": f"d{i}", "text": line} for i, line in enumerate(LINES)]
        (folder / name / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
        query = {"_id": "q", "text": "lava and rock"}
        (folder / name / "queries.jsonl").write_text(json.dumps(query))
        qrels = "query-id\tcorpus-id\tscore\nq\td2\t1\n"
        (folder / name / "qrels" / "test.tsv").write_text(qrels)
    return folder


def test_the_index_keeps_what_was_drawn(place: Path) -> None:
    options = ["--model", place / "model", "--prompt", place / "shown.toml", "-q"]
    for name in ("a", "b"):
        run("index", place / "one" / "corpus.jsonl", "-o", place / name, *options)
    recipes = []
    for name in ("a", "b"):
        held = json.loads(run("info", place / name, "--json"))
        recipes.append(held["channels"]["dense"]["recipe"]["prompt"])
    prompt = parse_prompt(recipes[0])
    assert recipes[0] == recipes[1]  # the same seed draws the same texts
    assert prompt.sample is not None and prompt.sample.seed == 3
    assert len(prompt.examples) == 2
    assert all(any(one.text.strip() in line for line in LINES) for one in prompt.examples)
    (place / "more.jsonl").write_text(json.dumps({"_id": "new", "text": "magma"}))
    run("add", place / "a", place / "more.jsonl", "-q")
    found = json.loads(run("search", place / "a", "magma", "--json"))
    assert "new" in json.dumps(found)


def test_several_collections_are_judged_one_by_one(place: Path) -> None:
    options = ["--model", str(place / "model"), "--prompt", str(place / "shown.toml"), "-q"]
    alone = ["eval", "retrieval", str(place / "one"), "--out", str(place / "runs"), *options]
    assert CliRunner().invoke(app, alone).exit_code == 0
    both = ["eval", "retrieval", str(place / "one"), str(place / "two"), *options]
    done = CliRunner().invoke(app, both)
    assert done.exit_code != 0 and "one by one" in str(done.exception) + done.output
