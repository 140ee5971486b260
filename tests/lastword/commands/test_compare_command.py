"""lastword compare: run folders, runs of a folder and TREC files; errors are one line."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from embedder.encoders.bm25 import BM25Encoder
from eval.data.qrels import write_qrels
from eval.measures.measures import Values, evaluate
from eval.runs.record import Record, RunCost
from eval.runs.run_folder import CONFIG, RetrievalRecordFiles
from index.documents import Document
from lastword.main import main
from retrieval.build import build_index
from retrieval.run import Run, write_trec

QUERIES = {f"q{at}": f"what does lava of kind {at} do" for at in range(1, 9)}
QRELS = {query: {"a": 1, "b": 0} for query in QUERIES}
GOOD = {query: {"a": 2.0, "b": 1.0} for query in QUERIES}
BAD = {**GOOD, "q1": {"x": 2.0, "a": 1.0}, "q2": {"b": 1.0}, "q3": {}}
COST = RunCost({}, {}, 0)


def ran(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["compare", *(str(word) for word in words)])
    out, err = capsys.readouterr()
    return code, out, err


def save(folder: Path, runs: Mapping[str, Run], dataset: str = "lava", index: str = "") -> Path:
    """Write a run folder whose last run counts."""
    values = {name: evaluate(run, QRELS, ["RR", "AP"]) for name, run in runs.items()}
    prints = {name: "{}" for name in runs}
    details = {"index": index} if index else {}
    record = Record("retrieval", dataset, values, [*runs][-1], prints, COST, details)
    RetrievalRecordFiles(record, runs, QRELS, QUERIES).write(folder)
    (folder / CONFIG).write_text("{}")
    return folder


def save_sts(folder: Path, *numbers: float) -> Path:
    values: Values = {"spearman": {str(at): held for at, held in enumerate(numbers, start=1)}}
    Record("sts", "pairs", {"dense": values}, "dense", {}, COST).write(folder)
    (folder / CONFIG).write_text("{}")
    return folder


@pytest.mark.parametrize("columns", [80, 100])
def test_two_folders_are_compared_and_shown(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    terminal: Callable[[int], None],
    columns: int,
) -> None:
    terminal(columns)
    documents = [Document("a", "Lava", "flows down"), Document("x", "Ice", "melts")]
    build_index(documents, {"bm25": BM25Encoder()}, tmp_path / "lava.index")
    index = str(tmp_path / "lava.index")
    ours = save(tmp_path / "ours", {"bm25": BAD}, index=index)
    theirs = save(tmp_path / "theirs", {"bm25": BAD, "fused": GOOD}, index=index)
    code, out, _ = ran(capsys, ours, theirs, "--differ", 2)
    assert code == 0 and max(map(len, out.splitlines())) <= columns
    flat = " ".join(out.split())
    # .5, 0 and 0 of 8 queries: two of eight patterns of the three differences are as far.
    assert "RR, compared with ours:" in flat and "ours 0.6875" in flat
    assert "theirs 1.0000 +0.3125 ±0.3" in flat and "0.2500 0.2500 +0.68 3/5/0" in flat
    assert "ours 92.3 % 1 of 8 0 - theirs 100.0 % 0 of 8 0 75.0 %" in flat
    assert "lava q2: 0.0000 and 1.0000 (+1.0000) what does lava of kind 2 do" in flat
    assert "a Lava flows down" in flat and "lava q3:" in flat and "lava q1:" not in flat


def test_runs_of_one_folder_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = save(tmp_path / "x", {"bm25": BAD, "fused": GOOD})
    words = (f"{folder}:fused", f"{folder}:bm25", folder, "--all-pairs", "--measures", "AP,RR")
    code, out, err = ran(capsys, *words, "--json")
    told = json.loads(out)
    assert code == 0 and not err
    assert [one["measure"] for one in told["comparisons"]] == ["AP", "RR"]
    assert told["comparisons"][0]["systems"] == ["fused", "bm25", "x"]
    assert [row["difference"] for row in told["comparisons"][1]["rows"]] == [-0.3125, 0.0, 0.3125]
    assert len(told["overlaps"]) == 3
    assert {(one["baseline"], one["system"]) for one in told["differing"]} == {
        *(("fused", "bm25"), ("bm25", "x"))
    }


def test_files_are_judged_by_the_judgements_given(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_qrels(QRELS, tmp_path / "lava.qrels")
    for name, run in (("one", BAD), ("two", GOOD)):
        (tmp_path / name).mkdir()
        write_trec(run, tmp_path / name / "run.trec")
    files = [tmp_path / name / "run.trec" for name in ("one", "two")]
    qrels = ("--qrels", tmp_path / "lava.qrels")
    code, out, _ = ran(capsys, *files, *qrels, "--measures", "RR@10", "--json")
    [comparison] = json.loads(out)["comparisons"]
    assert code == 0 and comparison["systems"] == [str(file) for file in files]
    assert comparison["datasets"] == ["lava"] and comparison["rows"][0]["wins"] == 3
    code, out, _ = ran(capsys, *files, *qrels)
    assert "nDCG@10, compared with" in out and "by their ids alone" in out


def test_pairs_of_sentences_are_compared_without_documents(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ours = save_sts(tmp_path / "ours", 0.5, 0.25, 0.75)
    theirs = save_sts(tmp_path / "theirs", 0.5, 1.0, 0.5)
    code, out, _ = ran(capsys, ours, theirs)
    flat = " ".join(out.split())
    assert code == 0 and "What the figures rest on" not in out and "by their ids" not in out
    assert "pairs 2 0.2500 1.0000 +0.7500 pairs 3 0.7500 0.5000 -0.2500" in flat


def test_what_is_not_compared_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ours = save_sts(save(tmp_path / "ours", {"bm25": GOOD}), 0.5, 0.25, 0.75)
    theirs = save_sts(tmp_path / "theirs", 0.5, 1.0)
    code, out, _ = ran(capsys, ours, theirs, "--differ", 0)
    flat = " ".join(out.split())
    assert code == 0 and "Not compared: lava, which only ours has." in flat
    assert "compared on the 2 items that both have; 1 only of ours and 0 only of theirs" in flat
    assert "differ most" not in flat


def test_a_run_beside_itself_is_no_test(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The headline spoke of significance "by Holm over 0 tests"."""
    ours = save(tmp_path / "ours", {"bm25": GOOD})
    theirs = save(tmp_path / "theirs", {"bm25": GOOD})
    code, out, _ = ran(capsys, ours, theirs)
    assert code == 0 and "Equal on every item, so not tested again: theirs (as ours)." in out
    assert "significant" not in out and "0 tests" not in out


