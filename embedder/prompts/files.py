"""Prompts as TOML files: parse and write."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from embedder.files.config_file import parse_toml, read_toml
from embedder.files.typed_values import fill_value, in_short, unknown_key
from embedder.prompts.method_rules import ContrastRules, Example
from embedder.prompts.prompt import NOTES, Prompt
from embedder.prompts.readout_rules import ReadoutRules, SparseRules
from embedder.prompts.template import PromptVariant, Template, Tokenization
from embedder.prompts.toml_library import find_file, library_names
from embedder.role import Role

LIBRARY = Path(__file__).parent / "library"

# Tables of rules that a prompt may have or lack.
_TABLES = ("prepend", "filter", "select", "rewrite", "post", "sample")
_SCALARS = (*NOTES, "text_rules", "specials", "text_specials", "task", "adapt")
_FORM = ("name", "needs", "both", "query", "document")
# Fields of a prompt that a file spells otherwise.
_SPELT = {"forms": ("form", "both", "query", "document"), "reading": ("read", "sparse")}
_SPELT |= {"examples": ("example",)}


@dataclass(frozen=True, slots=True)
class _WordingTable:
    """A table of wordings as it stands in a file: plain ones, or the turns of a chat."""

    template: str | None = None
    templates: tuple[str, ...] | None = None
    user: str | None = None
    system: str | None = None
    prefill: str | None = None
    tokens: Tokenization = "pieces"

    def templates_of(self, key: str) -> tuple[Template, ...]:
        """Return the wordings; `key` is named in errors."""
        kinds = (self.template, self.templates, self.user)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError(
                f"[{key}] needs one of template = or templates = (plain) or user = (chat)"
            )
        turns = {"system": self.system, "prefill": self.prefill}
        chat = {name: text for name, text in turns.items() if text is not None}
        if chat and self.user is None:
            raise ValueError(f"[{key}] does not know {', '.join(chat)} without user = (chat)")
        if self.templates is not None and not self.templates:
            raise ValueError(f"{key}.templates is empty; give one wording or more")
        texts = self.templates or (self.template or self.user or "",)
        is_chat = self.user is not None
        try:
            return tuple(Template(text, **chat, chat=is_chat, tokens=self.tokens) for text in texts)
        except ValueError as error:
            raise ValueError(f"[{key}] {error}") from error


def prompt_library() -> list[str]:
    """Return the names of the prompts that come with lastword."""
    return library_names(LIBRARY)


def load_prompt(name: str | Path) -> Prompt:
    """Read a library prompt by name, or a prompt file by a path that ends in .toml.

    Raises:
        ValueError: there is no such prompt; or names the file, the key, what was expected and
            what came.
        OSError: it cannot be read.

    >>> lw.load_prompt("prompteol").forms[0].query[0].text
    'This sentence : "{text}" means in one word:"'
    """
    path = find_file(name, LIBRARY, "prompt")
    return _build_prompt(read_toml(path), str(path), path.resolve().parent)


def parse_prompt(text: str, place: str = "prompt") -> Prompt:
    """Parse a prompt; `place` is named in errors.

    Raises:
        ValueError: names the key, what was expected and what came.
    """
    beside = Path(place).resolve().parent if place.endswith(".toml") else None
    return _build_prompt(parse_toml(text, place), place, beside)


def format_prompt(prompt: Prompt) -> str:
    """Write a prompt so that `parse_prompt` gives an equal one."""
    lines = [_line(key, getattr(prompt, key)) for key in _SCALARS]
    for form in prompt.forms:
        lines += ["", "[[form]]", _line("name", form.name), _line("needs", form.needs)]
        for role in Role:
            lines += _wording(f"form.{role.value}", form.templates(role))
    rules = prompt.reading.sparse
    readout = {k: v for k, v in asdict(prompt.reading).items() if k != "sparse"}
    lines += _table("[read]", readout)
    lines += _table("[sparse]", {"enabled": rules is not None} | asdict(rules or SparseRules()))
    for name in _TABLES:
        if getattr(prompt, name) is not None:
            lines += _table(f"[{name}]", asdict(getattr(prompt, name)))
    if prompt.contrast is not None:
        rule = {k: v for k, v in asdict(prompt.contrast).items() if k != "template"}
        lines += _table("[contrast]", rule)
        lines += _template_lines(prompt.contrast.template)
    for example in prompt.examples:
        lines += _table("[[example]]", asdict(example))
    return "\n".join(lines) + "\n"


def _build_prompt(data: Mapping[str, Any], place: str, beside: Path | None) -> Prompt:
    """Build a prompt; what it adapts by lies beside the file that names it."""
    try:
        prompt: Prompt = fill_value(Prompt, _values(data), "")
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    if prompt.adapt and beside is not None:
        return replace(prompt, adapt=str(beside / prompt.adapt))
    return prompt


def _values(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a prompt; those that a file spells otherwise are of their types."""
    known = [name for name in _names(Prompt) if name not in _SPELT]
    spelt = [key for keys in _SPELT.values() for key in keys]
    if unknown := [key for key in data if key not in (*known, *spelt)]:
        raise ValueError(unknown_key("", unknown[0], (*known, *spelt)))
    values = {key: value for key, value in data.items() if key in known}
    values |= {"forms": _read_forms(data), "reading": _read_readout(data)}
    if "contrast" in data:
        values["contrast"] = _read_contrast(data["contrast"])
    if "example" in data:
        values["examples"] = fill_value(tuple[Example, ...], data["example"], "example")
    return values


