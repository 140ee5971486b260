"""A prompt's wording for servers, which put no more around a text than they are sent."""

from collections.abc import Mapping
from dataclasses import dataclass

from embedder.prompts.plain_rules import check_plain
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import template_parts
from embedder.role import Role


@dataclass(frozen=True, slots=True)
class PlainWording:
    """What stands before and after a text."""

    before: str = ""
    after: str = ""

    def whole(self, text: str) -> str:
        """Return the string that is sent."""
        return f"{self.before}{text}{self.after}"


def plain_wordings(prompt: Prompt | None) -> Mapping[Role, PlainWording]:
    """Return the wording of each role; nothing where there is no prompt.

    Raises:
        ValueError: the prompt is more than a plain wording, or depends on the tokenizer.
    """
    if prompt is None:
        return {role: PlainWording() for role in Role}
    form = next((form for form in prompt.forms if not form.needs), None)
    if form is None:
        raise ValueError(
            f"prompt {prompt.name!r} has no plain form, and a server's tokenizer is not known"
        )
    wordings = {}
    for role in Role:
        templates = form.templates(role)
        check_plain(prompt, templates, "a server")
        parts = [
            (part.kind, prompt.task if part.kind == "task" else part.text)
            for part in template_parts(templates[0].text)
        ]
        at = next(place for place, (kind, _) in enumerate(parts) if kind == "text")
        before, after = (
            "".join(text for _, text in side) for side in (parts[:at], parts[at + 1 :])
        )
        wordings[role] = PlainWording(before, after)
    return wordings