def test_the_average_of_several_data_sets_is_a_row(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, run in (("ours", BAD), ("theirs", GOOD)):
        save(tmp_path / name, {"bm25": run})
        save(tmp_path / name, {"bm25": GOOD}, "ice")
    both = tmp_path / "ours", tmp_path / "theirs"
    code, out, _ = ran(capsys, *both, "--quiet")
    assert code == 0 and "mean of 2 ours 0.8438 theirs 1.0000 +0.1562" in " ".join(out.split())
    code, out, _ = ran(capsys, *both, "--datasets", "ice", "--json")
    assert json.loads(out)["comparisons"][0]["datasets"] == ["ice"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ours"], "a comparison needs two systems; got ours"),
        (["ours", "ours"], "a system is compared with others; ours comes twice"),
        (["ours", "gone"], "No such file or directory: gone"),
        (["ours", "ours:nix"], "ours has no run 'nix'; there is bm25"),
        (["ours", "x.trec"], "x.trec is a file; TREC runs are compared with --qrels"),
        (["x.trec", "ours", "--qrels", "x.qrels"], "ours is a folder; --qrels judges TREC run"),
        (["x.trec", "y.trec", "--qrels", "gone"], "No such file or directory: gone"),
        (["ours", "theirs"], "no data set is shared by all systems: ours has lava; theirs has ice"),
        (["ours", "theirs", "--datasets", "ice"], "ours has no data set ice; it has lava"),
        (["ours", "ours:bm25", "--measures", "P@5"], "ours has no measure 'P@5' of lava"),
        (["ours", "ours:bm25", "--level", "95"], "above 0 and below 1, e.g. 0.95; got 95"),
    ],
)
def test_what_does_not_compare_is_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path("ours"), {"bm25": GOOD})
    save(Path("theirs"), {"bm25": GOOD}, "ice")
    write_trec(GOOD, "x.trec")
    write_qrels(QRELS, Path("x.qrels"))
    code, out, err = ran(capsys, *words)
    assert code == 2 and not out and message in err and len(err.splitlines()) == 1


def test_long_names_are_folded_and_figures_are_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, terminal: Callable[[int], None]
) -> None:
    """Names took the room of two digits of every figure once, and then were cut themselves."""
    terminal(80)
    folders = [save(tmp_path / f"{'long' * 8}-{at}", {"bm25": BAD, "fused": GOOD}) for at in (1, 2)]
    code, out, _ = ran(capsys, folders[0], f"{folders[1]}:bm25", "--differ", "0")
    figures = out[out.index("───") :]  # names go on below, beside nothing
    letters = "".join(re.findall("[long]{2,}", figures[: figures.index("diff:")]))
    assert code == 0 and letters.count("long") >= 2 * 8 and "-2:bm25" in figures
    assert "…" not in out and max(map(len, out.splitlines())) <= 80


def test_other_documents_under_one_name_are_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Run folders of a collection and of its successor were compared without a word."""
    folders = [save(tmp_path / name, {"bm25": run}) for name, run in (("a", BAD), ("b", GOOD))]
    for folder in folders:
        path = folder / "lava.json"
        source = {"documents": folder.name, "judgements": "same"}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"source": source}))
    code, out, _ = ran(capsys, *folders)
    assert code == 0
    assert "lava: a and b were judged with different documents; the" in " ".join(out.split())
    _, out, _ = ran(capsys, *folders, "--json")
    [difference] = json.loads(out)["sources_differ"]
    assert difference == {"dataset": "lava", "systems": ["a", "b"], "parts": ["documents"]}


def test_tables_for_papers_are_written_beside(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ours = save(tmp_path / "ours", {"bm25": BAD})
    theirs = save(tmp_path / "theirs", {"bm25": GOOD})
    files = ["--latex", tmp_path / "t.tex", "--csv", tmp_path / "t.csv"]
    code, _, said = ran(capsys, ours, theirs, "--measures", "RR,AP", *files)
    assert code == 0 and "t.tex too." in said and "t.csv too." in said
    table = (tmp_path / "t.tex").read_text(encoding="utf-8")
    assert "$^{b}$ theirs & \\textbf{1.0000} & \\textbf{1.0000} \\\\\n" in table
    lines = (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:4] for line in lines[1:]] == [
        ["RR", "lava", "theirs", "1.0"],
        ["AP", "lava", "theirs", "1.0"],
    ]
    (tmp_path / "link.tex").symlink_to("t.tex")
    code, _, said = ran(capsys, ours, theirs, "--latex", tmp_path / "link.tex")
    assert code == 2 and "nothing is written through links" in said
    code, _, said = ran(capsys, ours, theirs, "--csv", tmp_path / "none" / "t.csv")
    assert code == 2 and "is no folder; make it first" in said
