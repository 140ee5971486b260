"""What may be changed of a prompt: the words around the text, and rules of reading.

The text slot, chat markers, special tokens at either end and everything else of a template stay as
they are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from embedder.prompts.method_rules import PrependingRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import SLOT, Template, template_parts
from embedder.types import Role

MOST_WORDS = 40
_SPECIAL = r"(?:\{(?:bos|eos|\|)\}|<\|[^|<>]{1,40}\|>|</?s>)*"  # slots of tokens, or spelt out
_SHAPE = re.compile(
    rf"(?P<head>{_SPECIAL})(?P<before>.*?)(?P<text>(?:\{{placeholder\}}[^\w{{}}]*)?\{{text\}})"
    rf"(?P<after>.*?)(?P<tail>{_SPECIAL})",
    re.DOTALL,
)
GENES = {"fusion", "layer", "prepend", "sparse_top"}


@dataclass(frozen=True, slots=True)
class Around:
    """The words before and after a text."""

    before: str
    after: str

    def __post_init__(self) -> None:
        for words in (self.before, self.after):
            if any(part.kind != "literal" for part in template_parts(words)):
                raise ValueError(f"words around a text hold no slot; got {words!r}")


NOTHING_AROUND = Around("", "")


@dataclass(frozen=True, slots=True)
class Space:
    """The prompts that a search may reach from one prompt.

    Attributes:
        default: one form only. Where it words a role in several ways, whose states are averaged,
            words are added to each, and other wordings are tried alone and beside its others.
        roles: whose words are tuned.
        genes: rules of reading that are tuned: name -> values. Names are "fusion", "layer",
            "sparse_top" and "prepend", whose values are (start, exit) or None.
        most_words: words around a text; longer ones are not proposed.
    """

    default: Prompt
    roles: tuple[Role, ...] = (Role.QUERY,)
    genes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    most_words: int = MOST_WORDS

    def __post_init__(self) -> None:
        if len(self.default.forms) != 1:
            raise ValueError(
                "a search starts from a prompt of one form: the one that suits the model"
            )
        if not self.roles and not self.genes:
            raise ValueError("there is nothing to tune: name a role or a rule of reading")
        for role in self.roles:
            for template in self.default.forms[0].templates(role):
                shape = self._shape(self.default.name, role, template)
                Around(shape["before"], shape["after"])
        unknown = set(self.genes) - GENES
        if unknown:
            raise ValueError(f"rules that can be tuned are {sorted(GENES)}; got {sorted(unknown)}")

    def around(self, prompt: Prompt, role: Role) -> Around:
        """Return the words around the text, of several wordings those of the first.

        Raises:
            ValueError: the prompt shows the text otherwise than by one {text}.
        """
        shape = self._shape(prompt.name, role, prompt.forms[0].templates(role)[0])
        return Around(shape["before"], shape["after"])

    @staticmethod
    def _shape(name: str, role: Role, template: Template) -> re.Match[str]:
        shape = _SHAPE.fullmatch(template.text)
        if shape is None or template.text.count(SLOT) != 1 or template.texts != 1:
            raise ValueError(
                f"prompt {name!r} does not show a {role.value} by one {SLOT}, "
                "so its words cannot be tuned; its fusion can: --tune reading"
            )
        return shape

    def reworded(self, prompt: Prompt, words: Mapping[Role, Around]) -> Prompt:
        """Return the prompt with other words around its text, and one wording for each role."""
        form = prompt.forms[0]
        for role, around in words.items():
            first = form.templates(role)[0]
            text = _filled(self._shape(prompt.name, role, first), around.before, around.after)
            wordings = (replace(first, text=text),)
            form = replace(form, **{role.value: wordings})  # type: ignore[arg-type]
        return replace(prompt, forms=(form,))

    def extended(self, prompt: Prompt, front: str, behind: str = "") -> Prompt:
        """Return the prompt with more words at the front and behind the text, in every wording."""
        form = prompt.forms[0]
        for role in self.roles:
            wordings = []
            for template in form.templates(role):
                shape = self._shape(prompt.name, role, template)
                before = f"{front} {shape['before']}" if front else shape["before"]
                after = f" {behind}{shape['after']}" if behind else shape["after"]
                wordings.append(replace(template, text=_filled(shape, before, after)))
            form = replace(form, **{role.value: tuple(wordings)})  # type: ignore[arg-type]
        return replace(prompt, forms=(form,))

    def empty(self) -> Prompt:
        """Return the prompt that says nothing beside the text."""
        return self.reworded(self.default, dict.fromkeys(self.roles, NOTHING_AROUND))

    def holds(self, prompt: Prompt) -> bool:
        """Tell whether a prompt is no longer than may be proposed."""
        return self.words(prompt) <= self.most_words * max(1, len(self.roles))

    def words(self, prompt: Prompt) -> int:
        """Count the words around the texts of the roles that are tuned, the longest wording's."""
        wordings = [prompt.forms[0].templates(role) for role in self.roles]
        return sum(
            max(len(template.text.replace(SLOT, " ").split()) for template in templates)
            for templates in wordings
        )

    def with_gene(self, prompt: Prompt, name: str, value: Any) -> Prompt:  # noqa: ANN401
        """Return the prompt with another rule of reading."""
        match name:
            case "fusion":
                return replace(prompt, fusion=value)
            case "prepend":
                return replace(prompt, prepend=PrependingRules(*value) if value else None)
            case "layer":
                return replace(prompt, reading=replace(prompt.reading, layer=value))
        if prompt.reading.sparse is None:
            raise ValueError(f"prompt {prompt.name!r} reads no sparse rows")
        rules = replace(prompt.reading.sparse, top=value)
        return replace(prompt, reading=replace(prompt.reading, sparse=rules))


@lru_cache(maxsize=4096)
def key_of(prompt: Prompt) -> str:
    """Return what stands for everything that a prompt does: its vectors and how they are fused."""
    return f"{prompt.hash}/{prompt.fusion}" if prompt.fusion else prompt.hash


def _filled(shape: re.Match[str], before: str, after: str) -> str:
    return f"{shape['head']}{before}{shape['text']}{after}{shape['tail']}"
