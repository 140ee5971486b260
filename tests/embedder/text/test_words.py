"""Word boundaries, by hand, over scripts and punctuation."""

# ruff: noqa: RUF001  (look-alike letters of other scripts are the point here)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.text.words import find_words, is_unspaced, placed_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t—…!?", []),
        ("The Cat sat.", ["The", "Cat", "sat"]),
        ("don't l’eau 'quoted' dogs'", ["don't", "l’eau", "quoted", "dogs"]),
        ("3.14 1,000 3. 4,x", ["3.14", "1,000", "3", "4", "x"]),
        ("U.S.A. e.g. J.R.R.Tolkien", ["U.S.A", "e.g", "J.R.R", "Tolkien"]),
        ("end.Next x-ray snake_case", ["end", "Next", "x", "ray", "snake", "case"]),
        ("IL-6 1.5kg v1.2.3 H2O", ["IL", "6", "1.5kg", "v1.2.3", "H2O"]),
        ("cafe\u0301 Straße ΣΟΦΟΣ", ["cafe\u0301", "Straße", "ΣΟΦΟΣ"]),
        ("हिन्दी नमस्ते", ["हिन्दी", "नमस्ते"]),
        ("می\u200cخواهم co\u00adop", ["می\u200cخواهم", "co\u00adop"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("GPT模型は東京タワー3台。", ["GPT", "模型は東京タワー", "3", "台"]),
        ("สวัสดีครับ ไทย", ["สวัสดีครับ", "ไทย"]),
        ("ပြည်၊မြန်မာ", ["ပြည်", "မြန်မာ"]),
        ("\u2764\ufe0f love \U0001f389", ["love"]),
    ],
)
def test_words_by_hand(text: str, expected: list[str]) -> None:
    assert find_words(text) == expected


def test_unspaced_scripts_are_told_apart() -> None:
    assert [is_unspaced(word) for word in find_words("GPT模型 한국어 ไทย")] == [
        False,
        True,
        False,
        True,
    ]


@given(st.text())
def test_words_stand_in_the_text_in_order(text: str) -> None:
    position = 0
    for word in find_words(text):
        assert word
        position = text.index(word, position) + len(word)


@given(st.lists(st.text(), max_size=4))
def test_lines_do_not_change_each_others_words(lines: list[str]) -> None:
    assert find_words("\n".join(lines)) == [word for line in lines for word in find_words(line)]


@given(st.text(st.sampled_from("aBz09.,' -_")))
def test_words_of_ascii_are_those_beside_other_letters(text: str) -> None:
    """Text that is all ASCII is cut by a faster expression; a last letter asks for the other."""
    assert find_words(text) == find_words(f"{text} é")[:-1]
    assert list(placed_words(text)) == list(placed_words(f"{text} é"))[:-1]
