"""What the command tune refuses, in one line and before any work, and what it would take."""

import json
import os
import shutil
from pathlib import Path

import pytest

from embedder.encoders.llm import LLMEncoder
from embedder.types import Role
from index.folder import Index
from lastword.main import main
from tests.tuned import make_place, setup_of, tune_command
from tuning.outcome import apply_prompt
from tuning.run import own_folder
from tuning.search.journal import Journal


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_place(tmp_path_factory.mktemp("tune"))


def test_a_dry_run_says_what_it_would_take(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(tune_command(place, "--dry-run", "--json", "--out", str(out))) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert estimate["queries"] == {"search": 50, "select": 25, "confirm": 25}
    assert estimate["tokens_of_one_prompt"]["search"] > 0 and not out.exists()
    assert estimate["tokens_of_its_documents"] == 0 < estimate["seconds_of_one_prompt"] < 60


def test_a_dry_run_counts_the_documents_that_prompts_read(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It counted queries only, where each prompt reads the pool, and the winner all documents."""
    more = ["--tune", "document", "--channels", "dense", "--dry-run"]
    assert main(tune_command(place, *more, "--json", "--out", str(tmp_path / "run"))) == 0
    estimate = json.loads(capsys.readouterr().out)
    with Index.open(place / "some.index") as index:
        encoder = setup_of(index, place, tmp_path).encoder
        texts = [document.content for document in index.stream()]
    assert isinstance(encoder, LLMEncoder)
    fed = encoder.reader.feed(texts, Role.DOCUMENT, 512)
    whole = sum(text.tokens for text in fed)  # of a hundred short documents the pool holds all
    assert estimate["tokens_of_its_documents"] == estimate["tokens_of_all_documents"] == whole
    search, select, confirm = estimate["tokens_of_one_prompt"].values()
    ending = 5 * select + 2 * confirm + whole
    assert estimate["tokens_of_choosing_them"] == search + select + confirm
    assert estimate["tokens_at_the_end"] == ending
    left = 2_000_000 - ending - (search + select + confirm)
    assert estimate["prompts_raced_to_the_end"] == left // (search + whole)
    assert main(tune_command(place, *more, "--out", str(tmp_path / "run"))) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"tokens of its documents {whole:,}" in shown and "time of one prompt" in shown


def test_queries_of_one_answer_are_refused_before_the_model_is_loaded(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were one group: "keep the default" came of 0 queries, or a crash after the search."""
    judged = tmp_path / "one.tsv"
    lines = [f"q{at}\td0\t1" for at in range(12)]
    judged.write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\n")
    more = ["--qrels", str(judged), "--out", str(tmp_path / "run")]
    for dry in ([], ["--dry-run"]):
        assert main(tune_command(place, *more, *dry)) == 2
        error = capsys.readouterr().err
        assert "12 came, 1 of them different: give more queries" in error
        assert error.count("\n") == 1 and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--budget", "lots"], "a budget is amounts"),
        (["--proposer", "magic"], "proposer takes auto or some of"),
        (["--proposer", "llm"], "needs a writer"),
        (["--tune", "everything"], "what is tuned is some of"),
        (["--tune", "reading", "--channels", "dense"], "leave reading out, or tune document"),
        (["--tune", "both", "--apply"], "leave out --apply"),
        (["--apply"], "give --free-query-prompt beside --apply"),  # it was refused after the search
        (["--prompt", "none/of/that.toml"], "that.toml"),
        (["--writer", "none/of/that"], "none/of/that: there is no such folder"),
        (["--qrels", "none.tsv"], "none.tsv"),
        (["--queries", "none.jsonl"], "none.jsonl"),
        (["--channels", "images"], "channels takes some of"),
        (["--budget", "10-tokens"], "does not even pay for the default"),
        (["--alpha", "0"], "alpha is a probability"),  # a division by zero
        (["--alpha", "nan"], "alpha is a probability"),
        (["--min-effect", "inf"], "min_effect is a gain in 0..1"),
        (["--measure", "nDCG@0"], "has cutoff 0"),  # trec_eval aborted the process
        (["--out", "{index}"], "is an index; give the run a folder of its own"),
        (["--measure", "NumRet"], "tuning needs a measure in 0..1"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    more = [str(place / "some.index") if each == "{index}" else each for each in more]
    assert main(tune_command(place, "--out", str(tmp_path / "run"), *more)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_what_is_missing_is_missed_before_a_model_is_loaded(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing --prompt or --writer was found after the model had been loaded."""

    def load(*_: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("retrieval.open.load_encoders", load)
    out = tmp_path / "run"
    for more in (
        ["--prompt", "none.toml"], ["--writer", "none/there"], ["--proposer", "llm"],
        ["--qrels", "none.tsv"], ["--tune", "reading", "--channels", "sparse"],
    ):  # fmt: skip
        assert main(tune_command(place, "--out", str(out), *more)) == 2
        assert capsys.readouterr().err.count("\n") == 1 and not out.exists()


def test_two_runs_in_one_folder_are_one_too_many(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They wrote into one journal; what a dead process left keeps nobody out."""
    out = tmp_path / "run"
    command = tune_command(place, "--budget", "10-tokens", "--out", str(out))
    with own_folder(out):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert f"written by process {os.getpid()}; one run at a time" in error
        assert error.count("\n") == 1
    assert not (out / "journal.jsonl").exists()  # it kept a larger budget out of the folder
    (out / "lock").write_text("4194303")  # of a process that was killed
    assert main(command) == 2 and "does not even pay" in capsys.readouterr().err


def test_an_index_that_has_changed_is_told_in_a_sentence(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After --apply the same command listed two fingerprints of a thousand characters."""
    path, out = tmp_path / "some.index", tmp_path / "run"
    shutil.copytree(place / "some.index", path)
    files = ["--queries", str(place / "queries.jsonl"), "--qrels", str(place / "dev.tsv")]
    command = ["tune", str(path), *files, "--quiet", "--budget", "10-tokens", "--out", str(out)]
    out.mkdir()
    with Index.open(path) as index:
        setup = setup_of(index, place, tmp_path)
    Journal(out / "journal.jsonl", setup.heading).__exit__(None, None, None)
    apply_prompt(path, setup, setup.task.first_prompts[1].prompt, free=True)
    capsys.readouterr()
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "has changed since" in error and "--apply" in error
    assert error.count("\n") == 1 and len(error) < 600
    assert main([*command, "--seed", "1"]) == 2  # then the rest is of no interest
    assert "has changed since" in capsys.readouterr().err
    # A run that began before: its prompt was put in the place of one that was found meanwhile.
    with pytest.raises(ValueError, match="read otherwise now than when it was tuned"):
        apply_prompt(path, setup, setup.task.first_prompts[2].prompt, free=True)


def test_judgements_of_a_test_split_are_out_of_reach(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "scifact" / "qrels"
    folder.mkdir(parents=True)
    for name in ("test.tsv", "scifact-test.tsv"):
        (folder / name).write_text((place / "dev.tsv").read_text())
        command = ["tune", str(place / "some.index"), "--queries", str(place / "queries.jsonl")]
        assert main([*command, "--qrels", str(folder / name)]) == 2
        assert "figures are reported" in capsys.readouterr().err
