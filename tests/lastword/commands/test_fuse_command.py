"""The command fuse: runs become one, weights are found, and an index follows them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.data.qrels import write_qrels
from eval.measures.measures import evaluate, means
from eval.runs.run_folder import RunFolder
from index.folder import Index
from index.manifest import Manifest
from index.manifest_file import read_manifest, write_manifest
from lastword.main import main
from retrieval.fusion import fusion_by_name
from retrieval.run import Run, read_trec, write_trec

WEIGHED = "minmax:dense=0,bm25=1"


def says(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:  # noqa: ANN401
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return json.loads(said.out)


def refuses(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    return said.err


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs "a" and "b" of 40 queries, best at about a third of a: there the noise cancels.

    It has opposite signs, and a document that only b finds makes b's range twice as wide.
    """
    folder = tmp_path_factory.mktemp("planted")
    numbers = np.random.default_rng(1)
    a: Run = {}
    b: Run = {}
    qrels = {}
    for query in (f"q{number}" for number in range(40)):
        noise = numbers.uniform(-1, 1, 50)
        relevant = int(numbers.integers(50))
        useful = np.where(np.arange(50) == relevant, 0.1, 0.0)
        a[query] = {f"d{at}": float(noise[at] + useful[at]) for at in range(50)}
        b[query] = {f"d{at}": float(useful[at] - noise[at]) for at in range(50)} | {"low": -3.0}
        qrels[query] = {f"d{relevant}": 1}
    write_trec(a, folder / "a.trec")
    write_trec(b, folder / "b.trec")
    write_qrels(qrels, folder / "dev.qrels")
    write_qrels(qrels, folder / "test.qrels")
    return folder


@pytest.fixture
def small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """An index of three texts, read by the bundled model (dense) and as words (bm25)."""
    lines = [
        {"_id": "tea", "text": "Steep green tea below boiling water."},
        {"_id": "key", "text": "Rotate a signing key once a year."},
        {"_id": "lava", "text": "Lava cools into black rock near a volcano."},
    ]
    source = tmp_path / "corpus.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = tmp_path / "my.index"
    assert main(["index", str(source), "-o", str(path), "--channels", "dense,bm25", "-q"]) == 0
    return path


def test_runs_are_fused_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_trec({"q": {"x": 3.0, "y": 2.0, "z": 1.0}}, tmp_path / "a.trec")
    write_trec({"q": {"z": 9.0, "y": 1.0}, "r": {"x": 1.0}}, tmp_path / "b.trec")
    out = tmp_path / "out.trec"
    said = says(
        capsys, "fuse", tmp_path / "a.trec", f"other={tmp_path / 'b.trec'}",
        *("--fusion", "minmax:a=.3,other=.7", "-o", out),
    )  # fmt: skip
    assert read_trec(out) == {
        "q": {"x": pytest.approx(0.3), "y": pytest.approx(0.55), "z": pytest.approx(0.8)},
        "r": {"x": 0.7},
    }
    assert (said["runs"], said["queries"], said["into"]) == (["a", "other"], 2, None)


