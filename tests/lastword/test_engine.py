"""The front door: what an index says from Python is what the commands say, and errors are clear."""

import io
import json
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lastword as lw
from index.writer import IndexWriter
from lastword.main import main
from tests.one_line import check_one_line
from tests.synthetic import SignEncoder

DOCUMENTS: list[Any] = [
    "green tea is steeped for three minutes",
    {"id": "keys", "title": "Keys", "text": "rotate the key at night", "year": 1999, "tags": ["a"]},
    lw.Document("lava", "", "lava flows down the mountain and cools into black rock"),
    {"_id": "b", "contents": "a stone in the garden", "metadata": {"lang": "en"}},
]
QUERY = "how do I rotate a key"


@pytest.fixture
def index(tmp_path: Path) -> lw.SearchEngine:
    return lw.build(tmp_path / "my.index", DOCUMENTS)


def run_command(*arguments: str) -> Any:  # noqa: ANN401
    screen = io.StringIO()
    with redirect_stdout(screen):
        assert main([*arguments, "--json"]) == 0
    return json.loads(screen.getvalue())


def test_python_ranks_as_the_command(index: lw.SearchEngine) -> None:
    found = run_command("search", str(index.path), QUERY, "-k", "3")["hits"]
    with lw.open(index.path, light=True) as quick:  # as the command opens it
        hits = quick.search(QUERY, k=3)
    assert [(hit.id, hit.score, hit.rank, hit.title) for hit in hits] == [
        (row["id"], row["score"], row["rank"], row["title"]) for row in found
    ]
    assert [{name: place._asdict() for name, place in hit.channels.items()} for hit in hits] == [
        row["channels"] for row in found
    ]
    light, hits = hits, index.search(QUERY, k=3)
    assert [hit.id for hit in hits] == [hit.id for hit in light]
    scores = [hit.score for hit in light]
    assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-6)
    with lw.open(index.path) as again:
        assert again.search(QUERY, k=3) == hits
        assert again.search_many({"q": QUERY}, k=3) == {"q": {hit.id: hit.score for hit in hits}}
        assert again.fusion == index.fusion and again.channels == index.channels
        assert again.explain(QUERY, "keys").score == hits[0].score


def test_an_index_of_a_command_opens(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"_id": "x", "text": "green tea"}\n')
    assert main(["index", str(tmp_path / "a.jsonl"), "-o", str(tmp_path / "i"), "-q"]) == 0
    with lw.open(tmp_path / "i", channels=["bm25"]) as engine:
        assert [hit.id for hit in engine.search("tea")] == ["x"]
        assert (len(engine), engine.channels) == (1, ("bm25",))
        with pytest.raises(ValueError, match="open it with all of them to add documents"):
            engine.add(["more"])


def test_documents_of_every_form_keep_what_they_have(index: lw.SearchEngine) -> None:
    assert index.ids() == ["0", "keys", "lava", "b"]
    assert index.get("keys") == lw.Document(
        "keys", "Keys", "rotate the key at night", {"year": 1999, "tags": ["a"]}
    )
    assert dict(index.get("b").metadata) == {"lang": "en"}
    assert index.search(QUERY)[0].metadata["year"] == 1999


def test_changes_show_at_once(index: lw.SearchEngine) -> None:
    before = len(index)
    assert index.add(["stones roll", "grass grows"]).documents == 2
    assert index.ids()[-2:] == ["1", "2"]  # above the numbers that are there
    assert index.search("stones roll")[0].id == "1"
    index.upsert([{"id": "keys", "text": "clouds drift"}, "snow"])
    assert index.get("keys").text == "clouds drift"
    assert len(index) == before + 3
    assert index.delete(["keys", "1"]) == 2
    assert "keys" not in index.ids()
    with lw.open(index.path) as again:
        assert again.ids() == index.ids()


def test_a_change_that_fails_changes_nothing(index: lw.SearchEngine) -> None:
    ids = index.ids()
    changes: dict[Callable[[], object], type[Exception]] = {
        lambda: index.add([{"id": "lava", "text": "again"}]): ValueError,
        lambda: index.add(["fine", 3]): TypeError,  # type: ignore[list-item]
        lambda: index.delete(["lava", "nobody"]): KeyError,
        lambda: index.upsert([{"id": "lava"}]): ValueError,
    }
    for change, error in changes.items():
        with pytest.raises(error):
            change()
        assert index.ids() == ids
        assert index.search("lava")[0].id == "lava"


