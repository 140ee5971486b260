"""Prompts that are a plain wording around a text: all that readers other than ours can follow."""

from collections.abc import Collection, Sequence

from embedder.prompts.prompt import Prompt
from embedder.prompts.template import Template

_SLOTS = {"literal", "text", "task", "|"}
_RULES = ("prepend", "contrast", "filter", "select", "rewrite", "sample", "text_rules")


def check_plain(
    prompt: Prompt, templates: Sequence[Template], reader: str, more: Collection[str] = ()
) -> None:
    """Refuse a prompt that is more than a plain wording.

    Args:
        prompt: whose rules count.
        templates: its wordings of one role.
        reader: what is to follow it, for messages.
        more: slots that the reader can fill, beside the text and the task.

    Raises:
        ValueError: names the first rule that the reader cannot follow.
    """
    reading = prompt.reading
    strange = sorted({kind for one in templates for kind in one.kinds} - _SLOTS - {*more})
    rules = [
        (len(templates) > 1, "several wordings of one role"),
        (any(template.chat for template in templates), "a chat turn (user = ...)"),
        (any(template.texts > 1 for template in templates), "a second {text}"),
        (bool(strange), f"{{{'}, {'.join(strange)}}}"),
        *((bool(getattr(prompt, rule)), _spelled(rule)) for rule in _RULES),
        (reading.mode != "first-token", f"read.mode = {reading.mode}"),
        (reading.span == "copy", "read.span = copy"),
        (reading.pool == "max", "read.pool = max"),
        (reading.layer != -1, f"read.layer = {reading.layer}"),
        (reading.norm != "top", f"read.norm = {reading.norm}"),
    ]
    refuse_rules(prompt, rules, reader)


def refuse_rules(prompt: Prompt, rules: Sequence[tuple[bool, str]], reader: str) -> None:
    """Raise for the first rule that is there: pairs of whether it is, and the rule in words."""
    for broken, rule in rules:
        if broken:
            raise ValueError(
                f"prompt {prompt.name!r}: {reader} cannot follow {rule}; it takes "
                "a plain wording with one {text} for each role, and pools as the model does"
            )


def _spelled(rule: str) -> str:
    return rule if rule == "text_rules" else f"[{rule}]"
