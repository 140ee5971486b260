"""Tuning without judgements, end to end: what is made, what is refused, what a judge may decide."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lastword as lw
from embedder.models.chat_client import byte_bound
from embedder.progress import watching
from eval.synthesis.devset_folder import FACTS, read_devset, write_devset
from eval.synthesis.devset_styles import make_devset
from index.folder import Index
from lastword.main import main
from retrieval.open import load_encoders, load_words
from tests.planted import plain_prompt
from tests.scripted_judge import Scripted, serve_judge
from tuning.objectives.judge import MOST_TOKENS, Judge, SearchedLists, _question
from tuning.objectives.known_judgements import OPEN, OpenCollection
from tuning.objectives.signal_check import SignalCheck
from tuning.options import TuningOptions
from tuning.request import TuningRequest
from tuning.search.budget import Cost
from tuning.unjudged import Unjudged, make_queries, prepare_unjudged

CLAIMS = 20  # of the open collection "science" that somebody "has judged"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Index real abstracts, whose titles are in their texts, with a few judged claims."""
    folder = tmp_path_factory.mktemp("unjudged")
    records = [json.loads(line) for line in (OPEN / "science/corpus.jsonl").open()]
    texts = [{"_id": one["_id"], "text": f"{one['title']} . {one['text']}"} for one in records]
    lines = [json.dumps(one) + "\n" for one in texts]
    (folder / "corpus.jsonl").write_text("".join(lines))
    queries = (OPEN / "science/queries.jsonl").read_text().splitlines(keepends=True)[:CLAIMS]
    (folder / "queries.jsonl").write_text("".join(queries))
    ids = {json.loads(line)["_id"] for line in queries}
    head, *judged = (OPEN / "science/qrels/dev.tsv").read_text().splitlines(keepends=True)
    kept = [line for line in judged if line.split("\t")[0] in ids]
    (folder / "few.tsv").write_text(head + "".join(kept))
    source, path = str(folder / "corpus.jsonl"), str(folder / "some.index")
    assert main(["index", source, "--out", path, "--quiet"]) == 0
    return folder


def tune_command(place: Path, out: Path, *more: str, labelled: bool = True) -> list[str]:
    files = ["--queries", str(place / "queries.jsonl"), "--qrels", str(place / "few.tsv")]
    command = ["tune", str(place / "some.index"), "--no-qrels", "--channels", "dense"]
    command += ["--made", "40", "--seed", "3", "--out", str(out), "--quiet"]
    return [*command, *(files if labelled else []), *more]


def test_titles_give_way_to_sentences(place: Path) -> None:
    with Index.open(place / "some.index") as index:
        options = lw.DevsetOptions(100, "auto")
        made = make_devset(index, options, None, load_words(index))
        assert made.style == "cloze" and list(made.tried) == ["title", "cloze"]
        assert made.tried["title"] == {"documents tried": 300, "no title": 300}
        assert "style cloze (title gave 0)" in made.describe()
        texts = [f"word{at}" for at in range(5)]
    with lw.build(None, texts) as engine, pytest.raises(ValueError, match="no query was kept in"):
        make_queries(engine.retriever.index, options)


def test_a_devset_comes_back_from_its_folder_or_is_made_anew(place: Path, tmp_path: Path) -> None:
    options = lw.DevsetOptions(30, "auto")
    with Index.open(place / "some.index") as index:
        made = make_queries(index, options, folder=tmp_path)
        assert make_queries(index, options, folder=tmp_path) == made
        assert len(make_queries(index, replace(options, queries=9)).devset.queries) == 9
    write_devset(made, tmp_path, {"queries": 30})
    assert read_devset(tmp_path, {"queries": 30}) == made
    assert read_devset(tmp_path, {"queries": 31}) is None
    facts = json.loads((tmp_path / FACTS).read_text())
    for damage in ({"tried": {"cloze": 3}}, {"style": "verse"}, {"tried": None}):
        (tmp_path / FACTS).write_text(json.dumps(facts | damage))
        with pytest.raises(ValueError, match="does not say what was made; remove"):
            read_devset(tmp_path, {"queries": 30})


