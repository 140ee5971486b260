"""BM25 text analysis, by hand; counts, columns, languages, scripts without spaces."""

# ruff: noqa: RUF001  (curly quotes and letters of other scripts are the point here)

import importlib
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import snowballstemmer
from hypothesis import given
from hypothesis import strategies as st

from embedder.encoders.bm25 import BM25Encoder
from embedder.text.term_counts import VOCABULARY
from embedder.text.word_terms import WordTerms
from embedder.types import Counted, Encoder, NamesTerms, Role, fingerprint_differences

KEY = 3_719_748_078_902_334_269  # blake2b-64 of "key", shifted right by 2


def counts(encoder: BM25Encoder, text: str) -> dict[str, float]:
    """Term names with their counts, as one text alone gives them."""
    sparse = encoder.encode([text], Role.DOCUMENT).sparse
    assert sparse is not None
    names = encoder.term_names(sparse.indices.tolist(), [text])
    return {
        names[column]: count
        for column, count in zip(sparse.indices.tolist(), sparse.data.tolist(), strict=True)
    }


def test_it_is_an_encoder() -> None:
    encoder = BM25Encoder()
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, NamesTerms)
    assert isinstance(encoder, Counted)


def test_counts_by_hand() -> None:
    text = "The rotations of keys: rotate the KEY, don’t Rotate the locks."
    assert counts(BM25Encoder(), text) == {"rotations": 3, "keys": 2, "locks": 1}


def test_a_form_of_a_word_is_the_same_column_and_another_word_is_not() -> None:
    encoder = BM25Encoder()
    sparse = encoder.encode(["rotating", "ROTATED", "Rotation!", "key"], Role.QUERY).sparse
    assert sparse is not None
    assert sparse.shape == (4, VOCABULARY)
    assert sparse.indices.dtype == np.int64
    one, two, three, other = sparse.indices.tolist()
    assert one == two == three != other


def test_columns_are_the_same_in_every_process() -> None:
    """Shards agree and an index outlives the process: the hash is written down here."""
    sparse = BM25Encoder().encode(["key"], Role.DOCUMENT).sparse
    assert sparse is not None
    assert sparse.indices.tolist() == [KEY]


def test_texts_without_terms_are_rows_without_entries_and_are_counted() -> None:
    encoder = BM25Encoder()
    held = encoder.encode(["", "the of", "word", "!"], Role.DOCUMENT)
    assert held.sparse is not None
    assert np.diff(held.sparse.indptr).tolist() == [0, 0, 1, 0]
    assert held.owner.tolist() == [0, 1, 2, 3]
    assert encoder.counts == {"texts": 4, "without_words": 3}
    assert len(encoder.encode([], Role.DOCUMENT)) == 0


@given(st.lists(st.text(alphabet="abe .'猫犬กิ", max_size=12), max_size=6))
def test_alone_equals_among_others_and_is_what_a_counter_counts(texts: list[str]) -> None:
    encoder = BM25Encoder(language="none", stop_words="")
    together = encoder.encode(texts, Role.DOCUMENT).sparse
    assert together is not None
    for row, text in enumerate(texts):
        alone = encoder.encode([text], Role.QUERY).sparse
        assert alone is not None
        assert alone.indices.tolist() == together[row].indices.tolist()
        assert alone.data.tolist() == together[row].data.tolist()
        assert counts(encoder, text) == Counter(encoder.terms(text))


def test_unicode_forms_of_a_word_are_one_term() -> None:
    encoder = BM25Encoder(language="none")
    forms = ["Café", "cafe\u0301", "ＣＡＦÉ", "ca\u00adfé"]
    sparse = encoder.encode(forms, Role.DOCUMENT).sparse
    assert sparse is not None
    assert len(set(sparse.indices.tolist())) == 1
    assert counts(encoder, "STRASSE Straße") == {"strasse": 2}