def test_a_sweep_finds_a_planted_weight(planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = planted / "study.json"
    files = [planted / "a.trec", planted / "b.trec"]
    asked = ("--qrels", planted / "dev.qrels", "-o", study, "--methods", "minmax,zscore")
    said = says(capsys, "fuse", *files, "--sweep", *asked)
    assert json.loads(study.read_text()) == said
    assert said["adopt"] and said["dataset"] == "dev" and said["queries"] == 40
    low, high = said["weights"]["a"]["low"], said["weights"]["a"]["high"]
    assert low <= said["weights"]["a"]["chosen"] <= high
    runs = [read_trec(file) for file in files]
    qrels = {q: {d: 1} for q, d in _relevant(planted / "dev.qrels")}
    for held in (said["settings"][0], said["settings"][-1], {**said, "fusion": said["chosen"]}):
        fused = fusion_by_name(held["fusion"], ["a", "b"])(runs)
        assert means(evaluate(fused, qrels, ["nDCG@10"]))["nDCG@10"] == pytest.approx(held["mean"])
    assert said["gains"][0]["over"] == "minmax" and said["gains"][0]["p"] < 0.05


def _relevant(path: Path) -> list[tuple[str, str]]:
    return [(line.split()[0], line.split()[2]) for line in path.read_text().splitlines()]


def test_a_sweep_is_shown(planted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = (str(planted / "a.trec"), str(planted / "b.trec"))
    assert main(["fuse", *files, "--sweep", "--qrels", str(planted / "dev.qrels"), "-q"]) == 0
    out = capsys.readouterr().out
    assert "dev: nDCG@10 of 40 queries, 2 runs, 66 settings" in out
    assert "(in use)" in out and "Use " in out


def test_what_cannot_be_fused_is_refused(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = planted / "a.trec", planted / "b.trec"
    sweep = ("fuse", a, b, "--sweep")
    assert "figures are reported" in refuses(capsys, *sweep, "--qrels", planted / "test.qrels")
    assert "give their judgements" in refuses(capsys, *sweep)
    assert "at least two runs; got a" in refuses(capsys, "fuse", a, "-o", tmp_path / "x")
    assert "two runs are called 'a'" in refuses(capsys, "fuse", a, f"a={b}", "-o", tmp_path / "x")
    assert "a run called 'k'" in refuses(capsys, "fuse", a, f"k={b}", "-o", tmp_path / "x")
    assert "fuse takes RUN..." in refuses(capsys, "fuse", a, b)
    assert "is no run folder" in refuses(capsys, "fuse", planted, "--sweep")
    assert "given alone" in refuses(capsys, "fuse", a, planted, "-o", tmp_path / "x")


def test_an_index_follows_its_own_fusion(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Asked comes first, then the index's own, then the prompt's or the default."""

    def fusion(*more: str) -> str:
        return str(says(capsys, "search", small, "rotate keys", *more)["fusion"])

    before = fusion()
    assert says(capsys, "info", small)["fusion"] is None
    says(capsys, "fuse", "--fusion", WEIGHED, "--into", small)
    assert (fusion(), fusion("--fusion", "rrf")) == (WEIGHED, "rrf") != (before, "rrf")
    hits = says(capsys, "search", small, "rotate keys")["hits"]
    assert [hit["id"] for hit in hits] == ["key"]  # dense of weight 0 finds nothing
    assert says(capsys, "info", small)["fusion"] == WEIGHED
    assert main(["info", str(small)]) == 0 and WEIGHED in capsys.readouterr().out
    assert says(capsys, "search", small, "keys", "--channels", "bm25")["fusion"] is None
    says(capsys, "delete", small, "tea")
    more = small.parent / "more.jsonl"
    more.write_text('{"_id": "rain", "text": "Rain falls."}\n')
    assert main(["add", str(small), str(more), "-q"]) == 0
    says(capsys, "merge", small)
    assert fusion() == WEIGHED
    says(capsys, "fuse", "--into", small)
    assert fusion() == before


def test_an_index_refuses_a_fusion_of_other_channels(
    small: Path, planted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (small / "manifest.json").read_bytes()
    for wrong in ("minmax:dense=1", "minmax:dense=.5,sparse=.5", "minmaxx"):
        assert "cannot be searched so" in refuses(
            capsys, "fuse", "--fusion", wrong, "--into", small
        )
    sweep = ("fuse", planted / "a.trec", planted / "b.trec", "--sweep", "--into", small)
    told = refuses(capsys, *sweep, "--qrels", planted / "dev.qrels")
    assert "has channels dense, bm25; the runs are called a, b" in told
    assert (small / "manifest.json").read_bytes() == before


def test_a_sweep_goes_into_an_index_if_it_is_believed(
    small: Path, planted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = (f"dense={planted / 'a.trec'}", f"bm25={planted / 'b.trec'}")
    asked = ("--sweep", "--qrels", planted / "dev.qrels", "--into", small)
    said = says(capsys, "fuse", *runs, *asked)
    with Index.open(small) as held:
        assert said["into"] == str(small) and held.manifest.fusion == said["chosen"]
    # What is in use now is as good as it gets: nothing changes.
    again = says(capsys, "fuse", *runs, *asked, "--fusion", said["chosen"])
    assert again["into"] is None and not again["adopt"]


def test_manifests_from_before_fusions_are_read(small: Path) -> None:
    held = read_manifest(small)
    data = held.to_json()
    del data["fusion"]
    assert Manifest.from_json(data) == held and held.fusion == ""
    write_manifest(small, Manifest.from_json(data | {"fusion": "rrf"}))
    assert read_manifest(small).fusion == "rrf"


def test_a_run_folder_is_swept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mine"
    (folder / "qrels").mkdir(parents=True)
    words = ["tea", "lava", "keys", "cats", "rain", "snow", "iron", "gold", "wheat", "salt", "oil"]
    for name in ("corpus", "queries"):
        lines = [json.dumps({"_id": word, "title": "", "text": f"some {word}"}) for word in words]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    judged = "".join(f"{word}\t{word}\t1\n" for word in words)
    for split in ("dev", "test"):
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    out = tmp_path / "out"
    shared = ("--indexes", tmp_path / "indexes", "--channels", "dense,bm25", "--out")
    says(capsys, "eval", "retrieval", folder, "--split", "dev", *shared, out)
    said = says(capsys, "fuse", out, "--sweep")
    record = RunFolder.open(out).records["mine/dev"]
    assert said["runs"] == ["dense", "bm25"] and said["dataset"] == "mine/dev"
    assert said["gains"][0]["over"] == record.details["fusion"]
    assert json.loads((out / "sweep.json").read_text()) == said
    assert [*RunFolder.open(out).records] == ["mine/dev"]  # which the study is none of
    says(capsys, "eval", "retrieval", folder, *shared, tmp_path / "tested")
    assert "mine is the split" in refuses(capsys, "fuse", tmp_path / "tested", "--sweep")
    fused = tmp_path / "fused.trec"
    assert says(capsys, "fuse", tmp_path / "tested", "-o", fused)["queries"] == len(words)
