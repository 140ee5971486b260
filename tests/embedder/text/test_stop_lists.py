"""Stop words of the languages that Snowball stems: who has a list, and which indexes use it."""

# ruff: noqa: RUF001  (letters of other scripts are the point here)

import json

import pytest
import snowballstemmer

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.load import load_encoder, load_from_spec
from embedder.encoders.specs import BM25Spec, from_json, stored_spec
from embedder.text.languages import LANGUAGES
from embedder.text.stop_words import STOP_WORDS, stop_words
from embedder.text.word_terms import WordTerms, own_list

WITHOUT = {"esperanto", "polish", "sesotho", "yiddish"}
ENGLISH = {"kind": "bm25", "language": "english", "stop_words": "english", "analysis": 2}


def test_every_language_that_snowball_stems_has_a_list_but_four() -> None:
    without = {name for name in snowballstemmer.algorithms() if not own_list(name, 3)}
    assert without == WITHOUT
    for path in STOP_WORDS.glob("*.txt"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith(f"# {path.stem.capitalize()} stop words of ")
        assert len(stop_words(path.stem)) > 40


@pytest.mark.parametrize(
    ("language", "text", "left"),
    [
        ("german", "Die Häuser und der Fluß", "haus fluss"),
        ("french", "le chat dans la maison", "chat maison"),
        ("russian", "и книга на столе", "книг стол"),
        ("greek", "το σπίτι είναι μεγάλο", "σπιτ μεγαλ"),
        ("persian", "این کتاب یک است", "کتاب"),
        ("turkish", "bu kitap ve IRMAK", "kitap ırmak"),
        ("dutch_porter", "de huizen en het", "huiz"),
        ("irish", "an teach agus", "teach"),
    ],
)
def test_stop_words_are_left_out_however_they_are_spelt(
    language: str, text: str, left: str
) -> None:
    assert [stem for _, _, stem in WordTerms(language).stems(text)] == left.split()


def test_older_indexes_go_on_without_them() -> None:
    old = load_from_spec(BM25Spec("german", 2))
    facts = json.loads(old.fingerprint)
    assert (facts["stop_words"], facts["analysis"]) == ("", 2)
    assert isinstance(old, BM25Encoder) and len(old.columns(["der und die"])[0]) == 3
    assert old.columns(["Häuser"]) == load_encoder("bm25:de").columns(["Häuser"])  # type: ignore[attr-defined]


def test_english_is_as_it_was() -> None:
    facts = json.loads(BM25Encoder().fingerprint)
    assert facts | ENGLISH == facts and facts.keys() == {*ENGLISH, "stemmer", "stop_words_hash"}
    assert stored_spec(BM25Encoder()) == '{"analysis": 2, "kind": "bm25", "language": "english"}'
    assert json.loads(BM25Encoder("polish").fingerprint)["analysis"] == 2


@pytest.mark.parametrize(
    "encoder",
    [
        BM25Encoder("de", stop_words=["Haus", "köln"]),
        BM25Encoder("de", stop_words=""),
        BM25Encoder("de,en", stop_words=("haus",)),
        BM25Encoder("de", stop_words="german"),
        BM25Encoder("german", analysis=2),
    ],
)
def test_an_index_keeps_the_words_themselves(encoder: BM25Encoder) -> None:
    again = load_from_spec(from_json(stored_spec(encoder), "bm25"))
    assert again.fingerprint == encoder.fingerprint
    text = "haus Köln und Stadt"
    assert isinstance(again, BM25Encoder) and again.columns([text]) == encoder.columns([text])


def test_a_list_by_the_name_of_another_language_has_no_place_in_an_index() -> None:
    assert BM25Encoder("de", stop_words="english").spec is None
    assert set(LANGUAGES.values()) >= set(snowballstemmer.algorithms()) - {"porter", "dutch_porter"}