def _read_forms(data: Mapping[str, Any]) -> tuple[PromptVariant, ...]:
    wordings = {key: data[key] for key in _FORM[2:] if key in data}
    if "form" not in data:
        return (_read_form(wordings, ""),)
    if wordings:
        raise ValueError(f"[{next(iter(wordings))}] stands beside [[form]]: put it into a form")
    tables = data["form"]
    if not isinstance(tables, list) or not tables:
        raise ValueError(f"form must be tables, each [[form]]; got {in_short(tables)}")
    keys = ["form" if len(tables) == 1 else f"form {at}" for at in range(1, len(tables) + 1)]
    return tuple(_read_form(table, key) for table, key in zip(tables, keys, strict=True))


def _read_form(table: object, key: str) -> PromptVariant:
    """Read one form, whose wordings stand for both roles or for one each."""
    if isinstance(table, dict):
        if unknown := [name for name in table if name not in _FORM]:
            raise ValueError(unknown_key(key, unknown[0], _FORM))
        if key and "name" not in table:
            raise ValueError(f"{key}.name is missing, and there is no default")
        before = f"{key}." if key else ""
        if "both" in table and len(table.keys() & {"query", "document"}):
            raise ValueError(f"[{before}both] stands for query and document: leave out it or them")
        wordings = {role.value: _read_wordings(table, role.value, before) for role in Role}
        table = {"name": "own", **table, **wordings}
        table.pop("both", None)
    form: PromptVariant = fill_value(PromptVariant, table, key)
    return form


def _read_wordings(form: Mapping[str, Any], role: str, before: str) -> tuple[Template, ...]:
    """Read a role's wordings, a table or a list of them; `before` precedes its key in errors."""
    key = "both" if "both" in form else role
    if key not in form:
        raise ValueError(
            f"[{before}{role}] is missing: give [{before}query] and "
            f"[{before}document], or [{before}both]"
        )
    several = isinstance(form[key], list)
    tables: Any = fill_value(
        tuple[_WordingTable, ...] if several else _WordingTable, form[key], before + key
    )
    return tuple(
        template
        for table in (tables if several else (tables,))
        for template in table.templates_of(before + key)
    )


def _read_readout(data: Mapping[str, Any]) -> ReadoutRules:
    """Read [read] and [sparse], which stand apart in a file."""
    sparse, enabled = data.get("sparse", {}), True
    if isinstance(sparse, dict):
        sparse = dict(sparse)
        enabled = fill_value(bool, sparse.pop("enabled", True), "sparse.enabled")
    rules = fill_value(SparseRules, sparse, "sparse")
    table = data.get("read", {})
    if isinstance(table, dict):
        known = [name for name in _names(ReadoutRules) if name != "sparse"]
        if unknown := [key for key in table if key not in known]:
            raise ValueError(unknown_key("read", unknown[0], known))
        table = table | {"sparse": rules if enabled else None}
    reading: ReadoutRules = fill_value(ReadoutRules, table, "read")
    return reading


def _read_contrast(table: object) -> ContrastRules:
    """Read the wording and the rule of [contrast], which stand in one table."""
    if isinstance(table, dict):
        wording_fields = {name: table[name] for name in _names(_WordingTable) if name in table}
        wording: _WordingTable = fill_value(_WordingTable, wording_fields, "contrast")
        templates = wording.templates_of("contrast")
        if len(templates) != 1:
            raise ValueError(f"contrast takes one template; got {len(templates)}")
        rule = {name: value for name, value in table.items() if name not in wording_fields}
        table = rule | {"template": templates[0]}
    contrast: ContrastRules = fill_value(ContrastRules, table, "contrast")
    return contrast


def _names(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]


def _wording(name: str, templates: Sequence[Template]) -> list[str]:
    if len(templates) == 1:
        return ["", f"[{name}]", *_template_lines(templates[0])]
    if any(template.chat for template in templates) or len({t.tokens for t in templates}) > 1:
        tables = (["", f"[[{name}]]", *_template_lines(template)] for template in templates)
        return [line for lines in tables for line in lines]
    listed = ",\n".join(f"  {_value(template.text)}" for template in templates)
    return ["", f"[{name}]", f"templates = [\n{listed},\n]", _line("tokens", templates[0].tokens)]


def _template_lines(template: Template) -> list[str]:
    if not template.chat:
        return [_line("template", template.text), _line("tokens", template.tokens)]
    turns = ("system", template.system), ("user", template.text), ("prefill", template.prefill)
    return [_line(key, value) for key, value in (*turns, ("tokens", template.tokens))]


def _table(head: str, values: Mapping[str, Any]) -> list[str]:
    return ["", head, *(_line(key, value) for key, value in values.items())]


def _line(key: str, value: str | bool | int | float) -> str:
    return f"{key} = {_value(value)}"


def _value(value: str | bool | int | float) -> str:
    # A JSON string of ASCII is a TOML basic string, but for the surrogate pairs, so keep Unicode.
    return json.dumps(value, ensure_ascii=False)