def test_scripts_without_spaces_become_characters_and_pairs() -> None:
    encoder = BM25Encoder(language="none")
    assert counts(encoder, "東京都GPT") == {
        "東": 1,
        "京": 1,
        "都": 1,
        "東京": 1,
        "京都": 1,
        "gpt": 1,
    }
    assert counts(encoder, "猫") == {"猫": 1}
    assert counts(encoder, "กินดี") == {"กิ": 1, "น": 1, "ดี": 1, "กิน": 1, "นดี": 1}
    assert counts(encoder, "ｶﾞｷﾞ") == {"ガ": 1, "ギ": 1, "ガギ": 1}


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("한국어는", ["한국어는", "한국", "국어", "어는", "한"]),
        ("책을 책", ["책을", "책", "책"]),
        ("서울", ["서울", "서"]),  # a pair that is the word counts once
        ("GPT모델은 2024년에", ["gpt", "모델은", "모델", "델은", "모", "2024", "년에", "년"]),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", ["한글", "한"]),  # in single letters
        ("韓國어", ["韓", "國", "韓國", "어"]),
    ],
)
def test_korean_words_stand_beside_their_syllables(text: str, terms: list[str]) -> None:
    """Particles stand at the end of a word: whole words found a twelfth of what they should."""
    assert list(BM25Encoder().terms(text)) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("party 🎉🎉", ["party", "🎉", "🎉"]),
        ("👍🏽 ok👍", ["👍🏽", "👍", "ok", "👍"]),
        ("👩🏽\u200d⚕\ufe0f", ["👩🏽\u200d⚕", "👩", "⚕"]),
        ("👩\u200d👩\u200d👧", ["👩\u200d👩\u200d👧", "👩", "👧"]),
        ("🇰🇷🇯🇵", ["🇰🇷", "🇯🇵"]),
        ("❤\ufe0f ❤ ❤\ufe0e", ["❤", "❤", "❤"]),
        ("1\ufe0f\u20e3 #\ufe0f\u20e3", ["1\u20e3", "1", "#\u20e3", "#"]),
        ("🏴\U000e0067\U000e0062\U000e007f", ["🏴\U000e0067\U000e0062\U000e007f", "🏴"]),
        ("☎ ♪ ♔ 🀄 𝄞", ["☎", "♪", "♔", "🀄"]),
        ("▶\ufe0f ▶ © ©\ufe0f", ["▶", "©"]),  # only where a picture is asked for
        ("a ± b → 5 € ★ • 20 °C", ["a", "b", "5", "20", "c"]),  # notation is no word
        ("葛\U000e0100 ｗａ\ufe0f", ["葛", "wa"]),
    ],
)
def test_emoji_are_terms_beside_their_parts(text: str, terms: list[str]) -> None:
    assert list(BM25Encoder().terms(text)) == terms


def test_a_query_finds_what_is_dressed_otherwise() -> None:
    encoder = BM25Encoder()
    for query, text in [("👍", "👍🏿"), ("👍🏻", "👍🏿"), ("❤", "❤\ufe0f"), ("책", "책에서")]:
        one, other = (counts(encoder, each) for each in (query, text))
        assert one.keys() & other.keys()
    assert not counts(encoder, "🇰🇷").keys() & counts(encoder, "🇯🇵").keys()


LATIN = st.characters(exclude_categories=["Cs", "So"], max_codepoint=0x10FF)


@given(st.text(LATIN, max_size=40))
def test_other_text_has_the_terms_that_it_had(text: str) -> None:
    """Figures of English, Greek, Russian, Arabic, Hindi, Thai ... collections stay."""
    text = "".join(one for one in text if one != "\N{COMBINING ENCLOSING KEYCAP}")
    assert list(BM25Encoder().terms(text)) == list(BM25Encoder(analysis=1).terms(text))


