"""Render a prompt for one model: choose the form that fits, and the token ids around the text."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embedder.prompt import SLOT, Form, Prompt, Template
from embedder.types import Role

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SENTINEL = "lastwordtextslot"  # one word that no chat template changes


@dataclass(frozen=True, slots=True)
class Frame:
    """Token ids that stand before and after the text of one role."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prefix) + len(self.suffix)


def choose_form(prompt: Prompt, tokenizer: "PreTrainedTokenizerBase") -> Form:
    """Return the first form whose need the tokenizer meets."""
    vocabulary = tokenizer.get_vocab()
    for form in prompt.forms:
        chat_fits = form.needs == "chat" and bool(tokenizer.chat_template)
        if form.needs == "" or chat_fits or (form.needs != "chat" and form.needs in vocabulary):
            return form
    needs = ", ".join(repr(form.needs) for form in prompt.forms)
    raise ValueError(
        f"prompt {prompt.name!r} needs {needs} in the tokenizer, which has none of them; "
        "choose a prompt with a plain form, e.g. --prompt promptreps"
    )


def frame(template: Template, tokenizer: "PreTrainedTokenizerBase") -> Frame:
    """Tokenise what stands around the text: prefix, text and suffix never share a token.

    The sequence begins with the special tokens that the tokenizer itself would put first (BOS),
    once: they are added only where the rendered prefix does not begin with them already.
    """
    before, after = split(template, tokenizer)
    prefix = text_ids(tokenizer, before)
    leading = leading_specials(tokenizer)
    if leading and tuple(prefix[: len(leading)]) != leading:
        prefix = [*leading, *prefix]
    return Frame(tuple(prefix), tuple(text_ids(tokenizer, after)))


def frames(form: Form, tokenizer: "PreTrainedTokenizerBase") -> dict[Role, Frame]:
    """Return the frame of each role."""
    return {role: frame(form.template(role), tokenizer) for role in Role}


def split(template: Template, tokenizer: "PreTrainedTokenizerBase") -> tuple[str, str]:
    """Return the strings before and after the text, chat markup included."""
    if not template.chat:
        before, after = template.text.split(SLOT)
        return before, after
    rendered = _render_chat(template, tokenizer)
    if rendered.count(SENTINEL) != 1:
        raise ValueError(
            f"the chat template shows the user's text {rendered.count(SENTINEL)} times, "
            "expected once; write a plain prompt (template = ...) for this model"
        )
    before, after = rendered.split(SENTINEL)
    return before, after


def text_ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Tokenise without special tokens of the tokenizer's own."""
    return list(tokenizer(text, add_special_tokens=False, verbose=False).input_ids)


def leading_specials(tokenizer: "PreTrainedTokenizerBase") -> tuple[int, ...]:
    """Return the ids that the tokenizer puts before any text, usually BOS or nothing."""
    bare = text_ids(tokenizer, "a")
    full = list(tokenizer("a", add_special_tokens=True, verbose=False).input_ids)
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return tuple(full[:start])
    return ()


def _render_chat(template: Template, tokenizer: "PreTrainedTokenizerBase") -> str:
    from jinja2 import TemplateError

    user = template.text.replace(SLOT, SENTINEL)
    if template.system:
        turns = [{"role": "system", "content": template.system}, {"role": "user", "content": user}]
        try:
            rendered = _apply(tokenizer, turns, template.prefill)
        except TemplateError:
            rendered = ""
        if template.system in rendered:
            return rendered
        user = f"{template.system} {user}"  # no system role: as the paper does for Mistral
    return _apply(tokenizer, [{"role": "user", "content": user}], template.prefill)


def _apply(tokenizer: "PreTrainedTokenizerBase", turns: list[dict[str, str]], prefill: str) -> str:
    options: dict[str, Any] = {"tokenize": False}
    if prefill:
        turns = [*turns, {"role": "assistant", "content": prefill}]
        options["continue_final_message"] = True
    else:
        options["add_generation_prompt"] = True
    return str(tokenizer.apply_chat_template(turns, **options))
