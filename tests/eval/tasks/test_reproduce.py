"""Repeating published figures: the checked-in configurations, and the command reproduce."""

import json
import re
from pathlib import Path
from statistics import fmean

import pytest

from embedder.lucene.jvm import INSTALL
from embedder.prompts.files import load_prompt
from eval.data.beir import CQADUPSTACK_PARTS, WHOLE
from eval.tasks import published
from eval.tasks.published import (
    Configuration,
    Figure,
    compare_figures,
    find_configurations,
    load_configurations,
)
from index.folder import Index
from lastword.cli.options import EncoderOptions
from lastword.commands.evaluate.reproduce import OUTSIDE
from lastword.main import FAILED, main
from tests.eval.tasks.test_beir import write_collection
from tests.folders import DATA

SHARED = DATA
CHECKED_IN = published.FOLDER
PAIRS = [
    (5, "A man plays.", "A man is playing."),
    (0, "It rains in Rome.", "Stocks fell."),
    (3, "A cat sat down.", "The cat sleeps."),
    (1, "Two dogs run.", "A dog eats."),
]

RETRIEVAL = """
source = "by hand"
[[configuration]]
name = "tiny-bm25"
what = "five documents"
benchmark = "retrieval"
datasets = ["tiny"]
measure = "RR@10"
needs = "nothing"
figures = [{ run = "bm25", expected = EXPECTED, tolerance = 0.01 }]
[configuration.reading]
channels = "bm25"
"""
SIMILARITY = """
source = "by hand"
[[configuration]]
name = "tiny-sts"
what = "two sets"
benchmark = "sts"
datasets = ["one", "two"]
measure = "spearman"
needs = "patience"
figures = [{ expected = 0.0, tolerance = 2 }, { dataset = "two", expected = 0.0, tolerance = 2 }]
[configuration.reading]
model = "nobody/has-this"
prompt = "prompteol"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for configurations, in place of the checked-in ones, and the data of these."""
    home = tmp_path / "reproductions"
    home.mkdir()
    monkeypatch.setattr(published, "FOLDER", home)
    write_collection(tmp_path / "data" / "retrieval" / "tiny")
    (tmp_path / "data" / "sts").mkdir()
    for name, pairs in (("one", PAIRS), ("two", PAIRS[:3])):
        lines = ["score\tsentence1\tsentence2"] + ["\t".join(map(str, pair)) for pair in pairs]
        (tmp_path / "data" / "sts" / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    return home


def places(folder: Path) -> list[str]:
    return ["--data", str(folder.parent / "data"), "--out", str(folder.parent / "out")]


def test_every_configuration_can_be_asked_for() -> None:
    found = load_configurations()
    assert {"bm25-scifact", "bundled-scifact", "minilm-sts", "tp-llama2-7b"} <= found.keys()
    for configuration in found.values():
        reading = EncoderOptions(**configuration.reading)
        if reading.prompt:
            assert load_prompt(reading.prompt).name == reading.prompt
        assert configuration.needs and configuration.source and configuration.what
        assert all(0 < figure.tolerance < 0.02 for figure in configuration.figures)


def test_published_figures() -> None:
    expected = {
        "promptreps-nfcorpus": [0.2956, 0.2818, 0.3298],
        "bundled-scifact": [0.5377, 0.6185, 0.6953],
        "minilm-sts": [0.8203, 0.7758],
    }
    for name, figures in expected.items():
        assert [figure.expected for figure in load_configurations()[name].figures] == figures
    for name, mean in (("prompteol-llama2-7b", 0.7003), ("tp-llama2-7b", 0.7719)):
        whole, *parts = load_configurations()[name].figures
        assert len(parts) == 7 and whole.expected == mean and not whole.dataset
        assert fmean(part.expected for part in parts) == pytest.approx(mean, abs=6e-5)


def test_bm25_is_there_for_every_set_with_a_figure() -> None:
    found = {one.name: one for one in find_configurations(["bm25"])}
    assert found.keys() == {f"bm25-{name}" for name in WHOLE if name != "msmarco"}
    assert found["bm25-fiqa"].figures == (Figure(0.2361, 0.01, "bm25", "fiqa"),)
    whole, *parts = found["bm25-cqadupstack"].figures
    assert tuple(part.dataset for part in parts) == CQADUPSTACK_PARTS
    assert whole.expected == pytest.approx(fmean(part.expected for part in parts))


def test_outcomes_by_hand() -> None:
    figures = (Figure(0.5, 0.1), Figure(0.5, 0.01, "fused", "b"))
    made = Configuration("f", "n", "w", "s", "retrieval", ("a", "b"), "AP", figures)
    found = {
        "a": {"dense": {"AP": 0.4}, "fused": {"AP": 0.0}},
        "b": {"dense": {"AP": 0.75}, "fused": {"AP": 0.48}},
    }
    mean, fused = compare_figures(made, found)
    assert mean.value == pytest.approx(0.575) and mean.within
    assert fused.difference == pytest.approx(-0.02) and not fused.within
    with pytest.raises(ValueError, match="a has no AP of 'dense'"):
        compare_figures(made, {"a": {"dense": {"AP": None}}, "b": found["b"]})


def test_a_misspelt_configuration_is_refused(folder: Path) -> None:
    for wrong, message in (
        (RETRIEVAL.replace("EXPECTED", "1").replace("what", "waht"), "waht"),
        (RETRIEVAL.replace("EXPECTED", "1").replace("run =", 'dataset = "x", run ='), "of x"),
        (RETRIEVAL.replace("EXPECTED", "1").replace('"retrieval"', '"guess"'), "'guess'"),
    ):
        (folder / "wrong.toml").write_text(wrong)
        with pytest.raises(ValueError, match=rf"wrong\.toml: configuration 1: .*{message}"):
            load_configurations()


@pytest.mark.parametrize(("expected", "code"), [("0.3333", 0), ("0.40", OUTSIDE)])
def test_retrieval_is_judged_and_compared(
    folder: Path, capsys: pytest.CaptureFixture[str], expected: str, code: int
) -> None:
    """Reciprocal ranks are 1/2, 1/2 and 0: see tests/test_beir.py."""
    (folder / "tiny.toml").write_text(RETRIEVAL.replace("EXPECTED", expected))
    assert main(["reproduce", "tiny-bm25", *places(folder), "--json"]) == code
    outcome = json.loads(capsys.readouterr().out)[0]["outcomes"][0]
    assert outcome["got"] == pytest.approx(1 / 3)
    assert outcome["difference"] == pytest.approx(1 / 3 - float(expected))
    assert outcome["within"] is (code == 0)
    assert main(["reproduce", "tiny-bm25", *places(folder), "-q"]) == code  # the index is there
    row = capsys.readouterr().out.splitlines()[-2].split()
    assert row[:2] == ["tiny-bm25", "tiny"]
    assert ("within" if code == 0 else "OUTSIDE") in row
    assert (folder.parent / "out" / "tiny-bm25" / "config.json").is_file()


def test_lucene_repeats_a_figure_of_bm25(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")
    written = RETRIEVAL.replace("EXPECTED", "0.3333").replace("tiny-bm25", "tiny-lucene")
    written = written.replace('needs = "nothing"', 'needs = "lucene"\nengine = "lucene"')
    (folder / "tiny.toml").write_text(written)
    assert main(["reproduce", "tiny-lucene", *places(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["engine"] == "lucene"
    indexes = folder.parent / "out" / "tiny-lucene" / "indexes"
    with Index.open(indexes / "tiny.index") as opened:
        assert opened.channels["bm25"].engine == "lucene"


def test_engines_are_compared_query_by_query(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")
    written = (CHECKED_IN / "engines.toml").read_text(encoding="utf-8")
    (folder / "engines.toml").write_text(written.replace('"scifact"', '"tiny"'))
    assert main(["reproduce", "promptreps-lucene", *places(folder), "--json"]) == 0
    (outcome,) = json.loads(capsys.readouterr().out)[0]["outcomes"]
    assert outcome["got"] == 1


def test_similarity_is_what_eval_sts_says(
    folder: Path, llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "tiny.toml").write_text(SIMILARITY)
    model = ["--model", str(llama)]
    assert main(["reproduce", "tiny", *places(folder), *model, "--json"]) == 0
    outcomes = json.loads(capsys.readouterr().out)[0]["outcomes"]
    files = [str(folder.parent / "data" / "sts" / f"{name}.tsv") for name in ("one", "two")]
    assert main(["eval", "sts", *files, *model, "--prompt", "prompteol", "--json"]) == 0
    values = [one["measures"]["spearman"] for one in json.loads(capsys.readouterr().out)]
    assert [one["got"] for one in outcomes] == [pytest.approx(fmean(values)), values[1]]


def test_what_is_missing_is_said_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "tiny.toml").write_text(SIMILARITY)
    (folder / "other.toml").write_text(RETRIEVAL.replace("EXPECTED", "0.3333"))
    for asked, message in (
        (["tiny-sts", *places(folder)], "has-this.* --model FOLDER .*it needs patience"),
        (["tiny-sts"], r"no pairs of one: expected one\.tsv in the folder given by --data"),
        (["tiny-bm25", "--data", str(folder)], "has no tiny: expected corpus.jsonl"),
        (["tiny-bm25", *places(folder), "--model", "x"], "no model takes part"),
        (["tiny-sts", "tiny-bm25", "--data", str(folder)], "and 1 more, see --json"),
        (["tiny-stt"], "no configuration is called 'tiny-stt'; did you mean tiny-sts"),
    ):
        assert main(["reproduce", *asked]) == FAILED
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.count("\n") == 1
        assert re.search(message, shown.err), shown.err


def test_what_can_be_repeated_is_repeated_beside_what_cannot(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "tiny.toml").write_text(SIMILARITY)
    (folder / "other.toml").write_text(RETRIEVAL.replace("EXPECTED", "0.3333"))
    asked = ["reproduce", "tiny-sts", "tiny-bm25", *places(folder), "--json"]
    assert main(asked) == FAILED
    shown = capsys.readouterr()
    failed, done = json.loads(shown.out)
    assert "it needs patience" in failed["failure"] and "outcomes" not in failed
    assert done["outcomes"][0]["within"]


def test_the_list_shows_names_and_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce"]) == 0
    shown = capsys.readouterr().out
    assert main(["reproduce", "--list"]) == 0
    assert capsys.readouterr().out == shown
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line.strip()}
    assert rows["promptreps-nfcorpus"][2:5] == ["0.2956", "0.2818", "0.3298"]
    assert rows["tp-llama2-7b"][1:3] == ["spearman", "77.19"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the evaluation data (LASTWORD_DATA)")
def test_bm25_on_scifact_is_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["bm25-scifact", "--data", str(SHARED), "--out", str(tmp_path), "--json"]
    assert main(["reproduce", *asked]) == 0
    outcome = json.loads(capsys.readouterr().out)[0]["outcomes"][0]
    assert outcome["expected"] == 0.6789 and outcome["got"] == pytest.approx(0.6795, abs=5e-5)