def test_an_index_of_the_first_rules_goes_on_by_them() -> None:
    old = BM25Encoder(analysis=1)
    assert json.loads(old.fingerprint)["analysis"] == 1
    assert list(old.terms("한국어는 🎉 key")) == ["한국어는", "key"]
    assert old.overlooks(["key", "한국어"]) and old.overlooks(["key 🎉"])
    assert not old.overlooks(["key café"]) and not BM25Encoder().overlooks(["한국어 🎉"])
    with pytest.raises(ValueError, match="1 to 3; got 4"):
        BM25Encoder(analysis=4)


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        ("german", "Häuser Hauses", 1),
        ("french", "chevaux cheval", 1),
        ("russian", "книги книга", 1),
        ("turkish", "ISIRGAN ısırgan", 1),
        ("none", "keys key", 2),
        ("porter", "the keys key", 1),
        ("finnish", "talossa talo", 1),
    ],
)
def test_languages(language: str, text: str, terms: int) -> None:
    assert len(counts(BM25Encoder(language), text)) == terms


def test_stop_words_can_be_turned_off() -> None:
    assert counts(BM25Encoder(stop_words=""), "the key") == {"the": 1, "key": 1}


def test_an_unknown_language_or_list_is_refused_with_what_is_near() -> None:
    with pytest.raises(ValueError, match=r"'englsh'.*did you mean english"):
        BM25Encoder("englsh")
    with pytest.raises(ValueError, match=r"'klingon'.*there is arabic"):
        BM25Encoder("klingon")
    with pytest.raises(ValueError, match="no stop-word list is called 'long'"):
        BM25Encoder(stop_words="long")


def test_fingerprint_says_what_differs() -> None:
    assert BM25Encoder().fingerprint == BM25Encoder().fingerprint
    assert json.loads(BM25Encoder().fingerprint)["kind"] == "bm25"
    differences = fingerprint_differences(
        BM25Encoder().fingerprint, BM25Encoder("german", stop_words="english").fingerprint
    )
    assert [line.split(":")[0] for line in differences] == ["analysis", "language"]


def test_a_name_that_no_text_explains_is_the_column() -> None:
    assert BM25Encoder().term_names([5], ["key"]) == {5: "<5>"}


def test_threads_share_an_encoder() -> None:
    """Snowball stemmers hold the word they work on; unguarded threads mix their words."""
    words = [
        f"{stem}{suffix}" for stem in ("run", "walk", "talk") for suffix in ("ning", "s", "ed")
    ]
    texts = [f"{word}{number}ations" for number in "abcdefghij" for word in words] * 5
    expected = BM25Encoder().encode(texts, Role.QUERY).sparse
    shared = BM25Encoder()
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda text: shared.encode([text], Role.QUERY).sparse, texts)
        assert expected is not None
        for row, sparse in enumerate(found):
            assert sparse is not None
            assert sparse.indices.tolist() == expected[row].indices.tolist()


ODD = st.sampled_from(
    [*"aZ09.,'# \n_-Σıİ", "é", "\u0301", "模型", "\xa0", "\x85", "👍🏽", "\xb4", "ﷺ"]
)


@pytest.mark.parametrize("language", ["english", "turkish", "none", "whitespace"])
@given(text=st.text() | st.lists(ODD).map("".join))
def test_pieces_have_the_terms_of_the_whole_text(language: str, text: str) -> None:
    """Columns are kept for what stands between white space, over which no term may reach."""
    encoder = BM25Encoder(language)
    assert encoder.columns([text]) == [[column for column, *_ in WordTerms(language).stems(text)]]


@pytest.mark.parametrize("language", ["english", "german", "russian", "porter"])
def test_both_programs_of_snowball_stem_alike(language: str) -> None:
    """An index made by the one is searched by the other."""
    plain = getattr(
        importlib.import_module(f"snowballstemmer.{language}_stemmer"),
        f"{language.capitalize()}Stemmer",
    )()
    words = "relational running übergaben häuser бежать книгами generously skies ties".split()
    stem = snowballstemmer.stemmer(language).stemWord
    assert [stem(word) for word in words] == [plain.stemWord(word) for word in words]
