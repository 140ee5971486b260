"""Collections of a server of Milvus Lite against the index folders that were pushed into them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from benchmarks.random_filters import random_filter
from embedder.checkpoints.trust import ModelAccess
from index.documents import Document
from index.filters.kept import KeptDocuments
from index.folder import Index
from index.manifest import Passages
from index.manifest_file import read_manifest
from index.writer import IndexWriter
from lastword.cli.sources import unfinished_text
from retrieval.build import add_documents, build_index
from retrieval.milvus.connection import MilvusCollection
from retrieval.milvus.opening import open_index
from retrieval.milvus.place import MilvusPlace
from retrieval.milvus.push import PushOptions, push_index
from retrieval.milvus.recipe import PROPERTY, Recipe, create_collection
from retrieval.open import open_retriever
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever
from retrieval.run import Run
from tests.milvus_server import MilvusServer, serve_milvus
from tests.one_line import check_one_line
from tests.retrieval.test_filters import NATIVE, build
from tests.synthetic import SignEncoder, documents, queries

pytest.importorskip("milvus_lite")

EXACT = PushOptions(dense_index="flat")
CHANNELS = ("dense", "bm25", "sparse")
K = 10
Pair = tuple[Path, str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    with serve_milvus(tmp_path_factory.mktemp("milvus")) as running:
        yield running


@pytest.fixture(scope="module", params=[None, Passages(3, 1)], ids=["whole", "passages"])
def pushed(
    request: pytest.FixtureRequest,
    server: MilvusServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Pair:
    """An index of three segments with deleted documents, and the collection that it became."""
    folder = tmp_path_factory.mktemp("pushed") / "index"
    build(folder, {name: NATIVE[name] for name in CHANNELS}, request.param)
    place = server.place("cut" if request.param else "whole")
    report = push_index(folder, place, EXACT)
    assert report.documents == 260 and report.written == report.rows >= 260
    return folder, place


def both(pair: Pair) -> list[Retriever]:
    encoders = {name: NATIVE[name] for name in CHANNELS}
    indexes = Index.open(pair[0]), open_index(pair[1])
    return [Retriever(index, encoders) for index in indexes]


def check_alike(here: Run, there: Run) -> None:
    """Demand the same scores, and the same documents but for those that tie with the last."""
    for query, found in here.items():
        assert list(there[query].values()) == pytest.approx(list(found.values()), abs=1e-5)
        last = min(found.values(), default=0.0) + 1e-4
        assert {name for name, score in found.items() if score > last} <= there[query].keys()


def test_every_channel_and_their_fusion_find_what_the_folder_finds(pushed: Pair) -> None:
    here, there = both(pushed)
    with here, there:
        asked = queries(6) | {"stop": "the of"}  # without a word for bm25
        local, remote = here.channel_runs(asked, K), there.channel_runs(asked, K)
        assert local.keys() == remote.keys()
        for name in CHANNELS:
            check_alike(local[name], remote[name])
        assert remote["bm25"]["stop"] == {}
        check_alike(here.search(asked, K), there.search(asked, K))


def test_filters_keep_the_same_documents(pushed: Pair) -> None:
    random = Random(7)
    here, there = both(pushed)
    with here, there:
        for text, _ in (random_filter(random) for _ in range(6)):
            wanted = KeptDocuments.of(here.index, text)
            kept = KeptDocuments.of(there.index, text)
            assert len(kept) == len(wanted), text
            some = dict(islice(queries().items(), 1))
            narrow = here.with_filter(text), there.with_filter(text)
            check_alike(*(each.search(some, K) for each in narrow))
            for name in next(iter(narrow[1].search(some, K).values())):
                assert name in wanted and name in kept
        check_one_line(
            lambda: there.with_filter(f"year == {2**60}"), ValueError, "up to 2**53 exactly"
        )


def test_documents_and_explanations_are_those_of_the_folder(pushed: Pair) -> None:
    here, there = both(pushed)
    with here, there:
        assert there.index.ids() == sorted(here.index.ids())
        for name in ("d1", "d2", "d299"):
            assert there.index.document(name) == here.index.document(name)
            wanted = here.explain("amber quartz fjord", name)
            found = there.explain("amber quartz fjord", name)
            assert found.score == pytest.approx(wanted.score, abs=1e-5)
            for mine, own in zip(found.channels, wanted.channels, strict=True):
                assert mine.name == own.name
                assert mine.score == pytest.approx(own.score, abs=1e-5)
                assert dict(mine.words) == pytest.approx(dict(own.words), abs=1e-5)
                assert mine.passage == own.passage or mine.name == "dense"  # of equals either
        check_one_line(lambda: there.index.document("none"), ValueError, "no document 'none'")


def test_what_stays_with_the_folder_is_refused(pushed: Pair) -> None:
    _, there = both(pushed)
    with there:
        learning = there.with_feedback("rm3")
        check_one_line(lambda: learning.search(queries(1), 3), ValueError, "without feedback")
        check_one_line(lambda: list(there.index.stream()), ValueError, "needs the index folder")
    check_one_line(lambda: read_manifest(Path(pushed[1])), ValueError, "needs its folder here")


def test_only_what_has_changed_is_sent(server: MilvusServer, tmp_path: Path) -> None:
    encoders, path, place = {"dense": SignEncoder()}, tmp_path / "index", server.place("changing")
    build_index(documents(50), encoders, path)
    first = push_index(path, place, PushOptions(batch=20))
    assert (first.written, first.deleted) == (50, 0)
    assert push_index(path, place) == push_index(path, place)
    assert push_index(path, place).written == 0
    odd = Document('a "b\\c\n', "t", "green tea", {"n": {"a.b": [1, None]}})
    add_documents([odd, *documents(2, start=50)], encoders, path)
    replaced = Document("d3", "other", "text")
    add_documents([replaced], encoders, path, BuildOptions(on_known="replace"))
    with IndexWriter(path) as writer:
        writer.delete(["d0", "d9"])
        writer.commit()
    again = push_index(path, place)
    assert (again.documents, again.written, again.deleted) == (51, 4, 2)
    with open_index(place) as there, Index.open(path) as here:
        assert there.ids() == sorted(here.ids())
        assert there.document(odd.id) == odd and there.document("d3") == replaced


def test_pushes_killed_at_random_end_as_one_that_was_not(
    server: MilvusServer, tmp_path: Path
) -> None:
    path, place = tmp_path / "index", server.place("killed")
    build_index(documents(300), {"bm25": NATIVE["bm25"]}, path)
    command = [sys.executable, "-m", "lastword", "push", str(path), "--to", place, "--batch", "5"]
    collection, random = MilvusCollection(MilvusPlace.parse(place)), Random(3)
    for _ in range(2):
        least = random.randrange(5, 150)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (
            collection.exists() and collection.count("row >= 0") > least
        ):
            pass
        process.kill()
        process.wait()
        with open_index(place) as there:
            assert "lastword push INDEX --to milvus:" in unfinished_text(there)
    report = push_index(path, place)
    assert 0 < report.written < 300 and report.rows == 300
    assert push_index(path, server.place("at_once")).digest == report.digest
    with open_index(place) as there:
        assert there.unfinished is None and there.ids() == sorted(f"d{at}" for at in range(300))


def test_a_push_killed_before_there_were_indexes_goes_on(
    server: MilvusServer, tmp_path: Path
) -> None:
    path, place = tmp_path / "index", server.place("bare")
    build_index(documents(3), {"dense": SignEncoder()}, path)
    with Index.open(path) as index:
        recipe = Recipe.of(index.manifest, "hnsw")
    create_collection(MilvusCollection(MilvusPlace.parse(place)), recipe)
    assert push_index(path, place).written == 3


def test_a_pushed_index_is_opened_with_its_own_encoders(
    server: MilvusServer, tmp_path: Path
) -> None:
    import lastword

    path, place = tmp_path / "index", server.place("opened")
    keys = Document("keys", "", "rotate the key", {"year": 1999})
    texts = [Document("0", "", "green tea is steeped"), keys]
    lastword.build(path, texts, model="bm25").close()
    assert lastword.push(path, place).documents == 2
    with lastword.open(place) as index:
        (hit,) = index.search("a key", filter="year < 2000")
        assert (hit.id, hit.text, len(index)) == ("keys", "rotate the key", 2)
        assert index.get("0").text == "green tea is steeped"
        assert index.explain("key", "keys").channels[0].words[0][0] == "key"
    done = subprocess.run(
        [sys.executable, "-m", "lastword", "search", place, "a key", "--json"],
        capture_output=True,
        check=True,
    )
    assert [each["id"] for each in json.loads(done.stdout)["hits"]] == ["keys"]


def test_what_a_server_says_is_not_believed(server: MilvusServer, tmp_path: Path) -> None:
    path, place = tmp_path / "index", server.place("strange")
    build_index(documents(3), {"bm25": NATIVE["bm25"]}, path)
    push_index(path, place)
    collection = MilvusCollection(MilvusPlace.parse(place))
    text = collection.describe()[1][PROPERTY]
    data = json.loads(text)
    data["index"]["channels"][0]["recipe"] = json.dumps(
        {"kind": "sbert", "model": "someone/else", "adapt": "", "variant": {}}
    )
    for wrong, message in (
        ("{", "not JSON"),
        ('{"format": 99}', "expected format 1"),
        (text.replace('"moved"', '"other"'), "other"),
        (text.replace('"bm25"', '"../bm25"'), "channel"),
        (json.dumps(data), "channel 'bm25'"),
    ):
        collection.set_properties({PROPERTY: wrong})
        with pytest.raises(ValueError, match=message) as caught:
            open_retriever(place, access=ModelAccess()).close()
        assert "\n" not in str(caught.value)


def test_collections_of_others_are_left_alone(server: MilvusServer, tmp_path: Path) -> None:
    place = server.place("other")
    for name, count in (("a", 5), ("b", 6)):
        salted = {"dense": SignEncoder(name)}
        build_index(documents(count), salted, tmp_path / name)
    push_index(tmp_path / "a", place)
    check_one_line(lambda: push_index(tmp_path / "b", place), ValueError, "--overwrite")
    assert push_index(tmp_path / "b", place, PushOptions(overwrite=True)).documents == 6
    rows = {name: NATIVE[name] for name in ("dense", "words")}
    build(tmp_path / "rows", rows)
    check_one_line(
        lambda: push_index(tmp_path / "rows", server.place("rows")),
        ValueError,
        "as many of every channel",
    )


def test_a_server_that_is_gone_is_one_line(
    server: MilvusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILVUS_TOKEN", "secret")
    build_index(documents(3), {"bm25": NATIVE["bm25"]}, tmp_path / "index")
    gone = "milvus:http://127.0.0.1:9/x"
    message = "no Milvus answers at http://127.0.0.1:9"
    check_one_line(lambda: push_index(tmp_path / "index", gone), ConnectionError, message)
    check_one_line(lambda: open_index(gone), ConnectionError, message)
    check_one_line(lambda: open_index(server.place("absent")), ValueError, "no collection 'absent'")
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    check_one_line(lambda: open_index(gone), ImportError, 'pip install "lastword[milvus]"')
