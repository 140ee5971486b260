"""Channels outside of an index, as people write them: [NAME=]KIND:PLACE?option=value&..."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from embedder.files.name_lists import first_repeated

LUCENE = "lucene"
KINDS = (LUCENE,)
_SPEC = re.compile(r"(?:([A-Za-z][\w-]*)=)?(\w+):(.*)", re.DOTALL | re.ASCII)
_RESERVED = ("fused", "k")  # a run of every evaluation, and a setting of rrf


@dataclass(frozen=True, slots=True)
class OutsideSpec:
    """What a user wrote.

    Attributes:
        name: of the channel in fusions, tables and files; by default the kind.
        kind: one of KINDS.
        place: path or name.
        options: name -> value, as written.
    """

    name: str
    kind: str
    place: str
    options: Mapping[str, str]


def read_specs(texts: Sequence[str]) -> dict[str, OutsideSpec]:
    """Read several; return them by their names, in order.

    Raises:
        ValueError: one cannot be read, or two have the same name.
    """
    specs = [read_spec(text) for text in texts]
    repeated = first_repeated(spec.name for spec in specs)
    if repeated is not None:
        raise ValueError(
            f"two channels are called {repeated!r}; give one a name, as in "
            f"{repeated}2={specs[-1].kind}:PATH"
        )
    return {spec.name: spec for spec in specs}


def read_spec(text: str) -> OutsideSpec:
    """Read one: "lucene:PATH", "wiki=lucene:PATH?language=de&k1=1.2".

    What stands after the last "?" are options, so that a path which holds one ends with another.

    Raises:
        ValueError: it has no kind or no place, or an option has no value or comes twice.
    """
    match = _SPEC.fullmatch(text)
    if match is None or match[2] not in KINDS:
        raise ValueError(
            f"expected a channel beside the index as lucene:PATH or NAME=lucene:PATH; got {text!r}"
        )
    name, kind, rest = match.groups()
    if name in _RESERVED:
        raise ValueError(f"{text!r}: no channel can be called {name!r}; give it another name")
    place, mark, written = rest.rpartition("?") if "?" in rest else (rest, "", "")
    if not place or "\0" in place:
        raise ValueError(f"{text!r} names no place; expected {kind}:PATH")
    options: dict[str, str] = {}
    for part in written.split("&") if written else []:
        option, equals, value = part.partition("=")
        if not (option and equals and value) or option in options:
            raise ValueError(
                f"{text!r}: expected options, each once, as in {kind}:PATH?k1=0.9&b=0.4; "
                f"got {part!r}" + ('; a path that holds "?" ends with another' if mark else "")
            )
        options[option] = value
    return OutsideSpec(name or kind, kind, place, MappingProxyType(options))
