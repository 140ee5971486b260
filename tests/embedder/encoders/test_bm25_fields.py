"""BM25 of weighted fields and of several languages: rows by hand, and against a formula."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.load import load_from_spec
from embedder.encoders.specs import from_json, stored_spec
from embedder.text.fields import EncodesFields, FieldedText, parse_fields
from embedder.types import Representation, Role


def named(encoder: BM25Encoder, rows: Representation, text: str) -> list[dict[str, float]]:
    """The rows as word -> count, with the words of a text."""
    assert rows.sparse is not None
    found = encoder.decode(rows.sparse, texts=text)
    return [dict(row) for row in (found if rows.sparse.shape[0] > 1 else [found])]  # type: ignore[arg-type]


def reloaded(encoder: BM25Encoder) -> BM25Encoder:
    """The encoder as the manifest of an index brings it back."""
    again = load_from_spec(from_json(stored_spec(encoder), "bm25"))
    assert isinstance(again, BM25Encoder) and again.fingerprint == encoder.fingerprint
    return again


def test_counts_of_a_term_are_weighted_by_field_and_added() -> None:
    encoder = reloaded(BM25Encoder("none", fields="title^2.5,text,tags^0.5"))
    passage = FieldedText("tea green tea", "Tea", metadata={"tags": ["tea", 3], "year": 1999})
    (row,) = named(encoder, encoder.encode_fields([passage]), "tea green 3")
    assert row == {"tea": 2.5 + 2 + 0.5, "green": 1, "3": 0.5}
    assert encoder.counts == {"texts": 1, "without_words": 0} | {
        f"without_{name}": 0 for name in ("title", "text", "tags")
    }
    assert encoder.fields == {"title": 2.5, "text": 1, "tags": 0.5}


def test_fields_that_are_not_named_are_not_read() -> None:
    encoder = BM25Encoder(fields="title")
    rows = encoder.encode_fields([FieldedText("body", "Head"), FieldedText("body")])
    assert named(encoder, rows, "head body") == [{"head": 1}, {}]
    assert encoder.counts["without_title"] == encoder.counts["without_words"] == 1


WORDS = st.lists(st.sampled_from(["key", "keys", "the", "Tea", "über", "模型"]), max_size=6)


@given(st.lists(st.tuples(WORDS.map(" ".join), WORDS.map(" ".join)), min_size=1, max_size=4))
def test_weights_of_one_are_the_rows_without_fields(parts: list[tuple[str, str]]) -> None:
    passages = [FieldedText(text, title) for title, text in parts]
    plain = BM25Encoder().encode([each.content for each in passages], Role.DOCUMENT).sparse
    rows = BM25Encoder(fields="title,text").encode_fields(passages).sparse
    assert plain is not None and rows is not None
    for name in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(plain, name), getattr(rows, name))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("title^0", "from 1e-6 to 1e6.*'title\\^0'"),
        ("title^x", "'title\\^x'"),
        ("title^nan", "'title\\^nan'"),
        ("title^-1,text", "'title\\^-1'"),
        ("title,,text", "got ''"),
        ("text,text^2", "'text' comes twice"),
    ],
)
def test_fields_that_cannot_be_read_are_refused(fields: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BM25Encoder(fields=fields)


def test_fields_are_read_as_they_are_written() -> None:
    assert parse_fields("title^2, text ,tags^1e-3") == {"title": 2, "text": 1, "tags": 0.001}
    spec = BM25Encoder(fields="title^2.0, text^1.0,tags^1e-3").spec
    assert spec is not None and spec.fields == "title^2,text,tags^0.001"


DOCUMENTS = [
    ("Der Hund jagte die Katzen durch den Garten des Nachbarn.", "german"),
    ("The dog chased the cats through the garden of the neighbour.", "english"),
    ("Le chien a poursuivi les chats dans le jardin du voisin.", "french"),
]


def test_documents_are_read_in_the_language_that_they_are_in() -> None:
    encoder = reloaded(BM25Encoder("en,de,fr"))
    passages = [FieldedText(text, opening=text) for text, _ in DOCUMENTS]
    rows = encoder.encode_fields(passages).sparse
    assert rows is not None
    for at, (text, language) in enumerate(DOCUMENTS):
        alone = BM25Encoder(language).encode([text], Role.DOCUMENT).sparse
        assert alone is not None and np.array_equal(rows[at].indices, alone.indices)
        assert encoder.counts[f"in_{language}"] == 1
    assert encoder.counts["undetected"] == 0
    plain = encoder.encode([text for text, _ in DOCUMENTS], Role.DOCUMENT).sparse
    assert plain is not None and np.array_equal(plain.indices, rows.indices)


def test_a_query_is_read_in_all_languages_and_terms_they_share_count_once() -> None:
    encoder = BM25Encoder("en,de")
    (columns,) = encoder.columns(["houses houses die rotation"])
    english, german = (
        Counter(BM25Encoder(one).columns(["houses houses die rotation"])[0]) for one in ("en", "de")
    )
    assert Counter(columns) == english | german
    by_stem: dict[int, str] = {}
    encoder.learn_stems(["houses die rotation"], by_stem)
    counts = {by_stem[column]: count for column, count in Counter(columns).items()}
    assert counts == {"hous": 2, "die": 1, "rotat": 1, "rotation": 1}


def test_a_field_names_the_language_and_the_text_where_it_does_not() -> None:
    encoder = reloaded(BM25Encoder("en,de,fr", language_field="lang"))
    text = DOCUMENTS[0][0]
    for value, language in [
        ("fr", "french"),
        ("English", "english"),
        (" fr-CA ", "french"),
        ("es", "german"),
        (None, "german"),
    ]:
        before = Counter(encoder.counts)
        encoder.encode_fields([FieldedText(text, opening=text, metadata={"lang": value})])
        added = Counter(encoder.counts) - before
        assert added == Counter(texts=1, **{f"in_{language}": 1}) + Counter(
            other_language=value in ("es", None)
        )


def test_what_tells_no_language_is_read_in_the_first() -> None:
    encoder = BM25Encoder("fr,en")
    encoder.encode_fields([FieldedText("123", opening="123"), FieldedText("")])
    assert encoder.counts["undetected"] == encoder.counts["in_french"] == 2


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en,en", "english comes twice"),
        ("en,", "got ''"),
        ("en,none", "ISO codes or names.*got 'none'"),
        ("en,whitespace", "got 'whitespace'"),
        ("en,klingon", "got 'klingon'"),
        ("en,zh", "no stemmer is called 'chinese'"),
    ],
)
def test_languages_that_do_not_go_together_are_refused(language: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BM25Encoder(language)


def test_a_field_of_the_language_needs_several() -> None:
    with pytest.raises(ValueError, match="'lang' chooses among several languages; got 'de'"):
        BM25Encoder("de", language_field="lang")


def test_plain_encoders_need_no_fields() -> None:
    encoder = BM25Encoder()
    assert isinstance(encoder, EncodesFields) and not encoder.reads_fields
    assert BM25Encoder("en,de").reads_fields and BM25Encoder(fields="text").reads_fields


def test_a_query_may_be_read_in_one_of_the_languages() -> None:
    encoder = BM25Encoder("en,de")
    asked = encoder.asked_in("de")
    assert asked.fingerprint == encoder.fingerprint
    query = ["die houses of rotation"]
    for one, other in ((asked, BM25Encoder("de")), (encoder.asked_in("english"), BM25Encoder())):
        rows, alone = (each.encode(query, Role.QUERY).sparse for each in (one, other))
        assert rows is not None and alone is not None
        assert np.array_equal(rows.indices, alone.indices)
    text = DOCUMENTS[1][0]  # documents are read as they were
    assert asked.encode([text], Role.DOCUMENT).sparse is not None
    assert asked.columns([text]) == encoder.columns([text])
    with pytest.raises(ValueError, match="reads english, german; got the query language 'fr'"):
        encoder.asked_in("fr")


MIXED = BM25Encoder("en,de", fields="title^1.7,text^0.3")


@settings(deadline=None)  # the first one loads the model of languages
@given(st.lists(st.tuples(WORDS.map(" ".join), WORDS.map(" ".join)), min_size=1, max_size=4))
def test_a_passage_alone_has_the_row_that_it_has_among_others(parts: list[tuple[str, str]]) -> None:
    encoder = MIXED
    passages = [FieldedText(text, title, f"{title} {text}") for title, text in parts]
    together = encoder.encode_fields(passages).sparse
    assert together is not None
    for at, passage in enumerate(passages):
        alone = encoder.encode_fields([passage]).sparse
        assert alone is not None
        assert np.array_equal(alone.indices, together[at].indices)
        assert np.array_equal(alone.data, together[at].data)
