"""What an index folder says about itself: channels, segments, checksums, work in progress."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from embedder.types import fingerprint_differences
from index.checksums import FileRecord, is_inside
from index.dense import APPROXIMATE
from index.inverted import Weighting

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One encoder output and how it is kept.

    Attributes:
        name: also a folder's name: lower-case letters, digits, "-" and "_".
        kind: "dense" (unit vectors in FAISS) or "inverted" (postings).
        fingerprint: of the encoder that made the rows, see `embedder.types.fingerprint_of`.
        dim: width of a row: dimensions, or size of the vocabulary; None until there are rows.
        factory: FAISS factory string; dense only.
        weighting: of the postings; inverted only.
        query_prompt_free: a query encoder may differ in the facts that start with "query_".
        recipe: a JSON object by which the front door makes the encoder again; not read here.
    """

    name: str
    kind: Literal["dense", "inverted"]
    fingerprint: str
    dim: int | None = None
    factory: str | None = None
    weighting: Weighting | None = None
    query_prompt_free: bool = False
    recipe: str = "{}"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"a channel's name has lower-case letters, digits, - and _; got {self.name!r}"
            )
        dense = self.kind == "dense"
        if self.kind not in ("dense", "inverted"):
            raise ValueError(f"channel {self.name!r}: kind is dense or inverted; got {self.kind!r}")
        if (self.factory is not None) != dense or (self.weighting is None) != dense:
            raise ValueError(
                f"channel {self.name!r}: dense takes a factory and inverted a weighting; got kind "
                f"{self.kind!r}, factory {self.factory!r}, weighting {self.weighting!r}"
            )
        for text in (self.fingerprint, self.recipe):
            if not isinstance(json.loads(text), dict):
                raise ValueError(f"channel {self.name!r}: expected a JSON object; got {text}")

    def check_encoder(self, fingerprint: str, querying: bool) -> None:
        """Refuse an encoder whose rows do not belong with those that are held.

        Raises:
            ValueError: a fact differs that may not; the message lists all such facts.
        """
        free = querying and self.query_prompt_free
        lines = [
            line
            for line in fingerprint_differences(self.fingerprint, fingerprint)
            if not (free and line.startswith("query_"))
        ]
        if lines:
            raise ValueError(
                f"channel {self.name!r} was made by another encoder than the one given:\n  "
                + "\n  ".join(lines)
                + "\nuse the encoder of the index, or index the documents again"
            )


@dataclass(frozen=True, slots=True)
class Passages:
    """How long documents are cut: `words` words each, neighbours sharing `overlap` of them."""

    words: int
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.words < 1 or not 0 <= self.overlap < self.words:
            raise ValueError(
                "passages need at least one word and an overlap smaller than that; "
                f"got {self.words} words, overlap {self.overlap}"
            )


@dataclass(frozen=True, slots=True)
class Ingest:
    """What a build or an addition has committed; held by the manifest until it is complete.

    Attributes:
        kind: which of the two.
        settings: canonical JSON of the options that shape segments.
        digest: of the ids and texts consumed, to recognise the source.
        documents: documents committed.
        skipped: documents that had no text and were left out.
        passages: texts that were encoded.
        rows: channel -> rows committed.
        counts: channel -> what its encoder counted so far, e.g. texts truncated.
    """

    kind: Literal["build", "add"]
    settings: str
    digest: str
    documents: int = 0
    skipped: int = 0
    passages: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def consumed(self) -> int:
        """Number of documents of the source that need not be looked at again."""
        return self.documents + self.skipped


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """What a segment's folder must hold.

    Attributes:
        name: the folder's name.
        documents: documents held, deleted ones included.
        passages: texts that were encoded, at least one per document.
        rows: channel -> rows held.
        deleted: number of documents deleted.
        tombstone: file with their ordinals, None while there are none.
        files: relative path -> what the file must be.
    """

    name: str
    documents: int
    passages: int
    rows: Mapping[str, int]
    files: Mapping[str, FileRecord]
    deleted: int = 0
    tombstone: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not all(map(is_inside, self.files)):
            raise ValueError(f"segment {self.name!r} names files outside the index")
        if not 0 <= self.deleted <= self.documents <= self.passages:
            raise ValueError(
                f"segment {self.name!r} cannot have {self.passages} passages of {self.documents} "
                f"documents, {self.deleted} of them deleted"
            )
        if (self.tombstone is None) != (self.deleted == 0):
            raise ValueError(f"segment {self.name!r}: a tombstone goes with deleted documents")

    def searched_exactly(self, channel: str) -> bool:
        """Tell whether a dense channel has no FAISS file: it is Flat, or too small to train on."""
        return f"{channel}/{APPROXIMATE}" not in self.files

    @property
    def live(self) -> int:
        """Number of documents that are not deleted."""
        return self.documents - self.deleted


@dataclass(frozen=True, slots=True)
class Manifest:
    """One generation of an index: everything a reader needs to know to open it.

    Attributes:
        generation: number of the commit.
        next_segment: number that the next segment gets; names are never used again.
        channels: by name.
        segments: in the order of their rows.
        passages: how documents are cut, None where they are not.
        ingest: a build or addition that is not finished.
        fusion: how searches fuse the channels by default, as the front door writes it; not read
            here. "" leaves it to the front door.
    """

    generation: int
    next_segment: int
    channels: Mapping[str, ChannelSpec]
    segments: tuple[SegmentRecord, ...] = ()
    passages: Passages | None = None
    ingest: Ingest | None = None
    fusion: str = ""

    def __post_init__(self) -> None:
        if not self.channels or any(name != spec.name for name, spec in self.channels.items()):
            raise ValueError(f"an index needs channels by their names; got {list(self.channels)}")
        for segment in self.segments:
            if segment.rows.keys() != self.channels.keys():
                raise ValueError(
                    f"segment {segment.name!r} has channels {sorted(segment.rows)}; "
                    f"the index has {sorted(self.channels)}"
                )

    @property
    def documents(self) -> int:
        """Number of live documents."""
        return sum(segment.live for segment in self.segments)

    def with_segment(self, segment: SegmentRecord) -> "Manifest":
        """Append a segment, which took the next number."""
        return replace(self, segments=(*self.segments, segment), next_segment=self.next_segment + 1)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        data = asdict(self)
        data["channels"] = list(data["channels"].values())
        return data

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Manifest":
        """Read what `to_json` returned.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        specs = [_channel(item) for item in data["channels"]]
        passages, ingest = data["passages"], data["ingest"]
        return Manifest(
            generation=data["generation"],
            next_segment=data["next_segment"],
            channels={spec.name: spec for spec in specs},
            segments=tuple(map(_segment, data["segments"])),
            passages=None if passages is None else Passages(**passages),
            ingest=None if ingest is None else Ingest(**ingest),
            fusion=data.get("fusion", ""),  # manifests from before it could be chosen lack it
        )


def _channel(data: Mapping[str, Any]) -> ChannelSpec:
    weighting = data["weighting"]
    return ChannelSpec(
        **{**data, "weighting": None if weighting is None else Weighting(**weighting)}
    )


def _segment(data: Mapping[str, Any]) -> SegmentRecord:
    files = {name: FileRecord(**record) for name, record in data["files"].items()}
    return SegmentRecord(**{**data, "files": files})
