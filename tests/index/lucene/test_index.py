"""An index with a Lucene channel is added to, deleted from, merged and checked as any other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.lucene import jvm
from embedder.lucene.jvm import INSTALL
from embedder.types import Encoder
from index.channels.weighting import Weighting
from index.folder import Index, check
from index.manifest import Manifest
from index.writer import IndexWriter
from retrieval.build import add_documents, build_index
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.retriever import Retriever
from retrieval.run import Run
from tests.folders import ROOT
from tests.synthetic import SignEncoder, documents, queries

pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")

ENGINES = {
    name: ChannelOptions("inverted", weighting=Weighting(name), engine="lucene")
    for name in ("bm25", "impacts")
}
OPTIONS = BuildOptions(ENGINES, segment_documents=30)
LUCENE = ("_0.cfs", "_0.cfe", "_0.si", "segments_1")
"""Files that Lucene writes."""


def encoders() -> dict[str, Encoder]:
    words = BM25Encoder()
    return {"dense": SignEncoder(), "bm25": words, "impacts": words}


def build(path: Path, count: int = 70, options: BuildOptions = OPTIONS) -> Path:
    build_index(documents(count), encoders(), path, options)
    return path


def search(index: Index) -> dict[str, Run]:
    answer = Retriever(index, encoders()).answer(queries(), 20)
    return dict(answer.channels)


def change(path: Path) -> None:
    add_documents(documents(20, start=70), encoders(), path)
    with IndexWriter(path) as writer:
        writer.delete(["d3", "d35", *(f"d{at}" for at in range(60, 70))])
        writer.commit()


def test_deleted_documents_are_not_found_and_a_merge_is_a_new_index(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    change(path)
    gone = {"d3", "d35", *(f"d{at}" for at in range(60, 70))}  # all of the third segment among them
    with Index.open(path) as index:
        assert index.segments == 4
        for channel in ENGINES:
            ids = {name for found in search(index)[channel].values() for name in found}
            assert ids and not ids & gone
    with IndexWriter(path) as writer:
        writer.merge()
        writer.commit()
        writer.compact()
    kept = [document for document in documents(90) if document.id not in gone]
    build_index(kept, encoders(), tmp_path / "new", OPTIONS)
    with Index.open(path) as index, Index.open(tmp_path / "new") as new:
        assert index.segments == 1 and new.segments == 3
        merged, built = search(index), search(new)
        assert merged.keys() == built.keys()
        for channel, run in merged.items():
            assert run.keys() == built[channel].keys()
            for query, scores in run.items():
                assert scores == pytest.approx(built[channel][query], rel=1e-6)
    assert check(path) == []


def test_impacts_of_both_engines_are_equal_runs_after_every_change(tmp_path: Path) -> None:
    native = {"impacts": ChannelOptions("inverted", weighting=Weighting("impacts"))}
    paths = [
        build(tmp_path / "lucene"),
        build(tmp_path / "native", options=BuildOptions({**OPTIONS.channels, **native})),
    ]
    runs = []
    for path in paths:
        change(path)
        with Index.open(path) as index:
            runs.append(search(index)["impacts"])
    for query, scores in runs[0].items():
        assert list(scores) == list(runs[1][query])
        hundredths = {name: score * 100 * 100 for name, score in runs[1][query].items()}
        assert scores == hundredths


def test_parts_of_scores_are_of_the_document(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    change(path)
    with Index.open(path) as index:
        for channel in ENGINES:
            run = search(index)[channel]
            for query, text in queries().items():
                for name, score in list(run[query].items())[:3]:
                    asked = BM25Encoder().encode([text], "query")  # type: ignore[arg-type]
                    (match,) = index.matches(channel, asked, name)
                    assert match.score == pytest.approx(score, rel=1e-6)


def test_a_merge_takes_no_files_from_readers(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    with Index.open(path) as index, Index.open(path) as searched:
        before = search(searched)
        with IndexWriter(path) as writer:
            writer.merge()
            writer.commit()
            writer.compact()
        assert search(index) == before  # Lucene opens files that have no name any more
        assert search(searched) == before


def test_an_interrupted_build_is_finished_and_a_complete_one_replaced(tmp_path: Path) -> None:
    def cut_short() -> None:
        raise KeyboardInterrupt

    def stream() -> object:
        yield from documents(70)
        cut_short()

    path = tmp_path / "i"
    with pytest.raises(KeyboardInterrupt):
        build_index(stream(), encoders(), path, OPTIONS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"keeps channel 'bm25' by engine lucene.*now it is nativ"):
        build_index(
            documents(70),
            encoders(),
            path,
            BuildOptions({"impacts": ENGINES["impacts"]}, segment_documents=30),
        )
    report = build_index(documents(70), encoders(), path, OPTIONS)
    assert report.resumed == 60
    build(tmp_path / "whole")
    overwrite = BuildOptions(ENGINES, segment_documents=30, overwrite=True)
    build(tmp_path / "other", count=40)
    build(tmp_path / "other", options=overwrite)
    runs = []
    for name in ("i", "whole", "other"):
        with Index.open(tmp_path / name) as index:
            runs.append(search(index))
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("name", LUCENE)
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_damage_to_any_file_is_named(name: str, damage: str, tmp_path: Path, damaged: Path) -> None:
    file = damaged / "segments/000001/bm25" / name
    data = file.read_bytes()
    try:
        if damage == "flip":
            file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        elif damage == "truncate":
            file.write_bytes(data[:-1])
        else:
            file.unlink()
        problems = check(damaged)
        assert len(problems) == 1 and str(file) in problems[0] and "\n" not in problems[0]
        with pytest.raises(ValueError, match=f"{file}") as raised:
            with Index.open(damaged) as index:
                search(index)
        assert "\n" not in str(raised.value)
    finally:
        file.write_bytes(data)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("damaged") / "i")


def test_java_waits_for_a_search_of_the_channel(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    code = f"""
import sys
from index.folder import Index, check
from retrieval.retriever import Retriever
from tests.synthetic import SignEncoder, queries
with Index.open({str(path)!r}) as index:
    Retriever(index, {{"dense": SignEncoder()}}).search(queries(), 5)
    index.channel_rows("bm25").total
