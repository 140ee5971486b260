"""What a prompt costs: forward passes and tokens for each text, told without a model."""

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from embedder.checkpoints.bundled import BUNDLED_MODEL
from embedder.prompts.method_rules import RewritingRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import at_depth
from embedder.prompts.template import (
    SLOT,
    TEXT_SLOTS,
    Template,
    head_parts,
    share_head,
    template_parts,
)
from embedder.types import Role

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SENTENCE = (
    "The city council voted on Tuesday to turn the old brewery by the river into a public library ."
)
DEPTH = 32  # blocks of LLaMA2-7B and Mistral-7B, for which most layers were published

# Chat markup differs by model; it is counted as ChatML writes it.
_CHAT = (
    "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n"
    "<|im_start|>assistant\n{prefill}"
)
_SPECIAL = re.compile(r"<\|\w+\|>|</?[a-z]\w*>")  # one token each to the models that know them
_ONE = "<|eos|>"  # one token to the bundled tokenizer, which does not know those


@dataclass(frozen=True, slots=True)
class PromptCost:
    """What one text costs, as a document in the prompt's first form.

    Attributes:
        passes: forward passes; a generated token is one, an auxiliary prompt one.
        tokens: tokens that go through all blocks, as a multiple of the text's own. What stops
            below the top counts by its part of the depth. What all texts begin with is free, since
            it is read once.
    """

    passes: int
    tokens: float


def prompt_cost(prompt: Prompt) -> PromptCost:
    """Count what a sentence of average length costs, with the bundled tokenizer's tokens.

    A rewriting is taken to be as long as its text, and the generator to be as large as the model
    that reads.
    """
    templates = prompt.forms[0].templates(Role.DOCUMENT)
    reading = prompt.reading
    apart = reading.prefix_apart
    fans = _fan_out(prompt, templates)
    tokens = sum(_count_fed(template, prompt, apart) for template in templates)
    passes = len(templates)
    if fans:  # what stands up to the end of the text is read once for all wordings
        head = _count_fed(templates[0], prompt, apart) - _ending(templates[0])
        tokens, passes = tokens - (len(templates) - 1) * head, 2
    tokens *= _depth(prompt)
    if reading.mode != "first-token":
        tokens += reading.generated_tokens - 1
        passes += reading.generated_tokens - 1
    if prompt.select is not None:
        tokens += _count(prompt.select.ask)
        passes += 1
    if prompt.contrast is not None:
        part = (at_depth(prompt.contrast.block, DEPTH) + 1) / DEPTH
        tokens += part * _count_fed(prompt.contrast.template, prompt, apart)
        passes += 1
    if prompt.rewrite is not None:
        passes, tokens = _with_rewritings(passes, tokens, prompt.rewrite)
    return PromptCost(passes, tokens / _count(SENTENCE))


def _depth(prompt: Prompt) -> float:
    """Return the part of the depth that is run: all of it where next words are wanted."""
    reading = prompt.reading
    if reading.sparse is not None or reading.mode != "first-token" or prompt.select is not None:
        return 1.0
    return at_depth(reading.layer, DEPTH) / DEPTH


def _fan_out(prompt: Prompt, templates: tuple[Template, ...]) -> bool:
    """Tell whether wordings differ after the text only; as `PromptReader` has it."""
    heads = [head_parts(template_parts(template.text)) for template in templates]
    whole = any(template.tokens == "whole" for template in templates)
    return prompt.reads_last_tokens_only and not whole and share_head(heads)


def _with_rewritings(passes: int, tokens: float, rule: RewritingRules) -> tuple[int, float]:
    """Add what is written about a text, token by token, and the reading of it."""
    from embedder.methods.geneol import RewritingPrompts

    prompts = RewritingPrompts.load()
    asks = [instruction.ask for instruction in prompts.instructions] * rule.per_instruction
    written = asks + [prompts.summary.ask] * (len(asks) if rule.compose else 0)
    length = _count(SENTENCE)
    readings = len(asks) + 1
    # Demonstrations and instruction come before the text, alike for all texts.
    writing = sum(2 * length + _count(ask.partition(SLOT)[2]) for ask in written)
    return readings * passes + len(written) * length, readings * tokens + writing


def _count_fed(template: Template, prompt: Prompt, apart: bool) -> float:
    """Count the tokens that are fed for the sentence, those of the prefix where it counts."""
    count, begun, literal = 0, not apart, ""
    for part in (*template_parts(_spelled(template)), None):
        if part is not None and part.kind in ("literal", "task", "bos"):
            texts = {"task": prompt.task, "bos": _ONE}
            literal += texts.get(part.kind, part.text)
            continue
        count += _count(literal) if begun else 0
        literal = ""
        if part is None or part.kind == "|":
            continue
        # {eos}, {placeholder}, {front}, and the placeholder of {sentences} take one token each.
        count += _count(SENTENCE) if part.kind in TEXT_SLOTS else 0
        count += 0 if part.kind in ("text", "reversed") else 1
        begun = True
    return count


def _ending(template: Template) -> int:
    return _count(template_parts(template.text)[-1].text)


def _spelled(template: Template) -> str:
    """Write a chat out; a plain wording is what it is."""
    if not template.chat:
        return template.text
    turns = {"system": template.system, "user": template.text, "prefill": template.prefill}
    return re.sub(r"\{(system|user|prefill)\}", lambda match: turns[match[1]], _CHAT)


@cache
def _count(text: str) -> int:
    return len(_tokenizer().encode(_SPECIAL.sub(_ONE, text), add_special_tokens=False).ids)


@cache
def _tokenizer() -> "Tokenizer":
    from tokenizers import Tokenizer

    # The library alone: transformers takes a second to import.
    return Tokenizer.from_file(str(BUNDLED_MODEL / "tokenizer.json"))
