"""Render a template for one tokenizer: choose the form that fits, chat markup, examples, slots."""

import re
from typing import TYPE_CHECKING

from embedder.inputs.chat_template import render_turns
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import (
    TEXT_SLOTS,
    PromptVariant,
    Template,
    TemplatePart,
    template_parts,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

QUOTE = '"'
_OPEN, _SHUT = "\ue000", "\ue001"  # private use: around the number of an example, while rendering
_EXAMPLE = re.compile(f"{_OPEN}([0-9]{{1,9}})(w?){_SHUT}")


def choose_form(prompt: Prompt, tokenizer: "PreTrainedTokenizerBase") -> PromptVariant:
    """Return the first form whose need the tokenizer meets."""
    for form in prompt.forms:
        if form.needs == "chat":
            fits = bool(tokenizer.chat_template)
        else:  # a large vocabulary takes a third of a second to list
            fits = form.needs == "" or form.needs in tokenizer.get_vocab()
        if fits:
            return form
    needs = ", ".join(repr(form.needs) for form in prompt.forms)
    raise ValueError(
        f"prompt {prompt.name!r} needs {needs} in the tokenizer, which has none of them; "
        "choose a prompt with a plain form, e.g. promptreps"
    )


def rendered(
    template: Template, prompt: Prompt, tokenizer: "PreTrainedTokenizerBase"
) -> tuple[TemplatePart, ...]:
    """Return literals and slots in the order in which they are fed.

    Chat markup and examples are in the literals, and so are {task} and {bos}; neighbouring
    literals are one, except where {|} parts them.
    """
    count = len(prompt.examples)
    text = _chat(template, count, tokenizer) if template.chat else _plain(template.text, count)
    parts: list[TemplatePart] = []
    joined = False  # whether the next literal goes on with the one before
    for part in template_parts(text):
        literal = _literal(part, prompt, tokenizer)
        if literal is None:
            if part.kind != "|":
                parts.append(part)
            joined = False
        elif joined:
            parts[-1] = parts[-1].joined(literal)
        else:
            parts.append(literal)
            joined = True
    return tuple(parts)


def leading_specials(tokenizer: "PreTrainedTokenizerBase") -> tuple[int, ...]:
    """Return the ids that the tokenizer puts before any text, usually BOS or nothing."""
    bare = text_ids(tokenizer, "a")
    full = list(tokenizer("a", add_special_tokens=True, verbose=False).input_ids)
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return tuple(full[:start])
    return ()


def text_ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Tokenise without special tokens of the tokenizer's own."""
    return list(tokenizer(text, add_special_tokens=False, verbose=False).input_ids)


def _literal(
    part: TemplatePart, prompt: Prompt, tokenizer: "PreTrainedTokenizerBase"
) -> TemplatePart | None:
    """Return the characters that a part stands for, or None for a slot that stays one."""
    if part.kind == "task":
        return TemplatePart("literal", prompt.task)
    if part.kind == "bos":
        return TemplatePart("literal", str(tokenizer.bos_token or ""))
    if part.kind != "literal":
        return None
    literal = TemplatePart("literal")
    for at, piece in enumerate(_EXAMPLE.split(part.text)):
        if at % 3 == 0:
            literal = literal.joined(TemplatePart("literal", piece))
        elif at % 3 == 1:
            number = int(piece)
        elif number < len(prompt.examples):
            example = prompt.examples[number]
            text = example.word if piece else example.text
            literal = literal.joined(TemplatePart("literal", text, ((0, len(text)),)))
    return literal


def _plain(wording: str, examples: int) -> str:
    """Put the examples before the wording, each as the wording itself with its word."""
    answered = [_fill(wording, number) + _word(wording, number) for number in range(examples)]
    return "\n\n".join([*answered, wording])


def _chat(template: Template, examples: int, tokenizer: "PreTrainedTokenizerBase") -> str:
    """Render the turns; the model is left about to go on with the prefilled answer."""
    turns: list[tuple[str, str]] = []
    for number in range(examples):
        answer = template.prefill + _word(template.prefill, number)
        turns += [("user", _fill(template.text, number)), ("assistant", answer)]
    turns.append(("user", template.text))
    if template.prefill:
        turns.append(("assistant", template.prefill))
    if template.system:
        turns.insert(0, ("system", template.system))
    # Without a system role, one space parts the two, as the paper does for Mistral.
    text = render_turns(tokenizer, turns, " ", continues=bool(template.prefill))
    count = sum(part.kind in TEXT_SLOTS for part in template_parts(text))
    if count != template.texts:
        raise ValueError(
            f"the chat template shows the user's text {count} times, expected "
            f"{'once' if template.texts == 1 else template.texts}; "
            "write a plain prompt (template = ...) for this model"
        )
    return text


def _fill(text: str, number: int) -> str:
    """Put an example in the place of every text slot."""
    for kind in TEXT_SLOTS:
        text = text.replace(f"{{{kind}}}", f"{_OPEN}{number}{_SHUT}")
    return text


def _word(before: str, number: int) -> str:
    """Return an example's word, with the quote closed where the wording opened one."""
    return f"{_OPEN}{number}w{_SHUT}" + (QUOTE if before.endswith(QUOTE) else "")
