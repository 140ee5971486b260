"""Words that people see: whole, in the text's spelling, whatever pieces a model knows."""

import json
import math
from pathlib import Path

import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.llm import LLMEncoder
from embedder.inspect.word_columns import WordColumns, piece_words, whole_words
from embedder.text.words import find_words
from embedder.types import Role
from lastword.main import main
from tests.embedder.encoders.test_bm25 import counts
from tests.models import LINES, load_llm


@pytest.fixture(scope="module")
def encoder(llama: Path) -> LLMEncoder:
    return load_llm(llama)


def weights(encoder: LLMEncoder, text: str) -> dict[int, float]:
    row = encoder.encode([text], Role.DOCUMENT).sparse
    assert row is not None
    return dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))


def test_a_word_has_the_largest_weight_of_its_pieces(encoder: LLMEncoder) -> None:
    assert encoder.table is not None
    columns = encoder.table.allowed(["internationalization"])[0].tolist()
    assert len(columns) > 2
    given = {column: float(at) for at, column in enumerate(columns, start=1)}
    text = "on Internationalization"
    assert whole_words(encoder, given, [text]) == [("Internationalization", len(columns))]
    added = whole_words(encoder, given, [text], join=math.fsum)
    assert added == [("Internationalization", sum(given.values()))]
    pieces = piece_words(encoder, given, [text])
    assert [weight for _, weight in pieces] == sorted(given.values(), reverse=True)
    assert all(encoder.table.name(column) in dict(pieces) for column in columns)


def test_all_words_are_words_of_the_text(encoder: LLMEncoder) -> None:
    for line in LINES:
        named = whole_words(encoder, weights(encoder, line), [line])
        assert {word for word, _ in named} <= set(find_words(line))
        assert [weight for _, weight in named] == sorted((w for _, w in named), reverse=True)
        assert max(weights(encoder, line).values()) == named[0][1]


def test_a_piece_goes_to_the_word_that_it_is(encoder: LLMEncoder) -> None:
    """ "day" is a word before it is a piece of "holidays"; of texts the first gives the name."""
    encoder_of_words = BM25Encoder(language="none")
    (column,) = encoder_of_words.columns(["한국"])[0][:1]
    assert WordColumns(encoder_of_words).owners("한국어는 한국", [column]) == {column: "한국"}
    texts = ["한국어를", "한국어는 한국"]
    assert whole_words(encoder_of_words, {column: 1.0}, texts) == [("한국어를", 1.0)]


def test_a_column_of_no_word_keeps_its_own_name(encoder: LLMEncoder) -> None:
    assert encoder.table is not None
    columns = encoder.table.allowed(["volcano"])[0].tolist()
    named = whole_words(encoder, dict.fromkeys(columns, 1.0), ["3.14"])
    assert {word for word, _ in named} == {encoder.table.readable(column) for column in columns}

    class Own:
        """An encoder of somebody's own, which names nothing."""

    assert whole_words(Own(), {5: 1.0}, ["a text"]) == [("<5>", 1.0)]  # type: ignore[arg-type]


def test_pieces_that_overlap_are_one_word_where_there_are_no_spaces(encoder: LLMEncoder) -> None:
    bm25, text = BM25Encoder(), "学生は図書館で本を読む"
    wanted = bm25.columns(["図書館 本"])[0]
    given = {column: 1.0 + at for at, column in enumerate(dict.fromkeys(wanted))}
    assert dict(whole_words(bm25, given, [text])) == {"図書館": 5.0, "本": 6.0}
    named = whole_words(encoder, weights(encoder, text), [text])  # bytes, joined to characters
    assert {word for word, _ in named} <= set(text) and len(named) > 3


def test_bm25_tells_words_as_they_are_written() -> None:
    bm25 = BM25Encoder()
    named = whole_words(bm25, {bm25.columns(["rotate"])[0][0]: 2.0}, ["The Rotation of keys"])
    assert named == [("Rotation", 2.0)]
    assert counts(bm25, "Rotation") == {"rotation": 1}


def test_explain_joins_pieces_unless_it_is_asked_for_them(
    tmp_path: Path, llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "Internationalization of holidays 한국어는"
    (tmp_path / "some.jsonl").write_text(json.dumps({"_id": "d", "text": text}) + "\n")
    path = str(tmp_path / "some.index")
    made = ["index", str(tmp_path / "some.jsonl"), "-o", path, "--model", str(llama), "--quiet"]
    assert main(made) == 0
    query = "internationalization 한국어를"
    capsys.readouterr()
    told = {}
    for more in ([], ["--pieces"]):
        assert main(["explain", path, query, "d", "--json", *more]) == 0
        channels = json.loads(capsys.readouterr().out)["channels"]
        told[bool(more)] = {part["name"]: (part["score"], part["words"]) for part in channels}
    for name in ("sparse", "bm25"):
        score, named = told[False][name]
        assert {word for word, _ in named} <= set(query.split())
        assert sum(part for _, part in named) == pytest.approx(score, rel=1e-5)
        assert sum(part for _, part in told[True][name][1]) == pytest.approx(score, rel=1e-5)
        assert len(told[True][name][1]) > len(named)
