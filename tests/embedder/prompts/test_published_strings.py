"""Library prompts become the ids of the strings that their authors feed, on tokenizers of any kind.

The expected side knows nothing of frames: it writes the string down and calls the tokenizer.
"""

from functools import cache

import pytest
from transformers import PreTrainedTokenizerFast

from embedder.inputs.prompt_tokenizer import PromptTokenizer
from embedder.prompts.files import load_prompt, prompt_library
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import Template
from embedder.text import sts_rules as text_rules
from tests.tokenizer_kinds import ENDS, KINDS, TEXTS, tokenizer_of

PLACE = "<PST>"
SLOTS = ("{sentences}", "{front}", "{reversed}")  # what is fed there is no string of the text


@cache
def worded() -> dict[Template, Prompt]:
    """Every plain wording of the library, with a prompt that has it."""
    prompts = [load_prompt(name) for name in prompt_library()]
    return {
        template: prompt
        for prompt in prompts
        for form in prompt.forms
        for template in form.all
        if not template.chat and not any(slot in template.text for slot in SLOTS)
    }


def published(
    template: Template, prompt: Prompt, text: str, tokenizer: PreTrainedTokenizerFast
) -> list[int]:
    """The ids of a text as the authors' programs come by them."""
    fixed = template.text.replace("{task}", prompt.task).replace("{placeholder}", PLACE)
    fixed = fixed.replace("{bos}", tokenizer.bos_token).replace("{eos}", tokenizer.eos_token)
    own = [tokenizer.bos_token_id] if tokenizer("a").input_ids[0] == tokenizer.bos_token_id else []
    if prompt.text_rules == "sts":
        text = text_rules.sts(text)
    if template.tokens == "whole":
        whole = text.join(fixed.split("{text}"))
        pieces = [whole.strip() if prompt.text_rules == "sts" else whole]
    else:
        pieces = [one for cut in fixed.split("{|}") for one in _around(cut, text)]
        pieces = [piece for piece in pieces if piece]
    ids = [one for p in pieces for one in tokenizer(p, add_special_tokens=False).input_ids]
    begun = ids[: len(own)] == own or prompt.specials == "none"
    ids = ids if begun else [*own, *ids]
    return ids or [tokenizer.bos_token_id]  # nothing at all: a model must be fed something


def _around(cut: str, text: str) -> list[str]:
    before, *after = cut.split("{text}")
    return [before, *(piece for one in after for piece in (text, one))]


FAMILIES = ("byte-bpe", "metaspace-bpe", "wordpiece")


@pytest.mark.parametrize(
    ("kind", "ends"),
    [(kind, ends) for kind in KINDS for ends in ENDS if ends == "bos" or kind in FAMILIES],
)
def test_library_prompts_are_cut_as_published(kind: str, ends: str) -> None:
    """Metaspace tokenizers and models without a BOS were not at hand when the library was made."""
    tokenizer = tokenizer_of(kind, ends)
    authors = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, **tokenizer.special_tokens_map
    )
    authors.add_tokens([PLACE])
    for template, prompt in worded().items():
        frame = PromptTokenizer(template, prompt, tokenizer)
        place = authors.convert_tokens_to_ids(PLACE)
        for text, row in zip(TEXTS, frame.tokenize(TEXTS), strict=True):
            ids = [place if one == frame.placeholder else one for one in row.ids]
            assert ids == published(template, prompt, text, authors), (prompt.name, text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["promptreps", "promptreps-snippet"])
def test_chat_prompts_are_cut_as_published(kind: str, name: str) -> None:
    """PromptReps' README cuts the chat in one go, its program cuts before, in and after a text."""
    tokenizer, prompt = tokenizer_of(kind), load_prompt(name)
    template = prompt.forms[0].document[0]
    frame = PromptTokenizer(template, prompt, tokenizer)
    for text in TEXTS:
        turns = [
            {"role": "system", "content": template.system},
            {"role": "user", "content": template.text.replace("{text}", "@@")},
            {"role": "assistant", "content": template.prefill},
        ]
        shown = tokenizer.apply_chat_template(turns, tokenize=False).rpartition("<|end|>")[0]
        before, after = shown.split("@@")
        pieces = [before, text, after] if name == "promptreps" else [before + text + after]
        want = [one for p in pieces for one in tokenizer(p, add_special_tokens=False).input_ids]
        own = [tokenizer.bos_token_id] if name == "promptreps" else []
        assert frame.tokenize([text])[0].ids == [*own, *want], text
