"""PromptReps' pipeline through Lucene, on the golden models: the runs that its authors got."""

import json
from pathlib import Path

import pytest

from embedder.lucene.jvm import INSTALL
from eval.data.collections import open_collection
from eval.tasks.engines import LUCENE, judge_engines
from eval.tasks.published import EQUAL
from eval.tasks.retrieval import JudgeOptions
from retrieval.run import read_trec
from tests.folders import GOLDENS
from tests.golden import cases, encoder, read, texts

pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")


@pytest.mark.parametrize("case", cases("promptreps_search"))
def test_lucene_and_the_index_give_the_runs_of_the_original(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [str(GOLDENS[-1] / "nltk_data"), *nltk.data.path])
    if not case.name.endswith("first-token-single"):
        pytest.skip("several rows a text are searched by a program of their own there")
    settings = read(case)
    data = write_golden(tmp_path / "golden", settings)
    options = JudgeOptions(out=tmp_path / "run", measures=("nDCG@10",), latencies=0)
    encoders = {"sparse": encoder(settings, "first-token")}
    figures = judge_engines(open_collection(data), encoders, tmp_path / "indexes", options)
    assert figures[LUCENE][EQUAL] == 1
    assert figures[LUCENE]["nDCG@10"] == figures["sparse"]["nDCG@10"]
    run = read_trec(tmp_path / "run" / f"golden.{LUCENE}.trec")
    (original,) = [each for each in settings["runs"] if each["sparse"] == "sparse_d20.trec"]
    expected = read_trec(case / original["sparse"])
    for query_id, scores in run.items():
        assert dict(list(scores.items())[:20]) == expected.get(query_id, {})


def write_golden(folder: Path, settings: dict[str, object]) -> Path:
    """Write the golden texts as a BEIR folder, in which every query finds the first document."""
    (folder / "qrels").mkdir(parents=True)
    sides = {side: texts(settings, side) for side in ("docs", "queries")}
    for name, side in (("corpus", "docs"), ("queries", "queries")):
        lines = [json.dumps({"_id": key, "text": text}) for key, text in sides[side].items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    first = next(iter(sides["docs"]))
    rows = [f"{query}\t{first}\t1" for query in sides["queries"]]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    return folder
