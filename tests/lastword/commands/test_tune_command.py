"""Tune an index from the command line: what it writes, refuses, takes up and applies."""

import html
import json
from pathlib import Path

import numpy as np
import pytest

from embedder.encoders.llm import LLMEncoder
from embedder.prompts.files import load_prompt, parse_prompt
from embedder.types import Role
from index.folder import Index
from lastword.cli.options import Output
from lastword.cli.screen import Screen
from lastword.commands.prompts.tune_view import estimate_table
from lastword.main import main
from retrieval.fusion import fusion_by_name
from retrieval.retriever import Retriever
from tests.tuned import make_place, objective, setup_of, tune_command
from tuning.choose_proposers import NAMES
from tuning.objectives.judged_queries import JudgedQueries
from tuning.objectives.pooled_objective import PooledObjective, all_documents
from tuning.options import TuningOptions
from tuning.outcome import apply_prompt
from tuning.run import read_seconds, scores_file, tune_index


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("tune"))


def test_a_run_leaves_prompt_report_and_journal(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = tune_command(place, "--budget", "30k-tokens", "--out", str(out), "--json")
    assert main(command) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["spent"]["tokens"] <= 30_000
    assert outcome["queries"] == {"search": 50, "select": 25, "confirm": 25}
    assert {one["how"] for one in outcome["proposals"]} >= {"default", "no words at all"}
    assert load_prompt(out / "tuned.toml").forms
    page = (out / "report.html").read_text()
    assert outcome["headline"][1:] in html.unescape(page) and "<script" not in page
    journal = (out / "journal.jsonl").read_bytes()
    assert main(command) == 0  # taken up: nothing is searched again
    again = json.loads(capsys.readouterr().out)
    assert (out / "journal.jsonl").read_bytes() == journal
    assert again["spent"] == outcome["spent"] and again["prompt"] == outcome["prompt"]


def test_python_tunes_as_the_command_does(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The journals of both are the same, byte for byte; a third run is given their scores."""
    command = tune_command(
        place, "--budget", "8k-tokens", "--out", str(tmp_path / "command"), "--json"
    )
    scores = scores_file(place / "some.index")
    scores.unlink(missing_ok=True)
    assert main(command) == 0
    scores.write_bytes(scores.read_bytes()[:-9])  # then they are not trusted
    with Index.open(place / "some.index") as index:
        inner = objective(index, place)
        retriever, options = Retriever(index, inner._encoders), TuningOptions("8k-tokens")
        outcome = tune_index(retriever, inner.data, options, tmp_path / "python")
        third = [tune_index(retriever, inner.data, options, tmp_path / "3") for _ in range(2)]
    assert outcome.to_json()["spent"] == json.loads(capsys.readouterr().out)["spent"]
    assert outcome.earlier == 0 and "does not hold the scores" in outcome.remarks[-1]
    assert third[0].to_json() == third[1].to_json() and third[0].earlier > 50
    assert third[0].scored[0].scores == outcome.scored[0].scores
    assert "scores" not in " ".join(third[0].remarks)
    journals = [(tmp_path / name / "journal.jsonl").read_bytes() for name in ("command", "python")]
    assert journals[0] == journals[1]


def test_the_objective_searches_as_the_retriever_does(place: Path) -> None:
    with Index.open(place / "some.index") as index:
        scorer = objective(index, place)
        prompt = parse_prompt(json.loads(index.channels["dense"].recipe)["prompt"])
        fuse = fusion_by_name(prompt.fusion, scorer.channels)
        expected = Retriever(index, scorer._encoders, fuse).search(scorer.data.queries, 1000)
        assert scorer.run(prompt, list(scorer.data.queries)) == expected
        encoder = scorer.encoder(prompt)
        assert isinstance(encoder, LLMEncoder)
        fed = encoder.reader.feed(list(scorer.data.queries.values()), Role.QUERY, 512)
        cost = scorer.cost(prompt, list(scorer.data.queries))
        assert cost.tokens == sum(len(text.wordings[0].ids) for text in fed)
        assert cost.evaluations == 100


def test_documents_that_are_encoded_anew_score_as_the_index_does(place: Path) -> None:
    """All documents, read in full under another name of the same prompt, give the same scores."""
    with Index.open(place / "some.index") as index:
        scorer = objective(index, place)
        prompt = parse_prompt(json.loads(index.channels["dense"].recipe)["prompt"])
        ids = list(scorer.data.queries)
        whole = PooledObjective(scorer, all_documents(scorer, 512))
        assert whole.preparation(prompt) == ("", type(scorer.cost(prompt, ids))())
        anew = PooledObjective(scorer, all_documents(scorer, 511))
        object.__setattr__(anew.documents, "whole", False)  # as a pool that happens to be all
        assert anew.preparation(prompt)[1].tokens > 0
        np.testing.assert_allclose(anew([prompt], ids), scorer([prompt], ids), atol=1e-6)


def test_a_prompt_is_applied_where_the_index_allows_it(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    path = place / "some.index"
    with Index.open(path) as index:
        setup = setup_of(index, place, tmp_path)
        prompt = setup.task.first_prompts[1].prompt
        with pytest.raises(ValueError, match="--free-query-prompt"):
            apply_prompt(path, setup, prompt, free=False)
        fused = replace(setup.space.default, fusion="minmax:dense=0.4,sparse=0.6")
        apply_prompt(path, setup, fused, free=False)  # its words stay: this was refused as well
        apply_prompt(path, setup, prompt, free=True)
        other = replace(prompt, reading=replace(prompt.reading, layer=-2))
        with pytest.raises(ValueError, match="it needs a new index"):
            apply_prompt(path, setup, other, free=False)
    capsys.readouterr()
    assert main(["search", str(path), "volcano number0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"][0]["id"] == "d0"
    (tmp_path / "more.jsonl").write_text('{"_id": "new", "text": "a new comet"}\n')
    assert main(["add", str(path), str(tmp_path / "more.jsonl"), "--quiet"]) == 0
    with Index.open(path) as index:
        assert index.documents == 101
        assert parse_prompt(json.loads(index.channels["dense"].recipe)["prompt"]) == prompt


def test_answers_that_the_index_lacks_are_not_learned_from(place: Path, tmp_path: Path) -> None:
    """A run ended where the only answer that a query shared with no other was not in the index."""
    with Index.open(place / "some.index") as index:
        data = setup_of(index, place, tmp_path).objective.data
        more = {query: {**gains, f"gone {query}": 1} for query, gains in data.qrels.items()}
        partly = JudgedQueries(data.queries, more, data.measure)
        assert partly.relevant != data.relevant == partly.relevant_in(index)


def test_soft_tokens_are_applied_and_go_with_the_index(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    from embedder.prompts.query_adapter import QueryAdapter

    path = place / "some.index"
    offset = np.full(512, 0.01, np.float32)
    with Index.open(path) as index:
        setup = setup_of(index, place, tmp_path)
        named = QueryAdapter(offset=offset).save(tmp_path / "vectors")
        apply_prompt(path, setup, replace(setup.space.default, adapt=named), free=True)
    for file in (tmp_path / "vectors").iterdir():
        file.unlink()
    assert main(["search", str(path), "volcano number0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"]
    assert main(["check", str(path)]) == 0
    with Index.open(path) as index:  # tuned again from there
        again = setup_of(index, place, tmp_path)
        assert again.space.default.adapt.endswith(QueryAdapter(offset=offset).digest)


def test_all_proposers_run_on_the_bundled_model(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ",".join(name for name in NAMES if name != "llm")
    more = ["--proposer", names, "--budget", "40k-tokens", "--channels", "dense", "--json"]
    assert main(tune_command(place, *more, "--out", str(tmp_path / "run"))) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert {one["made_by"] for one in outcome["proposals"]} >= {"pool", "baselines", "evolve"}


def test_a_clock_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    clock = tmp_path / "seconds.txt"
    assert read_seconds(clock) == 0
    clock.write_text("12.5")
    assert read_seconds(clock) == 12.5
    for text in ("", "nan", "-1.0", "1e400", "\x00"):
        clock.write_text(text)
        with pytest.raises(ValueError, match=r"seconds\.txt should hold the seconds"):
            read_seconds(clock)


def test_an_estimate_says_yes_and_no(capsys: pytest.CaptureFixture[str]) -> None:
    """It printed the True and False of Python."""
    rows = {"too_few_queries_to_certify": True, "budget": 2000000, "warm": False}
    Screen(Output()).result(rows, estimate_table(rows))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert {"judged in folds yes", "budget 2,000,000", "warm no"} <= set(lines)
