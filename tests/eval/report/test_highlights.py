"""Words that carried a score: exactly those, in every channel, in the part that says most."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.encoders.bm25 import BM25Encoder
from embedder.inspect.word_columns import WordColumns
from embedder.types import Role
from eval.report.highlights import Marker, Piece, bm25_encoder, pieces, word_weights
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index
from retrieval.retriever import Retriever
from tests.models import load_llm
from tests.run_folders import ENCODERS, QUERIES, retrieval_folder


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marked")
    retrieval_folder(folder / "run")
    return folder / "run-tiny.index"


def marked(found: tuple[Piece, ...], channel: str) -> list[str]:
    return [piece.text for piece in found if channel in piece.channels]


def test_every_form_of_a_word_is_marked_and_stop_words_are_not(index: Path) -> None:
    with Index.open(index) as opened:
        title, found = Marker(opened, ENCODERS, QUERIES).marked("q1", "d1")
    assert title == (Piece("Keys", ("bm25", "sparse")), Piece(" <script>alert(1)</script>"))
    assert marked(found, "bm25") == ["Rotate", "key", "keys"]  # stems of rotating keys
    assert marked(found, "sparse") == ["keys"]  # not stemmed
    assert "".join(piece.text for piece in found) == (
        "Rotate the key every month & keep the old keys."
    )


def test_marked_words_are_those_that_explain_names(index: Path) -> None:
    """The heaviest words that `lastword explain` names stand in the part that is shown."""
    with Index.open(index) as opened:
        told = Retriever(opened, ENCODERS).explain(QUERIES["q2"], "d2")
        _, found = Marker(opened, ENCODERS, QUERIES).marked("q2", "d2")
    for part in told.channels:
        words = {word for word, _ in part.words}
        assert words & {word.lower() for word in marked(found, part.name)}
    assert found[-1] == Piece(" …")  # the text is long


def test_a_document_that_did_not_score_has_no_marks(index: Path) -> None:
    with Index.open(index) as opened:
        _, found = Marker(opened, ENCODERS, QUERIES).marked("q3", "d2")
    assert all(not piece.channels for piece in found)


def test_without_encoders_the_words_of_the_query_are_marked(index: Path) -> None:
    with Index.open(index) as opened:
        marker = Marker(opened, {}, QUERIES)
        assert marker.own_words("q1") == {}
        assert marked(marker.marked("q1", "d1")[1], "query") == ["Rotate", "key", "keys"]
        with pytest.raises(ValueError, match="no document 'd9'"):
            marker.marked("q1", "d9")


def test_an_encoder_of_another_channel_is_refused(index: Path) -> None:
    with Index.open(index) as opened, pytest.raises(ValueError, match="language"):
        Marker(opened, {"bm25": BM25Encoder("german")}, QUERIES)


def test_a_model_says_its_own_words(index: Path) -> None:
    with Index.open(index) as opened:
        words = Marker(opened, ENCODERS, QUERIES).own_words("q2")
    assert words.keys() == {"sparse"}  # BM25 has none of its own
    assert dict(words["sparse"]) == {"lock": 1.0, "b": 2.0, "the": 1.0, "door": 1.0}


def test_a_models_words_are_whole_unless_pieces_are_asked_for(llama: Path, tmp_path: Path) -> None:
    encoder = load_llm(llama)
    build_index([Document("d", "", "stone")], {"sparse": encoder}, tmp_path / "i")
    with Index.open(tmp_path / "i") as opened:
        marker = Marker(opened, {"sparse": encoder}, {"q": "internationalization"})
        ((word, weight),) = marker.own_words("q")["sparse"]
        said = marker.own_words("q", pieces=True)["sparse"]
    assert word == "internationalization" and len(said) > 2
    assert weight == max(held for _, held in said)


def test_pieces_of_words_mark_the_whole_word(llama: Path) -> None:
    """Columns of a language model are tokens; a word stands in those of its own tokens."""
    encoder = load_llm(llama)
    assert encoder.table is not None
    columns = encoder.table.allowed(["rotation"])[0].tolist()
    weights = word_weights(
        WordColumns(encoder), {columns[0]: 2.0}, "Rotation, the rotation of keys"
    )
    assert weights["rotation"] == weights["Rotation"] == 2.0
    assert "the" not in weights


def test_scripts_without_spaces_are_marked_by_characters() -> None:
    encoder = BM25Encoder()
    row = encoder.encode(["鍵"], Role.QUERY).sparse
    assert row is not None
    weights = word_weights(WordColumns(encoder), {int(row.indices[0]): 1.0}, "古い鍵を回す")
    found = pieces("古い鍵を回す", {"bm25": weights}, 30)
    assert found == (Piece("古い"), Piece("鍵", ("bm25",)), Piece("を回す"))


def test_the_part_is_shown_in_which_most_is_said() -> None:
    text = "a " * 50 + "key and lock " + "b " * 50
    found = pieces(text, {"bm25": {"key": 2.0, "lock": 1.0}}, 11)
    assert found[0] == Piece("… ") and found[-1] == Piece(" …")
    assert marked(found, "bm25") == ["key", "lock"]
    shown = "".join(piece.text for piece in found).split()
    assert shown.index("key") in range(3, 7)  # words stand on both sides


@given(st.text(max_size=200), st.integers(1, 40))
def test_pieces_join_to_what_they_were_cut_from(text: str, limit: int) -> None:
    found = pieces(text, {}, limit)
    joined = "".join(piece.text for piece in found)
    assert joined.removeprefix("… ").removesuffix(" …").strip() in " ".join(text.split())


def test_bm25_is_made_again_from_its_fingerprint() -> None:
    for encoder in (BM25Encoder(), BM25Encoder("none", "")):
        again = bm25_encoder(encoder.fingerprint)
        assert again is not None and again.fingerprint == encoder.fingerprint
    older = json.loads(BM25Encoder().fingerprint) | {"analysis": 0}
    assert bm25_encoder(json.dumps(older)) is None
    assert bm25_encoder("{}") is None
