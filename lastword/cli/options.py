"""Options that several commands share, and how a command takes them as one value."""

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from typer import Argument, Option, Typer

from embedder.checkpoints.bundled import BUNDLED_NAME

AUTO = "auto"
"""Fusion that the prompt was measured with, where it weighs just the channels at hand."""

FUSION_HELP = (
    'minmax, rrf, zscore, dbsf or promptreps; with weights: "minmax:dense=0.7,bm25=0.3". auto '
    "takes what the prompt was measured with, else minmax."
)

IndexPath = Annotated[Path, Argument(metavar="INDEX", help="Folder of an index.")]

Pieces = Annotated[
    bool,
    Option("--pieces", help="Instead of words: the pieces that the model knows, with their marks."),
]

_DEVICE = "auto, cpu, cuda, cuda:1, ..."


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command speaks: results on stdout, everything else on stderr."""

    json: Annotated[
        bool, Option("--json", help="Write the result as JSON; stdout holds nothing else.")
    ] = False
    quiet: Annotated[
        bool, Option("--quiet", "-q", help="No progress bars and no remarks; results only.")
    ] = False


def typed_text(what: str) -> Any:  # noqa: ANN401  (typer's type)
    """Return a callback that takes a word of the command line, or a list of them, as text.

    Where the locale is not UTF-8, Python hands on bytes as halves of characters.
    """

    def decode(text: str) -> str:
        try:
            return text.encode(sys.getfilesystemencoding(), "surrogateescape").decode()
        except UnicodeError:
            return text

    def check(text: str) -> str:
        if not any("\ud800" <= character <= "\udfff" for character in text):
            return text
        text = decode(text)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(f"{what} is not legal Unicode text: {text!r}")
        return text

    def callback(value: str | list[str] | None) -> str | list[str] | None:
        return list(map(check, value)) if isinstance(value, list) else value and check(value)

    return callback


def reading_option(text: str, *names: str, **settings: Any) -> Any:  # noqa: ANN401  (typer's type)
    """Describe an option of how texts are read, which help lists apart."""
    return Option(*names, help=text, rich_help_panel="How texts are read", **settings)


_TRUST = reading_option(
    "Run Python code that comes with the model. Only if you trust its source.",
    "--trust-remote-code",
)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A language model and how it runs."""

    model: Annotated[
        str,
        reading_option(
            "Language model: a Hugging Face name or a folder. "
            f'"{BUNDLED_NAME}" is the small one that comes with lastword.'
        ),
    ] = BUNDLED_NAME
    max_text_tokens: Annotated[
        int,
        reading_option(
            "Tokens of a text that the model reads; what is longer is cut and counted.", min=1
        ),
    ] = 512
    dtype: Annotated[str, reading_option("auto, float32, bfloat16 or float16.")] = "auto"
    device: Annotated[str, reading_option(_DEVICE)] = "auto"
    trust_remote_code: Annotated[bool, _TRUST] = False


@dataclass(frozen=True, slots=True)
class EncoderOptions(ModelChoice):
    """Which model reads texts, with which prompt, into which channels."""

    embedder: Annotated[
        str,
        reading_option("Instead of a language model: sbert:NAME, any sentence-transformers model."),
    ] = ""
    prompt: Annotated[
        str,
        reading_option(
            "A name from `lastword prompts list`, or a .toml file. "
            "By default the model's own, else promptreps."
        ),
    ] = ""
    task: Annotated[
        str,
        reading_option(
            "What embeddings are for, in a sentence; stands for {task} in the wording of "
            "instruction embedders such as e5-mistral and qwen3-embedding.",
            metavar="TEXT",
        ),
    ] = ""
    channels: Annotated[
        str,
        reading_option("Some of dense,sparse,bm25. By default all that the model has, and bm25."),
    ] = ""
    language: Annotated[
        str,
        reading_option('Stemming and stop words of bm25: a Snowball language, or "none".'),
    ] = "english"


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """Where the models of an index run when it is searched or added to."""

    model: Annotated[
        str,
        reading_option(
            "Where the language model of the index lies now, if it has moved. "
            "It must be the same model: the fingerprint is compared."
        ),
    ] = ""
    device: Annotated[str, reading_option(_DEVICE)] = "auto"
    trust_remote_code: Annotated[bool, _TRUST] = False
    allow_model: Annotated[
        str,
        reading_option(
            "A model of the Hugging Face hub that the index names and that you trust; asked for "
            "once, where no command of yours has used it before.",
            metavar="NAME",
        ),
    ] = ""


def command(
    app: Typer, examples: Sequence[str], name: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command of `app`, with examples under its help.

    A parameter whose type is a dataclass takes the options that the fields of it describe.
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

    def call(**given: Any) -> None:  # noqa: ANN401  (typer has checked the types)
        for group, kind in groups.items():
            taken = {field.name: given.pop(field.name) for field in fields(kind)}
            given[group] = kind(**taken)
        function(**given)

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
