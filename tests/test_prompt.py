"""Prompts: TOML round trip, content hash, errors that name the file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.prompt import Prompt
from embedder.reading import Reading, SparseRules
from embedder.template import Form, Template

PLAIN = "[query]\ntemplate = 'q {text}'\n[document]\ntemplate = 'd {text}'\n"


@pytest.mark.parametrize("name", Prompt.library())
def test_library_prompts_survive_toml(name: str) -> None:
    prompt = Prompt.load(name)
    assert Prompt.from_toml(prompt.to_toml()) == prompt
    assert prompt.name == name and prompt.source and prompt.description


def test_paper_prompts_keep_the_two_characters_backslash_n() -> None:
    text = Prompt.load("promptreps-paper").forms[0].document[0].text
    assert "\\n\\nPassage" in text and "\n" not in text
    assert text.endswith('The word is: "')


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


@given(before=words, after=words, prefill=words, top=st.integers(1, 500), layer=st.integers(-9, 9))
def test_any_prompt_survives_toml(
    before: str, after: str, prefill: str, top: int, layer: int
) -> None:
    before, after = before.replace("{text}", ""), after.replace("{text}", "")
    turn = Template(f"{before}{{text}}{after}", "", prefill, chat=True)
    plain = Template(f"{after}{{text}}")
    reading = Reading(layer=layer, sparse=SparseRules(top=top))
    prompt = Prompt("p", (Form("f", (turn,), (plain,), "chat"),), reading)
    assert Prompt.from_toml(prompt.to_toml()) == prompt
    whole = Template(f"{before}{{text}}", tokens="whole")
    prompt = Prompt("p", (Form("f", (turn, plain, whole), (plain, whole)),), reading)
    assert Prompt.from_toml(prompt.to_toml()) == prompt


def test_wordings_of_any_kinds_stand_in_tables_of_one_name() -> None:
    both = "[[both]]\nuser = 'u {text}'\n[[both]]\ntemplate = '{text} t'\ntokens = 'whole'\n"
    (form,) = Prompt.from_toml("name = 'p'\n" + both).forms
    assert form.query == form.document
    assert form.query == (
        Template("u {text}", chat=True),
        Template("{text} t", tokens="whole"),
    )


def test_hash_is_of_content_not_of_names() -> None:
    one = Prompt.from_toml("name = 'a'\ndescription = 'x'\n" + PLAIN)
    other = Prompt.from_toml("name = 'b'\n" + PLAIN)
    worded = Prompt.from_toml("name = 'a'\n" + PLAIN.replace("q {", "Q {"))
    assert one.hash == other.hash != worded.hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN.replace("{text}", "", 1), "exactly once"),
        (PLAIN + "[sparse]\ntopp = 3\n", "does not know topp"),
        (PLAIN + "[read]\nmode = 'second'\n", "read.mode must be one of"),
        (PLAIN + "[read]\ndense = false\n[sparse]\nenabled = false\n", "got neither"),
        ("[query]\ntemplate = '{text}'\n", "'document' is missing"),
        (PLAIN.replace("template = 'q", "prefill = 'x'\ntemplate = 'q"), "does not know prefill"),
        ("[query\n", "mine.toml"),
    ],
)
def test_a_wrong_prompt_says_where_and_what(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("name = 'mine'\n" + text)
    with pytest.raises(ValueError, match=r"mine\.toml") as caught:
        Prompt.load(path)
    assert said in str(caught.value)


def test_an_unknown_name_gets_near_ones() -> None:
    with pytest.raises(ValueError, match="nearest: promptreps"):
        Prompt.load("promptrep")
    with pytest.raises(ValueError, match="no prompt file at"):
        Prompt.load("nowhere.toml")
