"""--feedback of search, explain and eval retrieval, and what is said of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lastword as lw
from lastword.main import main
from tests.small_collection import write_collection

TEXTS = {
    "storm": "harbour storm gale warning",
    "gale": "gale warning at sea",
    "sea": "the sea is calm",
    "tea": "green tea is steeped",
    **{f"rest{number}": f"nothing of note number {number}" for number in range(20)},
}
Says = Callable[..., Any]


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Says:
    """Run a command with --json; return what it says."""

    def run(*arguments: object) -> Any:  # noqa: ANN401
        assert main([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture(scope="module")
def beir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beir") / "weather"
    documents = [{"_id": name, "text": text} for name, text in TEXTS.items()]
    queries = [{"_id": "q1", "text": "harbour"}, {"_id": "q2", "text": "zzz"}]
    return write_collection(folder, documents, queries, {"q1": "gale", "q2": "tea"})


@pytest.fixture(scope="module")
def index(beir: Path) -> Path:
    place = beir.parent / "i"
    lw.build(place, [{"id": name, "text": text} for name, text in TEXTS.items()], "bm25").close()
    return place


def test_a_document_without_a_word_of_the_query_is_found(index: Path, says: Says) -> None:
    found = says("search", index, "harbour")
    assert [hit["id"] for hit in found["hits"]] == ["storm"]
    assert "feedback" not in found
    found = says("search", index, "harbour", "--feedback", "rm3")
    assert [hit["id"] for hit in found["hits"]] == ["storm", "gale"]
    assert found["feedback"] == "rm3" and found["unexpanded"] == {"bm25": 0}
    with lw.open(index) as engine:
        assert [hit.id for hit in engine.search("harbour", feedback="rocchio")] == ["storm", "gale"]
        run = engine.search_many({"q": "harbour"}, feedback="rm3")
        assert list(run["q"].values()) == [hit["score"] for hit in found["hits"]]


def test_an_explanation_shows_the_words_that_were_searched_for(index: Path, says: Says) -> None:
    told = says("explain", index, "harbour", "gale", "--feedback", "rm3:weight=0.6")
    (part,) = told["channels"]
    assert dict(part["query"]) == pytest.approx(
        {"harbour": 0.7, "gale": 0.1, "storm": 0.1, "warning": 0.1}
    )
    assert sorted(part["added"]) == ["gale", "storm", "warning"]
    assert {word for word, _ in part["words"]} == {"gale", "warning"}
    assert says("explain", index, "harbour", "gale")["channels"][0]["query"] == []
    with lw.open(index) as engine:
        text = str(engine.explain("harbour", "gale", feedback="rm3"))
    assert text.splitlines()[-1].startswith("bm25 after feedback: harbour 0.625; added gale 0.125")


def test_a_dense_row_has_no_words_after_feedback_either() -> None:
    """An encoder of dense and sparse rows gave the query's terms to both channels."""
    index = lw.build(None, list(TEXTS.values()))
    told = index.explain("harbour storm", "0", feedback="rm3:common=1")
    words = {part.name: [word for word, _ in part.query] for part in told.channels}
    assert all(
        {"harbour", "storm"} <= set(words[part.name]) - set(part.added) and "gale" in part.added
        for part in told.channels[1:]
    )
    assert words.pop("dense") == []
    assert set(words) == {"sparse", "bm25"} and all(words.values())


def test_a_query_that_cannot_learn_is_told(
    index: Path, beir: Path, tmp_path: Path, says: Says, capsys: pytest.CaptureFixture[str]
) -> None:
    found = says("search", index, "zzz", "--feedback", "rocchio")
    assert found["hits"] == [] and found["unexpanded"] == {"bm25": 1}
    queries, out = beir / "queries.jsonl", tmp_path / "out.trec"
    told = says("search", index, "--queries", queries, "--run", out, "--feedback", "rm3")
    assert told["unexpanded"] == {"bm25": 1}
    assert main(["search", str(index), "zzz", "--feedback", "rm3"]) == 0
    assert "bm25: 1 query searched without feedback" in capsys.readouterr().err


def test_a_judged_run_says_how_its_queries_learnt(beir: Path, tmp_path: Path, says: Says) -> None:
    """And without feedback, settings and records are what they were before there was any."""
    common = ("eval", "retrieval", beir, "--channels", "bm25", "--indexes", tmp_path / "indexes")
    plain = says(*common, "--out", tmp_path / "plain")
    learnt = says(*common, "--out", tmp_path / "learnt", "--feedback", "rm3:terms=10")
    assert plain[0]["measures"]["R@100"] == 0 and learnt[0]["measures"]["R@100"] == 0.5
    assert learnt[0]["feedback"] == "rm3" and learnt[0]["unexpanded"] == {"bm25": 1}
    assert "feedback" not in plain[0]
    for folder, expected in [("plain", None), ("learnt", "rm3")]:
        settings = json.loads((tmp_path / folder / "config.json").read_text())
        assert settings["settings"].get("feedback") == expected


def test_feedback_that_changes_no_query_is_refused(
    index: Path, beir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """RM3 leaves dense rows as they are: alone they were searched as ever, without a word."""
    dense = tmp_path / "dense"
    lw.build(dense, list(TEXTS.values())).close()
    common = ["--channels", "dense", "--feedback", "rm3"]
    calls = [["search", dense, "tea"], ["explain", dense, "tea", "0"], ["eval", "retrieval", beir]]
    for call in calls:
        assert main([*map(str, call), *common]) == 2
        said = capsys.readouterr().err
        assert "channels of words, such as bm25, and none of those is searched, only dense" in said
        assert said.count("\n") == 1 and "take rocchio" in said
    assert main([*map(str, calls[0]), "--channels", "dense", "--feedback", "rocchio", "-q"]) == 0


@pytest.mark.parametrize("command", [["search"], ["explain"], ["eval", "retrieval"]])
def test_an_unknown_feedback_is_refused_in_a_line(
    command: list[str], index: Path, beir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(index)
    words = {"search": [place, "q"], "explain": [place, "q", "tea"], "eval": [str(beir)]}
    options = ["--channels", "bm25", "--feedback", "rm4"]
    assert main([*command, *words[command[0]], *options]) == 2
    said = capsys.readouterr().err.strip()
    assert said.endswith("no feedback is called 'rm4'; there is rm3, rocchio")
