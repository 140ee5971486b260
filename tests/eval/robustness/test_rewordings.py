"""Rewordings of queries: by rule, the same for the same seed, and never the query itself."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.robustness.rewordings import (
    KINDS,
    RewordingKind,
    check_groups,
    own_synonyms,
    read_groups,
    reword,
)

QUERY = "How do I rotate a large key"


@given(st.text(max_size=60), st.sampled_from(KINDS), st.integers(1, 5), st.integers(0, 9))
def test_any_text_is_reworded_alike_and_never_to_itself(
    text: str, kind: RewordingKind, count: int, seed: int
) -> None:
    made = reword(text, kind, count, seed, own_synonyms())
    assert made == reword(text, kind, count, seed, own_synonyms())
    assert len(made) <= count and len(set(made)) == len(made) and text not in made


def test_a_typing_error_is_in_one_word_and_not_at_its_ends() -> None:
    for made in reword(QUERY, "typing", 30, 0, ()):
        pairs = [
            (word, typed)
            for word, typed in zip(QUERY.split(), made.split(), strict=True)
            if word != typed
        ]
        ((word, typed),) = pairs
        assert word in ("rotate", "large") and word[0] == typed[0]
        assert abs(len(word) - len(typed)) <= 1


@given(st.lists(st.sampled_from(["wing", "flow", "of", "a"]), max_size=6), st.integers(0, 9))
def test_another_order_has_the_same_words(words: list[str], seed: int) -> None:
    for made in reword(" ".join(words), "order", 3, seed, ()):
        assert sorted(made.split()) == sorted(words)


def test_all_capitals_that_there_are() -> None:
    assert set(reword(QUERY, "case", 5, 0, ())) == {
        "HOW DO I ROTATE A LARGE KEY",
        "how do i rotate a large key",
        "How Do I Rotate A Large Key",
    }


def test_a_synonym_is_a_whole_word_and_keeps_its_capital() -> None:
    groups = (("how do i", "how can i"), ("large", "big"), ("rot", "decay"))
    assert set(reword(QUERY, "synonym", 9, 0, groups)) == {
        "How can i rotate a large key",
        "How do I rotate a big key",
    }
    assert reword("İ large", "synonym", 9, 0, groups) == [], "its lower case is longer"


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("how do I rotate a key", "how do not I rotate a key"),
        ("wings that are swept", "wings that are not swept"),
        ("swept wings", "not swept wings"),
        ("wings without flaps", "wings flaps"),
        ("what is not known", "what is known"),
    ],
)
def test_a_negation_comes_or_goes(text: str, negated: str) -> None:
    assert reword(text, "negation", 5, 0, ()) == [negated]


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_reworded_is_not(kind: RewordingKind) -> None:
    if kind != "negation":
        assert reword("東京", kind, 5, 0, own_synonyms()) == []


def test_own_groups_name_no_word_in_two_groups() -> None:
    words = [word for group in own_synonyms() for word in group]
    assert {word for word in words if words.count(word) > 1} <= {"forecast"}


def test_groups_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text("Car\tautomobile\n\nbig\tlarge\thuge\n")
    assert read_groups(path) == (("car", "automobile"), ("big", "large", "huge"))
    path.write_text("car\tautomobile\nbig\n")
    with pytest.raises(ValueError, match=r"mine.tsv.*2.*two different words.*'big'"):
        read_groups(path)
    path.write_text("\n")
    with pytest.raises(ValueError, match="holds no words"):
        read_groups(path)


@pytest.mark.parametrize("groups", [[["a"]], [["a", "A "]], [["a", ""]]])
def test_a_group_has_two_words(groups: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="two different words"):
        check_groups(groups)
