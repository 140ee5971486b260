"""What a report shows: marks against scipy and arithmetic, names, sides, and what was lost."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from eval.measures.measures import evaluate
from eval.report.dataset import judged_datasets, names_of
from eval.report.gather import Report, ReportOptions, gather
from eval.report.queries import choose_queries
from eval.report.tables import Averaged, columns, verdict
from eval.report.weights import share_weights, weight_curves
from eval.report.write import write_report
from eval.runs.run_folder import RunFolder
from eval.statistics.paired import pair
from retrieval.fusion import fusion_by_name
from tests.run_folders import ENCODERS, QRELS, retrieval_folder, sts_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return retrieval_folder(tmp_path_factory.mktemp("one") / "run", names=("tiny", "a/b"))


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return retrieval_folder(tmp_path_factory.mktemp("single") / "run")


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return gather([folder], ReportOptions(encoders={folder: ENCODERS}))


def items(values: list[float]) -> dict[str, float]:
    return {str(at): value for at, value in enumerate(values)}


def test_marks_agree_with_a_permutation_test_and_holm() -> None:
    generator = np.random.default_rng(3)
    best = generator.random(12)
    near = best - 0.01 + 0.3 * (generator.random(12) - 0.5)
    far = best - 0.4 - 0.1 * generator.random(12)
    held = {"far": far, "best": best + 0.05, "near": near}
    values = {name: {"d": items(row.tolist())} for name, row in held.items()}
    [made] = columns([Averaged("m", values, {"d": 1.0})])
    p = {
        name: stats.permutation_test(
            (held["best"] - held[name],), np.mean, permutation_type="samples", n_resamples=5000
        ).pvalue
        for name in ("far", "near")
    }
    assert made.best == "best"
    assert made.cells["far"].p == pytest.approx(2 * p["far"], abs=1e-9)  # 4,096 patterns: exact
    assert made.cells["near"].p == pytest.approx(p["near"], abs=1e-9)
    assert (made.cells["far"].mark, made.cells["near"].mark) == ("worse", "close")
    assert verdict(made, "m") == (
        f"best has the highest m, {held['best'].mean():.4f}; "
        "near cannot be told from it; far is worse (at 0.05 by Holm over 2 tests)."
    )


def test_a_mean_over_data_sets_counts_each_as_told() -> None:
    held = {
        "a": {"x": items([1.0, 1.0]), "y": items([0.0])},
        "b": {"x": items([0.0, 0.5]), "y": items([1.0])},
        "c": {"x": items([9.0])},
    }
    [made] = columns([Averaged("mean", held, {"x": 0.5, "y": 0.5})])
    assert made.cells["a"].mean == 0.5
    assert made.cells["b"].mean == 0.625
    assert made.cells["c"].mean is None
    assert made.best == "b"


def test_systems_without_shared_items_are_not_tested() -> None:
    held = {"a": {"x": {"1": 1.0}}, "b": {"x": {"2": 0.5}}}
    [made] = columns([Averaged("m", held, {"x": 1.0})])
    assert (made.cells["a"].mark, made.cells["b"].mark) == ("best", "unlike")
    assert made.cells["b"].p is None


def test_folders_are_named_by_what_tells_them_apart(tmp_path: Path) -> None:
    paths = [tmp_path / "m1" / "p", tmp_path / "m2" / "p", tmp_path / "m2" / "q"]
    assert names_of(paths) == ["m1/p", "m2/p", "m2/q"]
    assert names_of(paths[1:]) == ["p", "q"]
    with pytest.raises(ValueError, match="given twice"):
        names_of([paths[0], paths[0]])


def test_one_folder_is_compared_within(report: Report) -> None:
    held = report.sets[0]
    assert [one.name for one in report.sets] == ["a/b", "tiny"]
    assert held.compared is not None and held.compared[1] == "fused"
    assert held.table.systems == ("bm25", "sparse", "fused")
    assert [table.key for table in report.tables] == ["overview-retrieval", "means-retrieval"]
    assert held.key == "a-b"
    assert "2 data sets" in report.verdicts[0]
    assert report.configurations[0].prompts[0].name == "plain"
    assert report.marked == ("bm25", "sparse")
    assert report.unmarked == ()


def test_a_query_is_shown_with_what_was_found(report: Report) -> None:
    page = report.sets[1].queries[0]
    assert (page.key, page.id, page.relevant) == ("q-tiny-1", "q1", 1)
    first = page.sides[0].documents[0]
    assert (first.rank, first.id, first.gain) == (1, "d1", 2)
    assert "".join(piece.text for piece in first.title) == "Keys <script>alert(1)</script>"
    gains = {document.id: document.gain for document in page.sides[0].documents}
    assert gains["d5"] == 0 and gains["d2"] is None
    again = {document.id: document for document in page.sides[1].documents}["d1"]
    assert again.seen == page.sides[0].system and again.text == ()
    assert report.sets[1].queries[2].sides[0].documents == ()  # unanswered


def test_losses_pools_and_costs_are_told(report: Report) -> None:
    held = {listing.key: listing for listing in report.listings}
    assert ("tiny", "fused", "documents", "bm25, sparse", "5", "1") in held["losses"].rows
    assert ("tiny", "fused", "queries", "bm25, sparse", "3", "0") in held["losses"].rows
    pools = {row[:2]: row[2:] for row in held["pools"].rows}
    # bm25 finds d1, d2, d5 for q1, and d2, d3, d5 for q2: d2 of q1 and d5 of q2 are not judged.
    assert pools["tiny", "bm25"] == ("3", "1", "66.7 %", "0")
    assert held["costs"].rows[0][0] == "a/b"


def test_only_some_queries_in_full(folder: Path) -> None:
    sets = judged_datasets([RunFolder.open(folder)])
    assert choose_queries(sets, 0) == set()
    assert len(choose_queries(sets, 4)) == 4
    report = gather([folder], ReportOptions(queries=1))
    full = [page for held in report.sets for page in held.queries if page.sides]
    assert (report.full, report.queries, len(full)) == (1, 6, 1)
    largest = max(abs(page.difference or 0) for held in report.sets for page in held.queries)
    assert abs(full[0].difference or 0) == largest
    assert report.unmarked == ("sparse",)


@pytest.mark.parametrize("measure", ["nDCG@10", "AP", "Rprec"])
def test_weights_are_fused_as_a_search_would(single: Path, tmp_path: Path, measure: str) -> None:
    """A sweep judges the first two by ranks; the last it cannot, so each fusion is evaluated."""
    copy = tmp_path / "copy"
    shutil.copytree(single, copy)
    path = copy / "tiny.json"
    data = json.loads(path.read_text())
    for run, measures in data["values"].items():
        data["values"][run] = {measure: measures["nDCG@10"]}
    path.write_text(json.dumps(data))
    (judged,) = judged_datasets([RunFolder.open(copy)])
    curve = weight_curves(judged, judged.counted[0])["bm25"]
    for weight, value in zip(curve.weights, curve.values, strict=True):
        fuse = fusion_by_name(f"promptreps:bm25={weight},sparse={1 - weight}", ["bm25", "sparse"])
        fused = fuse([judged.runs["bm25"], judged.runs["sparse"]])
        by_query = evaluate(fused, QRELS, [measure])[measure]
        assert value == pytest.approx(sum(by_query.values()) / 3, abs=1e-12)


def test_weights_of_the_rest_are_shared() -> None:
    assert share_weights({"a": 0.2, "b": 0.2, "c": 0.6}, "c", 0.4) == pytest.approx(
        {"a": 0.3, "b": 0.3, "c": 0.4}
    )
    assert share_weights({"a": 1.0, "b": 0.0}, "a", 0.25) == {"a": 0.25, "b": 0.75}


def test_without_an_index_ids_are_shown(single: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(single, copy)
    for path in copy.glob("*.json"):
        if path.name != "config.json":
            data = json.loads(path.read_text()) | {"index": str(tmp_path / "gone")}
            path.write_text(json.dumps(data))
    report = gather([copy])
    first = report.sets[0].queries[0].sides[0].documents[0]
    assert (first.id, first.title, first.text) == ("d1", (), ())
    assert (report.marked, report.unmarked) == ((), ("bm25", "sparse"))


def test_two_folders_and_a_data_set_that_only_one_has(folder: Path, tmp_path: Path) -> None:
    other = retrieval_folder(tmp_path / "words", ("bm25",))
    report = gather([other, folder])
    held = {one.name: one for one in report.sets}
    assert held["tiny"].compared == ("words", "run fused")
    assert held["tiny"].table.systems == ("words", "run bm25", "run sparse", "run fused")
    assert held["a/b"].table.systems == ("run bm25", "run sparse", "run fused")
    means = report.tables[0].columns[-1]
    assert means.cells["words"].mean is None
    page = held["tiny"].queries[0]
    assert [side.system for side in page.sides] == ["words", "run fused"]
    assert page.sides[1].documents[0].text  # each folder marks its own channels
    assert page.difference == pytest.approx(page.values["run fused"] - page.values["words"])


def test_sts_has_tables_and_no_queries(tmp_path: Path) -> None:
    report = gather([sts_folder(tmp_path / "a"), sts_folder(tmp_path / "b", 0.2)])
    assert report.queries == 0
    held = {one.name: one for one in report.sets}["pairs"]
    assert held.table.columns[0].cells["b"].mean == pytest.approx(0.65)
    assert held.table.columns[0].cells["a"].mark == "worse"
    drawn = {plot.key: plot for plot in held.plots}
    assert drawn.keys() == {
        *("scatter-pairs", "difference-pairs", "tokens-pairs", "seconds-pairs"),
    }
    assert "<a " not in drawn["scatter-pairs"].svg  # a pair has no place to lead to
    subsets = next(listing for listing in report.listings if listing.key == "subsets")
    assert subsets.rows[0] == ("more-pairs", "a", "forum", "4", "spearman 0.5000")


def test_prompts_of_one_model_are_drawn(single: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(single, other)
    config = json.loads((other / "config.json").read_text())
    config["settings"]["recipes"]["sparse"]["prompt"] = 'name = "second"'
    (other / "config.json").write_text(json.dumps(config))
    (plot,) = gather([single, other]).plots
    assert plot.key == "sensitivity"
    config["settings"] = {"benchmark": "prompts", "model": "m", "prompt": "", "channels": ["bm25"]}
    (other / "config.json").write_text(json.dumps(config))
    assert gather([single, other]).plots == ()  # bm25 has no prompt
    config["settings"]["channels"] = ["sparse", "bm25"]
    (other / "config.json").write_text(json.dumps(config))
    (prompt,) = gather([single, other]).configurations[1].prompts
    assert (prompt.name, prompt.model, prompt.channels) == ("other", "m", ("sparse",))
    assert "model" in plot.svg


def test_what_is_no_run_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no run folder"):
        gather([tmp_path])
    with pytest.raises(ValueError, match="needs a run folder"):
        gather([])
    with pytest.raises(ValueError, match="0 queries or more; got -1"):
        ReportOptions(queries=-1)


@pytest.mark.parametrize("name", ["report.html", "report.md", "report-files"])
def test_nothing_of_a_report_is_written_through_a_link(
    single: Path, tmp_path: Path, name: str
) -> None:
    """A run folder may come from a stranger; drawings went where report-files led."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (tmp_path / name).symlink_to(theirs)
    with pytest.raises(ValueError, match=f"{name} is a link"):
        write_report([single], tmp_path / "report.html")
    assert not list(theirs.iterdir()) and [one.name for one in tmp_path.glob("report*")] == [name]


def test_equal_values_are_equal_on_every_item() -> None:
    held = {name: {"d": items([0.1, 0.2, 0.3])} for name in ("a", "b")}
    [made] = columns([Averaged("m", held, {"d": 1.0})])
    assert made.cells["b"] == replace(made.cells["b"], mark="close", p=1.0)
    assert not pair("d", ("a", held["a"]["d"]), ("b", held["b"]["d"])).differences.any()
