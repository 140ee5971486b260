"""What a search may change of a prompt, and what stays: special tokens, placeholders, the task."""

from dataclasses import replace

import pytest

from embedder.prompts.files import load_prompt, prompt_library
from embedder.prompts.prompt import Prompt
from embedder.types import Role
from tests.models import load_llm
from tuning.first_prompts import space_of
from tuning.search.space import Around, Space

QWEN = "Given a web search query, retrieve relevant passages that answer the query"


def test_words_are_taken_off_every_prompt_of_one_text_and_put_back() -> None:
    """Of 61 forms 25 ended in "words around a text hold no slot"; now those of two texts alone."""
    refused = set()
    for name in prompt_library():
        prompt = load_prompt(name)
        for form in prompt.forms:
            filled = replace(form.query[0], text=form.query[0].text.replace("{task}", "Find"))
            one = replace(prompt, forms=(replace(form, query=(filled,)),))
            try:
                space = Space(one)
            except ValueError as error:
                assert "does not show a query by one {text}" in str(error)
                refused.add(name)
                continue
            words = space.around(one, Role.QUERY)
            assert space.reworded(one, {Role.QUERY: words}) == one
    assert refused == {"echo", "echo-filter", "echo-retrieval", "echo-scsp", "echo-trained", "htp"}


@pytest.mark.parametrize(
    ("template", "around", "empty"),
    [
        ("Find: {text}<|endoftext|>", ("Find: ", ""), "{text}<|endoftext|>"),
        ("{bos}Find {text} now{eos}", ("Find ", " now"), "{bos}{text}{eos}"),
        ("<|im_start|>user\nHi {text}<|im_end|>\n", ("user\nHi ", "<|im_end|>\n"), None),
        ('It is {placeholder} "{text}" :"', ("It is ", '" :"'), '{placeholder} "{text}'),
    ],
)
def test_special_tokens_at_the_ends_are_no_words(
    template: str, around: tuple[str, str], empty: str | None
) -> None:
    """A search took <|endoftext|> for a word: what is read then was the text's last token."""
    name = "prompteol-tp" if "{placeholder}" in template else "mean"
    prompt = with_query(load_prompt(name), template)
    space = Space(prompt)
    assert space.around(prompt, Role.QUERY) == Around(*around)
    if empty is not None:
        assert space.empty().forms[0].query[0].text == empty


def with_query(prompt: Prompt, text: str) -> Prompt:
    form = prompt.forms[0]
    return replace(prompt, forms=(replace(form, query=(replace(form.query[0], text=text),)),))


def test_an_instruction_is_tuned_as_the_words_that_it_stands_for() -> None:
    """Templates as Qwen3-Embedding's could not be tuned: {task} was a slot among the words."""
    plain = load_prompt("qwen3-embedding")
    form = plain.forms[0]
    text = form.query[0].text.replace("<|endoftext|>", "")
    query = replace(form.query[0], text=text)
    document = replace(form.document[0], text="{text}")
    form = replace(form, needs="", query=(query,), document=(document,))
    encoder = load_llm("bundled", replace(plain, forms=(form,)))
    space = space_of(encoder, ["query"], ["dense"], "")
    assert space.around(space.default, Role.QUERY).before == f"Instruct: {QWEN}\nQuery:"
    filled = load_llm("bundled", space.default)
    ids = [
        [list(row.wordings[0].ids) for row in each.reader.feed(["lift of a wing"], Role.QUERY, 64)]
        for each in (encoder, filled)
    ]
    assert ids[0] == ids[1]
