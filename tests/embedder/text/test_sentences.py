"""Sentence boundaries by hand over scripts and abbreviations, and how sentences are packed."""

# ruff: noqa: RUF001  (look-alike punctuation of other scripts is the point here)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.text.sentences import pack_sentences, split_sentences

# "|" marks the boundaries; it stands in no text itself.
BY_HAND = [
    "It is late. |We left! |Did you? |Yes",
    "It costs 3.14. |Version 1.2.3 of a.b came out. |In 1999. |Then",
    "all lower case. |so is this? |yes",
    "Dr. Smith met Mr. Jones, e.g. at St. John's, i.e. Paris vs. Rome. |They spoke.",
    "J. R. R. Tolkien, Ph.D. of the U.S.A. wrote (J. Smith too). |It sold.",
    "Apples, etc. and pears. |Apples, etc. |The end. |Smith et al. (2020) and Foo Inc. are.",
    "No. 5 is alive. |No. |I mean it. |See Fig. 3, eq. (2), p. 5 of vol. 3. |Art is long.",
    "1. First item. |2. Second item.\n|3. Third, made in Dec. 2020.\n|(4. Fourth.)",
    "http://x.y/z?a=1!b and C.P.U is.That.",
    'He said "Stop." |Then (all of it.) |"Stop!" he said. |(See this.) |And [that.] |„Ja.“ |Nein.',
    "« Bonjour.\u00a0» |Puis il part. |»Er ging.« |Ende",
    "Wait... what? |Wait... |What?! |Hm… no. |Hm… |Yes!!! |End ...x",
    "他说。|“你好。”|再见！|真的？！|是「行く。」|と。，言った｡|終",
    "である．|次に３．１４です．|終",
    "हिन्दी है। |दूसरा वाक्य॥ |तीसरा",
    "هل أنت هنا؟ |نعم. |جيد۔ |اردو",
    "Այո։ |Ոչ",
    "A title\n\n|A body that\nruns on. |Dr.\r\n \r\n|Last\u2029|",
    "\n\n \n  Blank lines before end nothing. |And a last one.\n\n\n|",
    " \n\n ",
    "",
]


@pytest.mark.parametrize("marked", BY_HAND)
def test_sentences_by_hand(marked: str) -> None:
    assert split_sentences(marked.replace("|", "")) == [part for part in marked.split("|") if part]


pieces = st.text() | st.sampled_from(
    [
        *'.!?…"”“)(« \n\r\t。！？।؟．',
        "\n\n",
        "\u2029",
        " Dr.",
        " etc.",
        "U.S.",
        "3.",
        "Go",
        "so",
        "語",
    ]
)


@given(st.lists(pieces, max_size=30).map("".join))
def test_sentences_join_to_the_text_and_none_is_blank(text: str) -> None:
    found = split_sentences(text)
    assert "".join(found) == text
    assert text.isspace() or all(piece.strip() for piece in found)


@given(st.lists(st.sampled_from(["It is late.", "Why?", "Dr. No ran", "语。"]), max_size=8))
def test_paragraphs_are_cut_apart_from_each_other(paragraphs: list[str]) -> None:
    assert split_sentences("\n\n".join(paragraphs)) == [
        f"{text}\n\n" if position + 1 < len(paragraphs) else text
        for position, text in enumerate(paragraphs)
    ]


@pytest.mark.parametrize(
    ("part", "end"), [(".", "x"), ("a.", "x"), ('."', "x"), ("\n ", "x"), (".", " 1"), ("。", "，")]
)
def test_long_runs_of_marks_take_no_long_time(part: str, end: str) -> None:
    # Half a second where every position is looked at a few times; hours where they are paired.
    text = part * 100_000 + end
    assert "".join(split_sentences(text)) == text


@pytest.mark.parametrize(
    ("lengths", "limit", "expected"),
    [
        ([], 5, []),
        ([2, 3, 1], 5, [(0, 2), (2, 3)]),
        ([9, 1, 1, 9], 5, [(0, 1), (1, 3), (3, 4)]),
        ([5, 5], 5, [(0, 1), (1, 2)]),
        ([0, 0, 6, 0], 5, [(0, 2), (2, 3), (3, 4)]),
        ([1, 1], 1, [(0, 1), (1, 2)]),
    ],
)
def test_groups_by_hand(lengths: list[int], limit: int, expected: list[tuple[int, int]]) -> None:
    assert pack_sentences(lengths, limit) == expected


@given(st.lists(st.integers(0, 9)), st.integers(1, 20))
def test_groups_are_whole_within_the_limit_and_greedy(lengths: list[int], limit: int) -> None:
    chunks = pack_sentences(lengths, limit)
    assert [i for start, end in chunks for i in range(start, end)] == list(range(len(lengths)))
    for start, end in chunks:
        assert end - start == 1 or sum(lengths[start:end]) <= limit
        assert end == len(lengths) or sum(lengths[start : end + 1]) > limit


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 token"):
        pack_sentences([1], 0)
