"""What `lastword info` says of the prompt that queries of an index are read by."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

TUNED = "tuned"  # as lastword tune names a prompt

if TYPE_CHECKING:
    from embedder.prompts.template import Template
    from index.manifest import ChannelSpec


def query_prompt_facts(spec: "ChannelSpec") -> dict[str, Any] | None:
    """Return the query prompt of a channel as JSON; None where words or strangers make its rows."""
    from embedder.encoders.specs import from_json

    try:
        prompt = getattr(from_json(spec.recipe, spec.name), "prompt", None)
    except ValueError:  # another program's
        return None
    if prompt is None:
        return None
    return {
        "name": prompt.name,
        "wordings": {
            form.name or "any": [_wording(template) for template in form.query]
            for form in prompt.forms
        },
        "free": spec.query_prompt_free,
        "source": prompt.source,
        "description": prompt.description,
        "adapt": prompt.adapt or None,
    }


def query_prompt_lines(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a text for each query prompt in force: whose it is, and its wordings in lines.

    Args:
        facts: channel -> `query_prompt_facts`, where there are some.
    """
    channels: dict[str, list[str]] = {}
    for name, each in facts.items():
        channels.setdefault(repr(each), []).append(name)
    return [_described(", ".join(names), facts[names[0]]) for names in channels.values()]


def _described(names: str, facts: Mapping[str, Any]) -> str:
    origin = f", by {facts['source']}: {facts['description']}" if facts["name"] == TUNED else ""
    adapted = "; their vectors are changed by a map" if facts["adapt"] else ""
    change = "another may take its place" if facts["free"] else "fixed, without --free-query-prompt"
    lines = [f"Queries of {names} are read by prompt {facts['name']}{origin}{adapted} ({change}):"]
    for form, wordings in facts["wordings"].items():
        label = f"{form}: " if len(facts["wordings"]) > 1 else ""
        lines += [f"  {label}{wording}" for wording in wordings]
    return "\n".join(lines)


def _wording(template: "Template") -> str:
    """Write a wording in one line: of a chat the turns one after the other."""
    turns = (
        (template.system, template.text, template.prefill) if template.chat else (template.text,)
    )
    return " / ".join(turn.replace("\n", "\\n") for turn in turns if turn)
