"""--bm25 and --sparse: what is made, shown and refused."""

import json
from pathlib import Path

import pytest

import lastword as lw
from embedder.lucene.jvm import INSTALL
from index.folder import Index
from lastword.main import main

pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")

LUCENE = ("--channels", "bm25", "--bm25", "lucene")
HOUSES = ["Die Häuser am Fluss", "Der Fluss fließt", "Ein Haus im Wald"]


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "corpus.jsonl"
    lines = [{"_id": str(at), "text": text} for at, text in enumerate(HOUSES)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_an_index_by_lucene_is_made_shown_and_searched(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (*LUCENE, "--language", "de", "--k1", "1.2", "--b", "0.5", "-q")
    assert main(["index", str(corpus), "-o", "i", *options]) == 0
    assert main(["info", "i"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "a Lucene index, bm25 (k1 1.2, b 0.5) german words by Lucene" in shown
    assert main(["info", "i", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["channels"]["bm25"]
    assert facts["engine"] == "lucene" and facts["weighting"]["k1"] == 1.2
    assert main(["search", "i", "Haus", "--json"]) == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    assert sorted(hit["id"] for hit in hits) == ["0", "2"]
    assert main(["explain", "i", "Haus", "2", "--json"]) == 0
    (channel,) = json.loads(capsys.readouterr().out)["channels"]
    assert channel["words"][0][1] == pytest.approx(channel["score"])


def test_scores_of_whole_hundredths_say_so(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A score of 51105.0 stood beside 5.2 of the native engine, without its scale."""
    scores = {}
    for engine in ("native", "lucene"):
        path = tmp_path / engine
        call = ["index", str(corpus), "-o", str(path), "--channels", "sparse", "--sparse", engine]
        assert main([*call, "--quiet"]) == 0
        with lw.open(path) as index:
            (part,) = index.explain("Fluss", "1").channels
            said = str(index.explain("Fluss", "1"))
        scores[engine] = part.score
        assert ("sparse: scores are of whole hundredths" in said) == (engine == "lucene")
        capsys.readouterr()
        assert main(["explain", str(path), "Fluss", "1"]) == 0
        assert ("10,000 times" in capsys.readouterr().err) == (engine == "lucene")
    assert scores["lucene"] == pytest.approx(1e4 * scores["native"], rel=0.01)


def test_k1_and_b_are_options_of_the_native_engine_too(corpus: Path) -> None:
    options = ("--channels", "bm25", "--language", "de", "--k1", "2", "--b", "0", "-q")
    assert main(["index", str(corpus), "-o", "i", *options]) == 0
    with Index.open("i") as index:
        spec = index.channels["bm25"]
    assert spec.weighting is not None
    assert (spec.engine, spec.weighting.k1, spec.weighting.b) == ("native", 2, 0)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((*LUCENE, "--language", "xx"), "Lucene has no analyzer for 'xx'"),
        (("--channels", "bm25", "--sparse", "lucene"), "--sparse belongs to channel sparse"),
        (("--channels", "dense", "--k1", "2"), "--k1 belongs to channel bm25"),
        (("--channels", "bm25", "--language", "xx"), "no stemmer is called 'xx'"),
    ],
)
def test_what_cannot_be_made_is_one_line(
    options: tuple[str, ...], line: str, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", str(corpus), "-o", "i", *options]) == 2
    assert line in capsys.readouterr().err
    assert not Path("i").exists()
