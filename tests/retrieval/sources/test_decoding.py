"""Bytes to text: marks, UTF-8, guesses that are told, and what is no text."""

import pytest

from retrieval.sources.decoding import decode
from retrieval.sources.items import Notes, UnreadableError

GERMAN = "Größe und Übermut in der Küche, schöne Grüße aus München."
RUSSIAN = "Привет мир, это простой русский текст для проверки кодировки. " * 3
JAPANESE = "これは日本語のテキストです。文字コードを調べるための文章です。" * 3
GREEK = "ενέργεια του εδάφους θερμαίνει το σπίτι όλο τον χειμώνα. " * 3


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_decides(encoding: str) -> None:
    notes = Notes()
    assert decode(GERMAN.encode(encoding), "x", notes) == GERMAN
    assert not notes.counts


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((GERMAN, name) for name in ("latin-1", "cp1252", "utf-16-le", "utf-16-be")),
        *((RUSSIAN, name) for name in ("cp1251", "koi8-r")),
        *((JAPANESE, name) for name in ("shift_jis", "euc-jp")),
        (GREEK, "cp1253"),
        ("Le café près de la fenêtre, où l'on se retrouve l'été.", "cp1252"),
        ("El niño español comió una piña mañana.", "latin-1"),
        ("İstanbul'da güneşli bir gün, çocuklar bahçede oynuyor.", "cp1254"),
        ("Zażółć gęślą jaźń, proszę państwa, to jest tekst po polsku.", "cp1250"),
        ("这是一个中文文本用来测试编码检测是否正确。" * 2, "gb18030"),
        ("이것은 한국어 문장입니다. 인코딩을 확인합니다.", "cp949"),
    ],
)
def test_what_is_guessed_is_told(text: str, encoding: str) -> None:
    notes = Notes()
    assert decode(text.encode(encoding), "x.txt", notes) == text
    assert notes.counts == {"encoding": 1} and notes.names["encoding"][0].startswith("x.txt (")


def test_a_declared_encoding_comes_before_guesses_and_a_wrong_one_does_no_harm() -> None:
    notes = Notes()
    assert decode("Łódź".encode("cp1250"), "x", notes, "cp1250") == "Łódź"
    assert decode("Łódź".encode(), "x", notes, "no-such") == "Łódź"
    assert decode(b"\xef\xbb\xbfok", "x", notes, "cp1252") == "ok"
    assert not notes.counts


def test_damaged_utf8_stays_utf8_and_is_told() -> None:
    """One bad byte made a guess of all others: every umlaut was another letter."""
    notes = Notes()
    raw = GERMAN.encode()
    assert decode(raw + b" \xff x", "x", notes) == f"{GERMAN} \ufffd x"
    assert decode((GERMAN + "ü").encode()[:-1], "x", notes) == f"{GERMAN}\ufffd"
    assert notes.counts == {"encoding": 2}


def test_control_characters_are_dropped_and_counted() -> None:
    notes = Notes()
    text = "a\0b\x07c\tand quite a lot of other text\r\n\x0c\x85"
    assert decode(text.encode(), "x", notes) == "abc\tand quite a lot of other text\r\n\x0c\x85"
    assert notes.counts == {"controls": 2}


@pytest.mark.parametrize("raw", [bytes(range(256)) * 4, bytes(100), b"\x01\x02\x03\x04" * 9])
def test_bytes_that_are_no_text_are_refused(raw: bytes) -> None:
    with pytest.raises(UnreadableError, match="no text"):
        decode(raw, "x", Notes())