def test_a_closed_index_is_neither_changed_nor_tuned(tmp_path: Path) -> None:
    """It deleted and took documents in, and tuning ended in an error of SQLite."""
    engine = lw.build(tmp_path / "i", ["green tea", "black rock"], "bm25")
    engine.close()
    engine.close()
    calls: list[Callable[[], object]] = [
        lambda: engine.search("tea"),
        lambda: engine.delete("0"),
        lambda: engine.add([{"id": "new", "text": "snow"}]),
        lambda: engine.upsert([{"id": "0", "text": "snow"}]),
        lambda: engine.retriever,
        lambda: lw.tune(engine, {"q": "tea"}, {"q": {"0": 1}}),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="is closed; open it again"):
            call()
    with lw.open(tmp_path / "i") as again:
        assert again.ids() == ["0", "1"] and again.get("0").text == "green tea"


def test_an_index_in_memory_goes_with_the_object() -> None:
    engine = lw.build(None, ["green tea", "black rock"])
    folder = engine.path
    assert engine.search("tea")[0].text == "green tea"
    engine.close()
    del engine
    assert not folder.exists() and not folder.parent.exists()


@pytest.mark.parametrize("documents", [["a", 3], [{"id": "x"}], [{"id": "x", "text": "a"}] * 2, []])
def test_a_failed_build_leaves_no_folder(documents: list[Any], tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError)):
        lw.build(tmp_path / "new.index", documents)
    assert not (tmp_path / "new.index").exists()


def test_models_prompts_and_encoders_are_taken(tmp_path: Path) -> None:
    words = lw.build(tmp_path / "words", DOCUMENTS, model="bm25")
    assert words.channels == ("bm25",)
    prompted = lw.build(tmp_path / "prompted", DOCUMENTS, "bundled", "prompteol")
    with lw.open(tmp_path / "prompted") as again:
        assert again.search(QUERY) == prompted.search(QUERY)
    encoder = lw.load_encoder("bundled", prompt="prompteol")
    assert lw.build(None, DOCUMENTS, encoder).search(QUERY) == prompted.search(QUERY)
    own = lw.build(tmp_path / "own", DOCUMENTS, {"dense": SignEncoder()})
    assert own.channels == ("dense",)


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    """They were refused as ids, where those of Python are taken, and as k."""
    two: Any = np.int32(2)
    documents = [{"id": name, "text": "tea"} for name in (np.int64(7), np.uint8(8), 9)]
    with lw.build(None, documents, "bm25") as engine:
        assert engine.ids() == ["7", "8", "9"]
        assert engine.get("7").id == "7" and len(engine.search_many(["tea"], two)) == 1
    with pytest.raises(TypeError, match="id must be a str; got True"):
        lw.build(None, [{"id": True, "text": "tea"}], "bm25")


def test_a_damaged_document_is_no_missing_one(tmp_path: Path) -> None:
    """`get` said that there was no such document, whatever was wrong with it."""
    lw.build(tmp_path / "i", [{"id": "a", "text": "tea", "year": 1999}], "bm25").close()
    (file,) = (tmp_path / "i" / "segments").rglob("documents.sqlite")
    with lw.open(tmp_path / "i") as engine:
        file.write_bytes(file.read_bytes().replace(b'{"year": 1999}', b'{"year": 199,}'))
        with pytest.raises(ValueError, match="cannot be read as a store of documents"):
            engine.get("a")


def test_a_bare_string_is_one_text_and_never_letters(index: lw.SearchEngine) -> None:
    encoder = lw.load_encoder("bundled")
    one, several = encoder.encode_query("tea"), encoder.encode_query(["tea"], channel="dense")
    assert one.shape == (512,) and several.shape == (1, 512)
    assert np.array_equal(one, several[0])
    assert encoder.similarity(one, encoder.encode_document(["green tea", "stone"])).shape == (1, 2)
    assert np.array_equal(encoder.encode(["tea"], "query").dense, several)  # type: ignore[arg-type]
    row = encoder.encode_document("green tea is hot", channel="sparse")
    assert {word for word, _ in encoder.decode(row, top_k=3)} <= {"green", "tea", "hot"}
    bm25 = lw.load_encoder("bm25")
    assert bm25.decode(bm25.encode_query("hot teas"), texts=["hot teas"]) == [
        ("hot", 1.0),
        ("teas", 1.0),
    ]


