"""What commands have to do with channels outside of an index."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from embedder.files.name_lists import split_names
from lastword.cli.options import EncoderOptions
from lastword.cli.screen import Screen

Also = Annotated[
    list[str] | None,
    Option(
        metavar="CHANNEL",
        help="A channel outside of the index, joined by document ids: lucene:PATH is an index of "
        "Anserini or pyserini, PATH a folder or a prebuilt index's name. "
        "NAME=lucene:PATH?language=de names it and sets an option. May be repeated.",
    ),
]

if TYPE_CHECKING:
    from embedder.types import Encoder
    from retrieval.outside.channel import OutsideChannel
    from retrieval.outside.specs import OutsideSpec


def outside_facts(outside: "Mapping[str, OutsideChannel]") -> dict[str, Any]:
    """Return what channels are and hold, as JSON under "also"; nothing where there are none."""
    facts = {name: dict(channel.facts) for name, channel in outside.items()}
    return {"also": facts} if facts else {}


def look_outside(
    outside: "Mapping[str, OutsideSpec]", encoders: "Mapping[str, Encoder]", collections: int
) -> dict[str, dict[str, Any]]:
    """Return the facts of channels that will be searched, or say now what is wrong with them.

    Raises:
        ValueError: one cannot be opened, or there are several collections: it is of one.
    """
    from retrieval.options import DEFAULT_CHANNELS
    from retrieval.outside.opening import outside_channels

    if outside and collections > 1:
        raise ValueError(f"--also is of one collection; judge the {collections} one by one")
    with outside_channels(outside, encoders, DEFAULT_CHANNELS) as opened:
        return {name: dict(channel.facts) for name, channel in opened.items()}


def tell_joined(facts: Mapping[str, Any], screen: Screen) -> None:
    """Say which documents a channel and the index do not share; facts as `outside_facts` has."""
    for name, each in facts.get("also", {}).items():
        unknown, missing = each["unknown_here"], each["missing_there"]
        if unknown or missing:
            screen.remark(
                f"{name}: {each['shared']:,} documents are joined by their ids; {unknown:,} of "
                f"{each['path']} are not in the index and are passed over, {missing:,} of the "
                "index are not there."
            )


def tell_unlearnt(feedback: str, facts: Mapping[str, Any], screen: Screen) -> None:
    """Say which channels outside do not learn, where those of the index do.

    Args:
        feedback: of the index's channels, "" for none.
        facts: of channels, as `outside_facts` has them.
        screen: shows it.
    """
    plain = [name for name, each in facts.get("also", {}).items() if "feedback" not in each]
    if feedback and plain:
        screen.remark(
            f"{', '.join(plain)}: searched without feedback; --also lucene:PATH?feedback=rm3 "
            "gives such an index its own."
        )


def tell_equal_weights(
    requested: str,
    encoders: "Mapping[str, Encoder]",
    outside: Mapping[str, object],
    screen: Screen,
    chosen: str = "",
) -> None:
    """Say where channels outside cost the others the weights that they were measured with.

    Args:
        requested: the fusion that was asked for.
        encoders: by channel of the index.
        outside: by name.
        screen: shows it.
        chosen: the fusion of the index, "" for none.
    """
    from retrieval.fusion import DEFAULT
    from retrieval.fusion_choice import fusion_for

    own = fusion_for(requested, encoders, chosen)
    used = fusion_for(requested, {**encoders, **outside}, chosen)
    if outside and used == DEFAULT != own:
        screen.remark(
            f"{own} weighs the index's channels alone; beside {', '.join(outside)} all channels "
            "count alike, where --fusion gives no weights."
        )


def without_channels(reading: EncoderOptions, outside: Collection[str]) -> EncoderOptions:
    """Return the options of the encoders alone, where --channels names channels outside too.

    Raises:
        ValueError: it names no other.
    """
    names = [name for name in split_names(reading.channels) if name not in outside]
    if reading.channels and not names:
        raise ValueError(
            f"--channels {reading.channels} names no channel of the index that is evaluated; "
            "add one, such as bm25, and see the figures of each"
        )
    return replace(reading, channels=",".join(names))
