"""Prompts as TOML files: parse and write."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from embedder.prompt import NOTES, Prompt
from embedder.reading import (
    Contrast,
    Example,
    Prepending,
    Reading,
    Rewriting,
    Sampling,
    SparseRules,
)
from embedder.selection import Selection
from embedder.spectral import Filter
from embedder.template import Form, Template
from embedder.types import Role

# Tables of rules that a prompt may have or lack.
_TABLES: dict[str, type] = {
    "prepend": Prepending,
    "filter": Filter,
    "select": Selection,
    "rewrite": Rewriting,
    "sample": Sampling,
}
_SCALARS = (*NOTES, "text_rules", "specials", "task", "adapt")
_CHAT = {"user", "system", "prefill", "tokens"}
_PLAIN = {"template", "templates", "tokens"}


def parse(text: str, where: str = "prompt") -> Prompt:
    """Parse a prompt; `where` is named in errors."""
    try:
        data = tomllib.loads(text)
        if data.get("adapt") and where.endswith(".toml"):  # beside the file that names it
            data["adapt"] = str(Path(where).resolve().parent / data["adapt"])
        return _prompt(data)
    except (tomllib.TOMLDecodeError, ValueError, TypeError, KeyError) as error:
        said = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{where}: {said}") from error


def write(prompt: Prompt) -> str:
    """Write a prompt so that `parse` gives an equal one."""
    lines = [_line(key, getattr(prompt, key)) for key in _SCALARS]
    for form in prompt.forms:
        lines += ["", "[[form]]", _line("name", form.name), _line("needs", form.needs)]
        for role in Role:
            lines += _wording(f"form.{role.value}", form.templates(role))
    rules = prompt.reading.sparse
    read = {k: v for k, v in asdict(prompt.reading).items() if k != "sparse"}
    lines += _table("[read]", read)
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


def _prompt(data: dict[str, Any]) -> Prompt:
    given = data.pop("form", None)
    if given is None:
        both = data.pop("both", None)
        sides = {role.value: both or data.pop(role.value) for role in Role}
        given = [{"name": "own"} | sides]
    forms = tuple(_form(form) for form in given)
    sparse = dict(data.pop("sparse", {}))
    enabled = sparse.pop("enabled", True)
    rules = SparseRules(**_known(SparseRules, sparse, "sparse")) if enabled else None
    reading = Reading(**_known(Reading, data.pop("read", {}), "read"), sparse=rules)
    extra: dict[str, Any] = {
        name: kind(**_known(kind, data.pop(name), name))
        for name, kind in _TABLES.items()
        if name in data
    }
    if "contrast" in data:
        extra["contrast"] = _contrast(dict(data.pop("contrast")))
    extra["examples"] = tuple(
        Example(**_known(Example, example, "example")) for example in data.pop("example", ())
    )
    unknown = sorted(set(data) - set(_SCALARS))
    if unknown:
        known = ", ".join(sorted(_SCALARS))
        raise ValueError(f"the top level does not know {', '.join(unknown)}; it knows {known}")
    return Prompt(**data, forms=forms, reading=reading, **extra)


def _form(data: Mapping[str, Any]) -> Form:
    both = data.get("both")
    return Form(
        name=data["name"],
        query=_templates(both or data["query"], "query"),
        document=_templates(both or data["document"], "document"),
        needs=data.get("needs", ""),
    )


def _contrast(data: dict[str, Any]) -> Contrast:
    worded = {key: data.pop(key) for key in _CHAT | _PLAIN if key in data}
    (template,) = _templates(worded, "contrast")
    return Contrast(template=template, **_known(Contrast, data, "contrast"))


def _templates(
    data: Mapping[str, Any] | Sequence[Mapping[str, Any]], where: str
) -> tuple[Template, ...]:
    """Read the wordings of a role: one table, or a list of tables, of any kinds."""
    if isinstance(data, list):
        return tuple(template for one in data for template in _templates(one, where))
    assert isinstance(data, Mapping)
    if sum(key in data for key in ("user", "template", "templates")) != 1:
        raise ValueError(
            f"[{where}] needs either template = or templates = (plain) or user = (chat)"
        )
    extra = set(data) - (_CHAT if "user" in data else _PLAIN)
    if extra:
        raise ValueError(f"[{where}] does not know {', '.join(sorted(extra))}")
    rest = {"tokens": data["tokens"]} if "tokens" in data else {}
    if "user" in data:
        turns = (data["user"], data.get("system", ""), data.get("prefill", ""))
        return (Template(*turns, chat=True, **rest),)
    return tuple(Template(text, **rest) for text in data.get("templates", [data.get("template")]))


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
    given = ("system", template.system), ("user", template.text), ("prefill", template.prefill)
    return [_line(key, value) for key, value in (*given, ("tokens", template.tokens))]


def _table(head: str, values: Mapping[str, Any]) -> list[str]:
    return ["", head, *(_line(key, value) for key, value in values.items())]


def _known(kind: type, data: Mapping[str, Any], where: str) -> dict[str, Any]:
    names = {field.name for field in fields(kind)} - {"sparse", "template"}
    unknown = sorted(set(data) - names)
    if unknown:
        raise ValueError(
            f"{where} does not know {', '.join(unknown)}; it knows {', '.join(sorted(names))}"
        )
    return dict(data)


def _line(key: str, value: str | bool | int | float) -> str:
    return f"{key} = {_value(value)}"


def _value(value: str | bool | int | float) -> str:
    # A JSON string of ASCII is a TOML basic string, but for the surrogate pairs, so keep Unicode.
    return json.dumps(value, ensure_ascii=False)