assert check({str(path)!r}) == []
print("jnius" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr


def test_manifests_say_lucene_and_name_its_files_only(tmp_path: Path) -> None:
    path = build(tmp_path / "i", count=5)
    with Index.open(path) as index:
        data = index.manifest.to_json()
    engines = {channel["name"]: channel.get("engine") for channel in data["channels"]}
    assert engines == {"dense": None, "bm25": "lucene", "impacts": "lucene"}
    assert Manifest.from_json(json.loads(json.dumps(data))).to_json() == data
    files = data["segments"][0]["files"]
    assert {f"bm25/{name}" for name in LUCENE} < files.keys()
    for wrong in ("bm25/_0.cfs/x", "bm25/vectors.npy", "dense/_0.cfs", "bm25/x_0.cfs"):
        changed = json.loads(json.dumps(data))
        changed["segments"][0]["files"][wrong] = files["bm25/_0.cfs"]
        with pytest.raises(ValueError, match=f"cannot have file '{wrong}'"):
            Manifest.from_json(changed)
    del data["segments"][0]["files"]["bm25/segments_1"]
    with pytest.raises(ValueError, match="lacks file 'bm25/segments_1'"):
        Manifest.from_json(data)


def test_without_the_extra_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jvm, "_JARS", "none/*.jar")
    with pytest.raises(ValueError) as raised:
        build(tmp_path / "i")
    assert str(raised.value) == f"Lucene comes with pyserini, which is not installed; {INSTALL}"
    assert not (tmp_path / "i").exists()
