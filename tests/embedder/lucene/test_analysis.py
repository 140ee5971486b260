"""Anserini's analyzers: the terms that they are known to give, as counts in columns."""

import json

import numpy as np
import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.load import load_encoder, load_from_spec
from embedder.encoders.specs import channels_of, from_json, stored_spec
from embedder.lucene.analysis import LuceneEncoder
from embedder.lucene.jvm import INSTALL
from embedder.types import Counted, NamesTerms, Role

pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        ("english", "The quick foxes' dogs are running", ["quick", "fox", "dog", "run"]),
        ("de", "Die Häuser sind schön", ["haus", "schon"]),
        ("zh", "我爱北京", ["我爱", "爱北", "北京"]),
        ("arabic", "الكتب الجديدة", ["كتب", "جديد"]),
        ("ja", "東京都に行く", ["東京", "都", "行く"]),
        ("cs", "knihy", ["knih"]),
        ("none", "The Foxes", ["the", "foxes"]),
        ("en", "rockets \N{ROCKET} of \U00020bb7", ["rocket", "\N{ROCKET}", "\U00020bb7"]),
        ("en", "half \ud83d a pair", ["half", "pair"]),
        ("en", "nul\0 byte", ["nul", "byte"]),
        ("en", "", []),
    ],
)
def test_terms_are_those_of_the_analyzer(language: str, text: str, terms: list[str]) -> None:
    assert LuceneEncoder(language).terms(text) == terms


def test_counts_stand_in_the_columns_of_the_native_analysis() -> None:
    texts = ["a running dog runs", "", "the"]
    encoder = LuceneEncoder()
    sparse = encoder.encode(texts, Role.DOCUMENT).sparse
    native = BM25Encoder("porter").encode(texts, Role.DOCUMENT).sparse
    assert sparse is not None and native is not None
    for name in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(sparse, name), getattr(native, name))
    assert encoder.counts == {"texts": 3, "without_words": 2}
    names = encoder.term_names([*sparse.indices.tolist(), 5], texts)
    assert sorted(names.values()) == ["<5>", "dog", "run"]
    assert isinstance(encoder, Counted) and isinstance(encoder, NamesTerms)


def test_a_spec_loads_the_same_analysis_again() -> None:
    encoder = load_encoder("lucene:de")
    spec = from_json(stored_spec(encoder), "bm25")
    assert load_from_spec(spec).fingerprint == encoder.fingerprint
    assert channels_of(encoder) == ("bm25",)
    facts = json.loads(encoder.fingerprint)
    assert facts["language"] == "german" and facts["analyzer"].endswith(".de.GermanAnalyzer")
    assert facts["kind"] == "lucene" and facts.keys() >= {"lucene", "anserini"}
    assert load_encoder("bm25:de").fingerprint == BM25Encoder("german").fingerprint


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="no analyzer for 'germain'; did you mean german"):
        LuceneEncoder("germain")
    with pytest.raises(ValueError, match="reads texts without a prompt"):
        load_encoder("lucene", prompt="promptreps")
