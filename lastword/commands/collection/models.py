"""`lastword models`: what can be used at once, and how fast it reads here."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from typer import Option, Typer

from lastword.cli.command import command
from lastword.cli.options import Output
from lastword.cli.screen import Screen, counted, size, table

if TYPE_CHECKING:
    from embedder.inspect.listed_model import ListedModel
    from embedder.inspect.models import ModelListing
    from embedder.inspect.speed import ReadingSpeed
    from lastword.cli.tables import Table

app = Typer()

Speeds = Mapping[str, "ReadingSpeed | str"]
"""Name of a model -> how fast it read, or why it could not be loaded."""


@command(app, ["lastword models", "lastword models --speed", "lastword models --json"])
def models(
    output: Output,
    speed: Annotated[
        bool,
        Option(
            "--speed",
            help="Load every model that fits in memory, and measure for a few seconds how many "
            "tokens of texts it reads in a second on this machine.",
        ),
    ] = False,
) -> None:
    """List the models that can be used at once, and the command that brings another one.

    They are the bundled one, smollm2 of a package, and what lies in Hugging Face's cache: causal
    language models and GGUF files for --model, sentence-transformers models for --embedder. None
    is loaded or fetched, except that --speed loads those that fit in memory. Any other folder,
    file or name on the hub is a model too.
    """
    from embedder.inspect.models import list_models

    screen = Screen(output)
    with screen.waiting("Looking for models"):
        listing = list_models()
    speeds = _measure(listing, screen) if speed else {}
    data = {
        "models": [
            asdict(model) | _speed_facts(speeds.get(model.name)) for model in listing.models
        ],
        "skipped": listing.skipped,
        "cache": str(listing.cache),
    }
    screen.result(data, _layout(listing, speeds))
    _say_more(listing, speeds, screen)


def _measure(listing: "ModelListing", screen: Screen) -> Speeds:
    from embedder.checkpoints.library_errors import first_line
    from embedder.inspect.memory import check_memory
    from embedder.inspect.speed import measure_model

    speeds: dict[str, ReadingSpeed | str] = {}
    for model in listing.models:
        if model.here:
            with screen.waiting(f"Measuring {model.name}"):
                try:
                    check_memory(model)
                    speeds[model.name] = measure_model(model.name)
                except (ValueError, OSError, MemoryError, ImportError) as error:
                    speeds[model.name] = first_line(error)
    return speeds


def _speed_facts(speed: "ReadingSpeed | str | None") -> dict[str, object]:
    if speed is None:
        return {}
    return {"error": speed} if isinstance(speed, str) else {"speed": asdict(speed)}


def _layout(listing: "ModelListing", speeds: Speeds) -> "Table":
    measured = (">tokens/s", "dtype") if speeds else ()
    rows = [
        (
            model.name,
            _short(model.parameters) if model.parameters is not None else "-",
            size(model.size) if model.here else "not here",
            *(_speed_cells(speeds.get(model.name)) if speeds else ()),
            model.licence,
        )
        for model in listing.models
    ]
    return table("model", ">parameters", ">size", *measured, "licence", rows=rows)


def _speed_cells(speed: "ReadingSpeed | str | None") -> tuple[str, str]:
    if speed is None or isinstance(speed, str):
        return "-", "-"
    return f"{speed.tokens_per_second:,.0f}", speed.dtype


def _short(count: int) -> str:
    """Write a number of parameters as models' names do: 512, 19.3M, 1.5B."""
    if count < 1000:
        return str(count)
    amount, letter = next(
        ((count / step, letter) for step, letter in ((1e9, "B"), (1e6, "M")) if count >= step),
        (count / 1e3, "K"),
    )
    return f"{amount:.1f}{letter}"


def _say_more(listing: "ModelListing", speeds: Speeds, screen: Screen) -> None:
    for model in listing.models:
        if not model.here:
            screen.remark(f"{model.name} is not here; get it by: {model.command}")
    screen.remark(_how_to_name(listing.models))
    for reason, count in listing.skipped.items():
        screen.remark(f"Left out of {listing.cache}: {count:,} ({reason}).")
    for name, speed in speeds.items():
        if isinstance(speed, str):
            screen.remark(f"{name} could not be measured: {speed}")
    measured = [speed for speed in speeds.values() if not isinstance(speed, str)]
    if measured:
        screen.remark(
            "tokens/s: of texts of about 140 words, the prompt's own tokens not counted; device "
            f"{measured[0].device}, {counted(measured[0].threads, 'thread')}."
        )


def _how_to_name(models: "tuple[ListedModel, ...]") -> str:
    if any(model.name.startswith("sbert:") for model in models):
        return "Names are for --model; those that begin with sbert: for --embedder."
    return "Names are for --model."
