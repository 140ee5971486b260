"""Texts are cut where sentences end, and nothing of them is lost; headings begin what follows."""

import itertools
import re
import time

import pytest
import regex  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from embedder.text import stretches
from embedder.text.headings import find_headings
from embedder.text.stretches import LONGEST, TextUnits, cut_stretches, find_units, has_few_units
from embedder.text.words import UNSPACED

PIECES = st.sampled_from(
    [
        "word",
        "Two",
        "10.5",
        "end. ",
        "Why? ",
        "\n",
        "\n\n",
        " ",
        "東京。",
        "ไทย",
        "é",
        "# Head\n",
        "-",
    ]
)
TEXTS = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=80).map("".join))


def cut(text: str, most: int, overlap: int) -> tuple[TextUnits, list[tuple[int, int]]]:
    units = TextUnits.of(text)
    return units, cut_stretches(units, [1] * len(units.bounds), most, overlap)


@given(TEXTS, st.integers(1, 12), st.integers(0, 11))
def test_stretches_hold_every_unit_and_share_no_more_than_stated(
    text: str, most: int, overlap: int
) -> None:
    overlap = min(overlap, most - 1)
    units, found = cut(text, most, overlap)
    assert {at for start, end in found for at in range(start, end)} == set(range(len(units.bounds)))
    assert all(0 < end - start <= most for start, end in found)
    for (first, end), (start, later) in itertools.pairwise(found):
        assert first < start <= end < later and end - start <= overlap
    assert found == cut(text, most, overlap)[1]


@given(TEXTS, st.integers(1, 12), st.integers(0, 11))
def test_a_stretch_ends_with_a_sentence_where_one_ends_in_it(
    text: str, most: int, overlap: int
) -> None:
    units, found = cut(text, most, min(overlap, most - 1))
    done = 0
    for start, end in found[:-1]:
        if end not in units.sentences:  # then none of them ends behind what was there before
            assert not [at for at in units.sentences if done < at <= start + most]
        done = end


@given(TEXTS)
def test_units_leave_out_white_space_alone(text: str) -> None:
    bounds = find_units(text)
    spaced = stretches._MAYBE_UNSPACED.search(text) is None
    if spaced and max(map(len, text.split()), default=0) <= LONGEST:
        assert bounds.tolist() == [list(match.span()) for match in re.finditer(r"\S+", text)]
    covered = {at for start, end in bounds.tolist() for at in range(start, end)}
    assert all(at in covered for at, character in enumerate(text) if not character.isspace())
    assert not has_few_units(text, 8) or len(bounds) <= 8
    assert (bounds[1:, 0] >= bounds[:-1, 1]).all()


def test_stretches_of_plain_sentences() -> None:
    text = "One two three. Four five. Six seven eight nine. Ten."
    units, found = cut(text, 6, 2)
    places = units.bounds
    parts = [text[places[start, 0] : places[end - 1, 1]] for start, end in found]
    assert parts == [
        "One two three. Four five.",
        "Four five. Six seven eight nine.",
        "Ten.",
    ]


def test_a_heading_begins_what_stands_below_it() -> None:
    text = "It was so. It is so.\n\n# Keys\n\nRotate them. Every month.\n\nNew Locks\n\nNo. Never."
    assert [text[a:b] for a, b in find_headings(text)] == ["# Keys", "New Locks"]
    units, found = cut(text, 8, 3)
    places = units.bounds
    assert [text[places[a, 0] : places[b - 1, 1]] for a, b in found] == [
        "It was so. It is so.",
        "# Keys\n\nRotate them. Every month.",
        "New Locks\n\nNo. Never.",
    ]
    assert [len(part.bounds) for _, part in units.between_headings()] == [6, 6, 4]


def test_what_looks_like_a_heading_and_is_none() -> None:
    for text in (
        "A sentence.\n\nmore",
        "```\n# comment\n```\n\ntext",
        "1999 was good,\n\nso it was",
    ):
        assert find_headings(text) == []
    below = "Title\n=====\n\ntext\n\n2.1 Methods used\n\nMore of it."
    assert [below[a:b] for a, b in find_headings(below)] == ["Title\n=====", "2.1 Methods used"]


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "東",
        "東京は首都。",
        "ไทย",
        "- ",
        "# ",
        "A ",
        "a\n---\n",
        "A line\n\n",
        "e\u0301",
        "\n",
        "```\n",
        "x. ",
    ],
)
def test_a_megabyte_of_anything_is_cut_in_seconds(piece: str) -> None:
    text = piece * (250_000 // len(piece))
    started = time.perf_counter()
    units, found = cut(text, 350, 40)
    assert time.perf_counter() - started < 10  # a quarter of it takes less than two alone
    assert len(found) >= len(units.bounds) // 350


def test_a_run_without_spaces_is_cut_within() -> None:
    assert len(find_units("x" * 1000)) == -(-1000 // LONGEST)
    assert find_units("e\u0301" * 3).tolist() == [[0, 6]]
    assert find_units("東京 ab").tolist() == [[0, 1], [1, 2], [3, 5]]


def test_the_quick_ways_to_find_units_are_those_of_the_plain_pattern() -> None:
    unspaced = regex.compile(rf"(?V1)[{UNSPACED}]")
    every = (chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    quick = [one for one in every if stretches._MAYBE_UNSPACED.match(one) is None]
    assert not [one for one in quick if unspaced.match(one)]
    text = "Käse \u2013 a\u0301 " + "x" * 130 + " e\u0301" * 3 + "y" * 63 + "e\u0301\u0301z"
    plain = find_units(text + " 東")[:-1]  # which is found by the pattern alone
    assert find_units(text).tolist() == plain.tolist()