WRONG: Any = 3  # an argument of a wrong type


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e: e.search(["a"]), TypeError, "the query must be a str; got list; search_many"),
        (lambda e: e.search("  "), ValueError, "the query is empty"),
        (lambda e: e.search("a", k=0), ValueError, "at least 1 document; got k=0"),
        (lambda e: e.search("a", k="3"), TypeError, "k must be a whole number; got '3'"),
        (lambda e: e.search_many("abc"), TypeError, "queries must be a dict of id -> text, or"),
        (lambda e: e.search_many([3]), TypeError, "query '0' must be a str; got int"),
        (lambda e: e.search_many({1: "a", "1": "b"}), ValueError, "two queries have the id '1'"),
        (lambda e: e.search("\ud83d"), ValueError, "the query is not legal Unicode"),
        (lambda e: e.search_many(["\ud83d"]), ValueError, "query '0' is not legal Unicode"),
        (lambda e: e.explain("\ud83d", "b"), ValueError, "the query is not legal Unicode"),
        (lambda e: e.get("\ud83d"), KeyError, "has no document"),
        (lambda e: e.add(["\ud83d"]), ValueError, "document '1': text is not legal Unicode"),
        (lambda e: e.add([{"id": "\ud83d", "text": "a"}]), ValueError, "id is not legal Unicode"),
        (lambda e: e.add([{"id": 1.0, "text": "a"}]), TypeError, "document 1.0: id must be a str"),
        (lambda e: e.add(b"text"), TypeError, "documents must be a path, or a list of strings"),
        (lambda e: e.get(3), TypeError, "the id must be a str; got int"),
        (lambda e: e.get("zz"), KeyError, "has no document 'zz'"),
        (lambda e: e.explain("a", "zz"), ValueError, "no document 'zz'"),
        (lambda e: e.add(3), TypeError, "documents must be a path, or a list of strings"),
        (lambda e: e.add({"text": "a"}), TypeError, "documents must be a path, or a list"),
        (
            lambda e: lw.build(None, ["a"], WRONG),
            TypeError,
            "model must be a name, a folder or an en",
        ),
        (
            lambda e: lw.open(e.path, WRONG),
            TypeError,
            "channels must be a list of names",
        ),
        (
            lambda e: lw.load_encoder("bundled").encode_query(WRONG),
            TypeError,
            "a list of texts; got",
        ),
        (
            lambda e: vars(lw)["__getattr__"]("nothing"),
            AttributeError,
            "has no attribute 'nothing'",
        ),
    ],
)
def test_a_wrong_call_is_one_clear_error(
    call: Callable[[Any], object], error: type[Exception], message: str, index: lw.SearchEngine
) -> None:
    check_one_line(lambda: call(index), error, message)


def test_hits_print_as_a_table_of_whole_ids(index: lw.SearchEngine) -> None:
    name = "a/very/long/" + "id" * 60
    index.add([{"id": name, "text": "rotate \x1b[31mkeys <b>"}])
    hits = index.search("rotate keys", k=2)
    lines = str(hits).splitlines()
    assert lines[0].split()[:2] == ["#", "score"] and len(lines) == 3
    assert name in str(hits) and "\x1b" not in str(hits)
    assert repr(hits) == str(hits)
    html = hits._repr_html_()
    assert html.count("<tr>") == 3 and name in html and "<b>" not in html
    assert str(index.search("rotate", k=1)[:0]) == "(nothing found)"


def test_what_other_programs_did_is_taken_up_when_asked_for(index: lw.SearchEngine) -> None:
    """The fusion that `lastword fuse --into` chose as well: it was kept as it had been opened."""
    with lw.open(index.path, fusion="rrf") as chosen, lw.open(index.path) as other:
        other.add([{"id": "new", "text": "a new stone"}])
        with IndexWriter(index.path) as writer:
            writer.fuse_by("minmax:dense=0.1,sparse=0.2,bm25=0.7")
            writer.commit()
        assert len(index) == 4
        assert (index.refresh(), index.refresh()) == (True, False)
        assert (len(index), index.fusion) == (5, "minmax:dense=0.1,sparse=0.2,bm25=0.7")
        assert chosen.refresh() and chosen.fusion == "rrf"
    manifest = index.path / "manifest.json"
    manifest.write_text("{")
    check_one_line(index.refresh, ValueError, "manifest")
    assert index.search("new stone", k=1)[0].id == "new"


def test_every_public_name_is_documented() -> None:
    for name in lw.__all__:
        assert getattr(lw, name).__doc__, name
    assert re.fullmatch(r"\d+\.\d+\.\d+", lw.__version__)
    assert set(lw.__all__) < set(dir(lw))
