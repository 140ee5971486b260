"""Columns found by compiled code are those that are found text by text, whatever the texts are."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

import embedder.text.piece_counts
from embedder.encoders.bm25 import BM25Encoder
from embedder.text.piece_counts import PieceCounts
from embedder.text.term_counts import count_columns
from embedder.text.word_terms import WordTerms
from embedder.types import Role

_LETTERS = (
    "abXY .,'_-3\t\n\x1c\x85\u00a0\u2028\u3000\u00ad\u200d日本한국éßİΣς👍🏽\u0301\ufb01\ud800"
)


def _texts(count: int, longest: int) -> list[str]:
    dice = random.Random(7)
    return ["".join(dice.choices(_LETTERS, k=dice.randrange(longest))) for _ in range(count)]


def _counted(counts: PieceCounts, texts: Sequence[str]) -> list[dict[int, int]]:
    terms, numbers, bounds = counts.count([text.encode("utf-8", "surrogatepass") for text in texts])
    assert len(bounds) == len(texts) + 1 and bounds[-1] == len(terms) == len(numbers)
    columns, places = counts.columns, pairwise(bounds.tolist())
    rows = [(columns[terms[at:end]].tolist(), numbers[at:end].tolist()) for at, end in places]
    assert all(len(set(row)) == len(row) for row, _ in rows)
    return [dict(zip(*row, strict=True)) for row in rows]


def test_counts_are_those_of_one_text_at_a_time() -> None:
    texts = [*_texts(2000, 60), "", "  ", "x" * 5000, "the end", " the\nend. "]
    texts += ["", " a Key, " * 70_000 + "K\u00a0key", "x" * 600_000, "a key"]  # some fill a part
    for language in ("english", "turkish", "whitespace"):
        if language == "whitespace":  # to which half a character is a term, and that has no column
            texts = [text.replace("\ud800", "") for text in texts]
        words = WordTerms(language)
        counts = PieceCounts(WordTerms(language).columns_of)
        letters = [*map(chr, range(0x3400, 0x3500)), *"abc"] * 400  # no byte lies between them
        for some in (texts, texts[::-1], [], [""], texts[:1], letters):
            assert _counted(counts, some) == [*map(Counter, words.columns(some))]


def test_more_pieces_than_there_is_room_for_begin_a_new_table() -> None:
    """Of 600,000 different words, and of words that fill the room for bytes, none is mixed up."""
    counts = PieceCounts(lambda piece: (int(piece[-6:]),))
    for start in range(0, 600_000, 50_000):
        texts = [
            " ".join(f"{n:06}" for n in range(at, at + 500))
            for at in range(start, start + 50_000, 500)
        ]
        expected = [{n: 1 for n in range(at, at + 500)} for at in range(start, start + 50_000, 500)]
        assert _counted(counts, [*texts, texts[0]]) == [*expected, expected[0]]
    for number in range(400):
        assert _counted(counts, ["x" * 100_000 + f"{number:06}"]) == [{number: 1}]


def test_terms_are_forgotten_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder.text.piece_counts, "_MOST_TERMS", 1000)
    counts, words = PieceCounts(WordTerms("english").columns_of), WordTerms("english")
    for start in range(0, 5000, 500):
        texts = [" ".join(f"w{n} w{n}." for n in range(start, start + 500)), "again"]
        rows = counts.rows([text.encode() for text in texts])
        expected = count_columns(words.columns(texts))
        assert np.array_equal(rows.indices, expected.indices)
        assert np.array_equal(rows.data, expected.data)
    assert len(counts.columns) <= 1501


def test_a_bm25_encoder_counts_much_as_it_counts_little() -> None:
    texts = ["Rotate the keys, every month. " * 40 + text for text in _texts(4000, 90)]
    much = BM25Encoder()
    rows = [much.encode(texts[at : at + 500], Role.DOCUMENT).sparse for at in range(0, 4000, 500)]
    long = "word " * 100_000
    rows.append(much.encode([long], Role.DOCUMENT).sparse)
    for at, row in zip(range(0, 4500, 500), rows, strict=True):
        expected = count_columns(WordTerms("english").columns([*texts, long][at : at + 500]))
        assert row is not None and row.shape == expected.shape
        for part in ("indptr", "indices", "data"):
            assert np.array_equal(getattr(row, part), getattr(expected, part))