def test_a_dry_run_keeps_its_queries_for_the_run(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each dry run made them anew, as the run did after it."""
    with Index.open(place / "some.index") as index:
        asked = TuningRequest(
            index, tmp_path, TuningOptions(), devset=lw.DevsetOptions(20, "cloze")
        )
        first = asked.source_of_estimate()
        monkeypatch.setattr("tuning.unjudged.make_devset", None)
        assert asked.source_of_estimate() == first == asked.source()
        # A title or a sentence is the same, whichever chat model the run may ask elsewhere.
        assert replace(asked, options=TuningOptions(writer="none")).source_of_estimate() == first
        chat = replace(asked, devset=lw.DevsetOptions(20, "chat"))
        with pytest.raises(ValueError, match="a dry run asks no chat model"):
            chat.source_of_estimate()


def test_a_signal_that_orders_prompts_otherwise_is_refused_before_the_search(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Five of seven devsets failed in an audit, and were tuned on all the same.

    While it is tried, a line now and then says how far that is.
    """
    monkeypatch.setattr("lastword.cli.screen.LINE_EVERY", 0.0)
    wrong = tmp_path / "wrong.tsv"  # each claim with what is relevant to another one
    lines = [line.split("\t") for line in (place / "few.tsv").read_text().splitlines()]
    queries = [query for query, *_ in lines[1:]]
    moved = zip([*queries[7:], *queries[:7]], lines[1:], strict=True)
    rows = ["\t".join([query, *rest]) for query, (_, *rest) in moved]
    wrong.write_text("\n".join(["\t".join(lines[0]), *rows]) + "\n")
    out = tmp_path / "run"
    command = tune_command(place, out, labelled=False)
    command += ["--queries", str(place / "queries.jsonl"), "--qrels", str(wrong)]
    command.remove("--quiet")
    assert main(command) == 2
    *said, error = capsys.readouterr().err.splitlines()
    tried = [line for line in said if line.startswith("Trying the signal: cloze queries, ")]
    assert len(tried) > 3 and " of at most " in tried[-1] and "tokens/s" not in "".join(said)
    assert error.startswith("lastword: ") and "at least 0.3 is needed" in error
    assert "on your judged queries" in error and "--style" in error
    assert not (out / "journal.jsonl").exists() and not (out / "tuned.toml").exists()


def test_a_run_without_judgements_says_what_it_went_by(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = tune_command(place, out, "--budget", "45k-tokens", "--proposer", "prune", "--json")
    assert main(command) == 0
    outcome = json.loads(capsys.readouterr().out)
    signal = outcome["signal"]
    assert signal["style"] == "cloze" and signal["tau"] >= 0.3
    assert 0 < signal["spent"]["tokens"] < outcome["spent"]["tokens"] <= 45_000
    assert json.loads((out / "outcome.json").read_text())["signal"] == signal
    page = (out / "report.html").read_text()  # it said nothing of this once
    assert "In place of judgements" in page and "made queries" in page
    assert f"{signal['tau']:+.2f}" in page
    assert main([*command, "--dry-run"]) == 0
    trying = json.loads(capsys.readouterr().out)["tokens_of_trying_the_signal"]
    assert trying == signal["spent"]["tokens"]
    journal = (out / "journal.jsonl").read_bytes()
    assert main(command) == 0  # taken up: nothing is made, tried or searched again
    assert json.loads(capsys.readouterr().out)["signal"] == signal
    assert (out / "journal.jsonl").read_bytes() == journal


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--style", "title"], "no query was kept"),
        (["--style", "chat"], "needs a writer"),
        (["--budget", "9k-tokens"], "the budget does not pay for trying the signal"),
        (["--judge", "http://localhost:9", "--tune", "document"], "tunes query and reading only"),
        (["--made", "4"], "4 came, 4 of them different: give more queries"),
        # It searched, and could not but end with "cannot tell".
        (["--judge", "http://localhost:9", "--made", "24"], "it is asked about 19 at the end"),
    ],
)
def test_what_cannot_be_done_without_judgements_is_said_in_one_line(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(tune_command(place, tmp_path / "run", *more)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_judgements_are_both_given_or_made(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = str(place / "some.index")
    assert main(["tune", index]) == 2
    assert "give both --queries and --qrels, or --no-qrels" in capsys.readouterr().err
    files = ["--queries", str(place / "queries.jsonl"), "--qrels", str(place / "few.tsv")]
    assert main(["tune", index, *files, "--judge", "http://localhost:9"]) == 2
    assert "--judge goes with --no-qrels" in capsys.readouterr().err
    with pytest.raises(ValueError, match="queries and qrels go together"):
        lw.tune(place / "some.index", {"q": "a"})


def test_open_collections_are_read_by_the_encoders_of_the_index(place: Path) -> None:
    """What is charged for them is what is fed, and scores are those of an index of their own."""
    charged: list[Cost] = []

    def once(kind: str, key: object, cost: Cost, work: Callable[[], object]) -> object:
        charged.append(cost)
        return work()

    with Index.open(place / "some.index") as index:
        encoders = load_encoders(index, ["dense"])
        made = make_queries(index, lw.DevsetOptions(30, "cloze"))
        options = TuningOptions()
        setup = prepare_unjudged(index, encoders, Unjudged(made), options, place / "unused")
        check = setup.task.signal
        assert isinstance(check, SignalCheck) and len(check.prompts) == 12
        banking = check.places[1]
        assert isinstance(banking, OpenCollection)
        told: list[int] = []
        with watching(told.append, banking.texts(2)):
            means = banking.measure(check.prompts[:2], once)
        # Minutes passed without a sign: documents are read batch by batch, then queries are.
        assert told == sorted(told) and told[-1] == banking.texts(2) > 2 * (60 + 60)
        assert sum(each < banking.texts(2) - 2 * (60 + 60) for each in set(told)) > 3
        assert means is not None and all(0 < mean < 1 for side in means for mean in side)
        assert charged[0] == Cost() and charged[1].evaluations == 2 * (60 + 60)
        assert replace(banking, style="title").measure(check.prompts, once) is None


def test_a_judge_is_charged_for_texts_that_there_are(place: Path) -> None:
    """Ten texts of four bytes a character were charged for each question: 13 times what it took."""
    with Index.open(place / "some.index") as index:
        texts = [document.content for document in index.stream()]
        lists = SearchedLists(Any, index)  # type: ignore[arg-type]
        judge = Judge(Scripted(), {"q": "which"}, lists, plain_prompt())
        most = judge.asking(["q"])
    assert most.calls == 2 and most.chat_tokens < 2 * (10 * 420 + 500)  # letters of one byte
    rng = np.random.default_rng(0)
    for _ in range(50):
        pair = rng.choice(np.array(texts, object), (2, 5))
        assert 2 * byte_bound(_question("which", *pair), MOST_TOKENS) <= most.chat_tokens


def test_a_judge_behind_an_address_is_tried_and_metered(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {one["_id"]: one["text"] for one in map(json.loads, (place / "corpus.jsonl").open())}
    claims = {one["_id"]: one["text"] for one in map(json.loads, (place / "queries.jsonl").open())}
    judged = [line.split() for line in (place / "few.tsv").read_text().splitlines()[1:]]
    judge = Scripted("better", {claims[query]: texts[one][:60] for query, one, _ in judged})
    with serve_judge(judge) as address:
        more = ["--judge", address, "--budget", "32k-tokens,700-calls", "--proposer", "prune"]
        assert main(tune_command(place, tmp_path / "run", *more, "--json")) == 0
        outcome = json.loads(capsys.readouterr().out)
    assert outcome["signal"]["direction"]["wins"] >= 15
    assert judge.calls <= outcome["spent"]["calls"] <= 700
    page = (tmp_path / "run/report.html").read_text()  # it said "Measured by nDCG@10" once
    assert "Measured by preference of judge default at http" in page and "nDCG@10" not in page
    judge = Scripted("worse")
    with serve_judge(judge) as address:
        assert main(tune_command(place, tmp_path / "other", "--judge", address)) == 2
    assert "cannot judge" in capsys.readouterr().err and judge.calls == 40


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ((15, 5), ""),
        ((19, 0), "cannot tell: the judge prefers one list for 19 queries, 19 times the new one;"),
        ((12, 8), "cannot tell: the judge prefers one list for 20 queries, 12 times the new one ("),
    ],
)
def test_a_judge_decides_by_a_sign_test_on_twenty_lists(
    place: Path, counts: tuple[int, int], reason: str
) -> None:
    """A judge decides for 15 of 20 (p .02) and not for 12 (p .25), nor of fewer than 20."""
    with Index.open(place / "some.index") as index:
        made = make_queries(index, lw.DevsetOptions(30, "cloze"))
        encoders = load_encoders(index, ["dense"])
        setup = prepare_unjudged(index, encoders, Unjudged(made), TuningOptions(), place / "unused")
    check = setup.task.signal
    assert isinstance(check, SignalCheck)
    assert check.doubt(*counts) == ""  # made queries have judgements of their own
    judge = Judge(Scripted(), {}, lambda *_: {}, plain_prompt())
    doubt = replace(check, judge=judge).doubt(*counts)
    assert doubt.startswith(reason) and bool(doubt) == bool(reason)
