"""Channels outside of an index in commands, and from Python."""

import json
from pathlib import Path
from typing import Any

import pytest

import lastword as lw
from embedder.lucene.jvm import INSTALL
from lastword.main import main
from retrieval.run import read_trec
from tests.lucene_indexes import write_lucene

pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")

TEXTS = {
    "a": "green tea is steeped for three minutes",
    "b": "rotate the key at night",
    "c": "keys and tea, tea, tea",
    "d": "unrelated",
}


@pytest.fixture(scope="module")
def lucene(tmp_path_factory: pytest.TempPathFactory) -> str:
    objects = [{"id": name, "contents": text} for name, text in TEXTS.items()]
    return f"lucene:{write_lucene(tmp_path_factory.mktemp('lucene'), objects)}"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    texts = [{"id": name, "text": text} for name, text in TEXTS.items()]
    lw.build(tmp_path / "my.index", texts, model="bm25").close()
    return tmp_path / "my.index"


def says(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:  # noqa: ANN401
    capsys.readouterr()
    assert main([*map(str, arguments), "--json", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_search_says_what_it_searched_beside_the_index(
    index: Path, lucene: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = says(
        capsys, "search", index, "tea", "--also", f"wiki={lucene}?k1=1.2&b=0.5",
        "--fusion", "rrf:bm25=1,wiki=2",
    )  # fmt: skip
    assert said["channels"] == ["bm25", "wiki"] and said["fusion"] == "rrf:bm25=1,wiki=2"
    facts = said["also"]["wiki"]
    assert facts["documents"] == facts["shared"] == 4
    assert facts["similarity"] == "bm25 k1=1.2 b=0.5" and facts["lucene"].split(".")[0] >= "9"
    assert said["hits"][0]["id"] == "c" and said["hits"][0]["channels"]["wiki"]["rank"] == 1
    alone = says(capsys, "search", index, "tea", "--also", lucene, "--channels", "lucene")
    assert alone["channels"] == ["lucene"] and [hit["id"] for hit in alone["hits"]] == ["c", "a"]
    queries = tmp_path / "q.tsv"
    queries.write_text("q1\ttea\n", encoding="utf-8")
    said = says(
        capsys, "search", index, "--also", lucene, "--queries", queries, "--run", tmp_path / "r"
    )
    assert said["also"]["lucene"]["documents"] == 4
    assert set(read_trec(tmp_path / "r")["q1"]) == {"a", "c"}


def test_what_two_collections_do_not_share_is_told(
    index: Path, lucene: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with lw.open(index, also=[lucene]) as engine:
        assert engine.channels == ("bm25", "lucene")
        assert {hit.id for hit in engine.search("tea")} == {"a", "c"}
        engine.add([{"id": "e", "text": "tea"}])
        engine.delete("c")
        assert engine.retriever.outside["lucene"].facts["unknown_here"] == 1
        hits = {hit.id: hit.channels for hit in engine.search("tea")}
        assert set(hits) == {"a", "e"} and set(hits["e"]) == {"bm25"}
    assert main(["search", str(index), "tea", "--also", lucene]) == 0
    assert "3 documents are joined by their ids; 1 of " in capsys.readouterr().err.replace(
        "\n", " "
    )


def test_weights_that_are_of_no_use_are_told(
    tmp_path: Path, lucene: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside Lucene the weights that the prompt was measured with became equal ones, untold."""
    path = tmp_path / "bundled.index"
    lw.build(path, [{"id": name, "text": text} for name, text in TEXTS.items()]).close()
    told = (
        "minmax:dense=0.24,sparse=0.18,bm25=0.58 weighs the index's channels alone; beside lucene"
    )
    even = "minmax:dense=1,sparse=1,bm25=1,lucene=1"
    for options, said in [((), True), (("--fusion", even), False), (("--channels", "bm25"), False)]:
        assert main(["search", str(path), "tea", "--also", lucene, *options]) == 0
        assert (told in " ".join(capsys.readouterr().err.split())) == said
    assert main(["search", str(path), "tea"]) == 0
    assert "weighs" not in capsys.readouterr().err


def test_feedback_of_no_channel_of_the_index_is_refused(
    index: Path, lucene: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It did nothing, and said nothing: Lucene's channels learn by settings of their own."""
    call = ["search", str(index), "tea", "--channels", "lucene"]
    for method in ("rm3", "rocchio"):
        assert main([*call, "--also", lucene, "--feedback", method]) == 2
        said = capsys.readouterr().err
        assert "none of those is searched, only lucene" in said and said.count("\n") == 1
        assert f"--also lucene:PATH?feedback={method}" in said
    call = ["search", str(index), "tea", "--also", lucene, "--feedback"]
    for method, told in [("rm3", True), ("", False)]:
        assert main([*call, method]) == 0
        assert ("lucene: searched without feedback" in capsys.readouterr().err) == told


def test_an_open_engine_may_delete_all_that_lucene_knows(index: Path, lucene: str) -> None:
    """Before, the deletion was committed, and the engine raised an error and stayed behind."""
    with lw.open(index, also=[lucene]) as engine:
        engine.add([{"id": "e", "text": "tea"}])
        assert engine.delete(["a", "b", "c", "d"]) == 4
        assert [hit.id for hit in engine.search("tea")] == ["e"]
        engine.add([{"id": "c", "text": TEXTS["c"]}])
        assert engine.retriever.outside["lucene"].facts["shared"] == 1
        assert set(engine.search("tea")[0].channels) == {"bm25", "lucene"}
    with lw.open(index) as engine:
        engine.delete("c")
    with pytest.raises(ValueError, match="holds none of the documents"):
        lw.open(index, also=[lucene])


def test_an_explanation_names_the_words_of_lucene(
    index: Path, lucene: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = says(capsys, "explain", index, "tea keys", "c", "--also", lucene)
    part = said["channels"][1]
    assert part["name"] == "lucene" and part["rank"] == 1
    assert dict(part["words"]).keys() == {"tea", "kei"}  # Porter's stem of keys
    assert sum(weight for _, weight in part["words"]) == pytest.approx(part["score"])


def test_an_evaluation_keeps_what_it_was_made_from(
    tmp_path: Path, lucene: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "tiny"
    (data / "qrels").mkdir(parents=True)
    corpus = [{"_id": name, "title": "", "text": text} for name, text in TEXTS.items()]
    (data / "corpus.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in corpus))
    (data / "queries.jsonl").write_text('{"_id": "q1", "text": "tea keys"}\n')
    (data / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tc\t1\n")
    out = tmp_path / "run"
    arguments = ["eval", "retrieval", data, "--out", out, "--indexes", tmp_path / "indexes"]
    arguments += ["--channels", "bm25,lucene", "--also", lucene]
    (record,) = says(capsys, *arguments)
    assert record["channels"] == ["bm25", "lucene"] and record["also"]["lucene"]["shared"] == 4
    assert set(record["measures_by_run"]) == {"bm25", "lucene", "fused"}
    settings = json.loads((out / "config.json").read_text())["settings"]
    assert settings["also"]["lucene"]["documents"] == 4
    assert settings["channels"] == ["bm25", "lucene"]
    assert next(iter(read_trec(out / "tiny.lucene.trec")["q1"])) == "c"
    assert says(capsys, *arguments, "--resume")[0]["measures"] == record["measures"]


@pytest.mark.parametrize(
    ("also", "message"),
    [
        ("lucene:/nowhere", "/nowhere is not there"),
        ("bm25={lucene}", "has a channel 'bm25' of its own"),
        ("{lucene}?k1=x", "k1 of a Lucene index is a number"),
        ("{lucene}?stem=no", "options of a Lucene index are kind, language"),
        ("{lucene}?language=klingon", "no analyzer for 'klingon'"),
    ],
)
def test_errors_are_one_line(
    index: Path, lucene: str, also: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(index), "tea", "--also", also.format(lucene=lucene)]) == 2
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1 and said.out == ""
