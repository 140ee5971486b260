"""The text rules of the PromptEOL family: by hand, as a rule of rules, and as the original code."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.text.sts_rules import sts
from tests.folders import GOLDEN


@pytest.mark.parametrize(
    ("sentence", "ruled"),
    [
        ("A man is playing", "A man is playing."),
        ("A man is playing.", "A man is playing."),
        ("Is he playing?", "Is he playing."),
        ('He said "go"', "He said 'go'"),
        ('He said "go".', "He said 'go'."),
        ('Did he say "go"?', "Did he say 'go'."),
        ("the dogs'", "the dogs'"),
        ("Run!", "Run!."),
        ("why??", "why?."),
        ("a ", "a ."),
        ("", ""),
        ("?", "."),
    ],
)
def test_by_hand(sentence: str, ruled: str) -> None:
    assert sts(sentence) == ruled


@given(st.text(max_size=40))
def test_what_leaves_can_stand_between_double_quotes(sentence: str) -> None:
    ruled = sts(sentence)
    assert '"' not in ruled
    assert sentence == "" or ruled[-1] in ".'"
    assert sts(ruled) == ruled
    assert 0 <= len(ruled) - len(sentence) <= 1


def test_sentences_leave_as_from_the_original_program() -> None:
    cases = json.loads((GOLDEN / "cases" / "sts_text_rules" / "expected.json").read_text())
    assert len(cases) > 10
    for case in cases:
        assert sts(case["input"]) == case["output"]
