"""How a function becomes a command that takes groups of options as values."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints

from typer import Typer

from embedder.progress import listening
from lastword.cli.options import Output
from lastword.cli.screen import Screen


def command(
    app: Typer, examples: Sequence[str], name: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command of `app`, with examples under its help.

    A parameter whose type is a dataclass takes the options that the fields of it describe. What
    libraries tell of work that begins is a remark on the screen, as its `Output` has it.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        lines = (line.replace("[", r"\[") for line in examples)  # brackets are markup
        epilog = "\n".join(["[bold]Examples[/bold]", *lines])
        app.command(name, epilog=epilog)(_spelled_out(function))
        return function

    return register


def _spelled_out(function: Callable[..., None]) -> Callable[..., None]:
    """Return the function with every dataclass parameter replaced by its fields."""
    groups: dict[str, type[Any]] = {}
    spelled: list[inspect.Parameter] = []
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        if not is_dataclass(parameter.annotation):
            spelled.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        kind = parameter.annotation
        assert isinstance(kind, type)
        groups[parameter.name] = kind
        spelled.extend(_parameters(kind))

    def call(**values: Any) -> None:  # noqa: ANN401  (typer has checked the types)
        for group, kind in groups.items():
            group_values = {field.name: values.pop(field.name) for field in fields(kind)}
            values[group] = kind(**group_values)
        outputs = [value for value in values.values() if isinstance(value, Output)]
        with listening(Screen(*outputs).remark) if outputs else nullcontext():
            function(**values)

    call.__name__, call.__doc__ = function.__name__, function.__doc__
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in spelled}
    vars(call)["__signature__"] = inspect.Signature(spelled)
    return call


def _parameters(kind: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]
