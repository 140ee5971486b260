"""What an index folder says about itself: channels, segments, checksums, work in progress."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Literal, get_args

from embedder.files.config_file import fill, parse_json
from embedder.types import fingerprint_differences
from index.channels.dense import FLAT
from index.channels.post_fit import PostFit
from index.channels.weighting import Weighting
from index.documents import Passages as Passages
from index.segment_record import SegmentRecord
from index.storage.checksums import FileRecord
from index.storage.layout import CHANNEL, SEGMENT, DenseDtype, Form, segment_name
from index.storage.remembered import sources_name

Engine = Literal["native", "lucene"]
"""What holds and searches the rows of an inverted channel."""
_MOST = 10**9  # generations and segments
_MOST_QUERIES = 10_000
QUERY_FACT = "query_"  # how facts of a fingerprint begin that concern queries alone


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
        query_prompt_free: a query encoder may differ in the facts that start with "query_", and
            in "post": its rows are changed as those that are held were.
        recipe: a JSON object by which the front door makes the encoder again; not read here.
        post: what was done to its dense rows and is done to queries, None where nothing is.
        pseudo_queries: that the mean of queries in `post` is of; read anew where queries are worded
            otherwise. None in older indexes.
        engine: what holds and searches inverted rows: postings of our own, or a Lucene index.
        dtype: of dense rows; int8 adds codes, which searches read first.
    """

    name: str
    kind: Literal["dense", "inverted"]
    fingerprint: str
    dim: int | None = None
    factory: str | None = None
    weighting: Weighting | None = None
    query_prompt_free: bool = False
    recipe: str = "{}"
    post: PostFit | None = None
    pseudo_queries: tuple[str, ...] = ()
    engine: Engine = "native"
    dtype: DenseDtype = "float32"

    def __post_init__(self) -> None:
        if not CHANNEL.fullmatch(self.name):
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
        if self.engine not in get_args(Engine) or (dense and self.engine != "native"):
            raise ValueError(
                f"channel {self.name!r}: engine is native, or lucene where rows are inverted; "
                f"got {self.engine!r}"
            )
        self._check_dtype()
        if self.dim is not None and self.dim < 1:
            raise ValueError(f"channel {self.name!r}: rows have a width; got {self.dim}")
        for text in (self.fingerprint, self.recipe):
            if not isinstance(parse_json(text, f"channel {self.name!r}"), dict):
                raise ValueError(f"channel {self.name!r}: expected a JSON object; got {text}")
        fit = self.post
        if fit is not None and (not dense or self.dim not in (None, fit.width)):
            raise ValueError(
                f"channel {self.name!r}: post-processing to width {fit.width} belongs to dense "
                f"rows of that width; got kind {self.kind!r}, width {self.dim}"
            )
        if len(self.pseudo_queries) > (0 if fit is None else _MOST_QUERIES):
            raise ValueError(
                f"channel {self.name!r}: at most {_MOST_QUERIES} pseudo-queries belong to "
                f"post-processing; got {len(self.pseudo_queries)}"
            )

    def _check_dtype(self) -> None:
        if self.dtype not in (get_args(DenseDtype) if self.kind == "dense" else ("float32",)):
            got = f"{self.dtype!r} of {self.kind} rows"
            raise ValueError(f"channel {self.name!r}: dense is float32, float16 or int8; got {got}")
        if self.dtype == "int8" and self.factory != FLAT:
            raise ValueError(
                f"channel {self.name!r}: int8 is for exact search, factory {FLAT!r}; "
                f"{self.factory!r} keeps codes of its own: choose one of the two"
            )

    @property
    def form(self) -> Form:
        """How its rows lie on disk."""
        if self.kind == "dense":
            return "int8" if self.dtype == "int8" else "dense"
        return "lucene" if self.engine == "lucene" else "postings"

    def words_queries_as(self, fingerprint: str) -> bool:
        """Tell whether an encoder reads queries by the wording of the channel's own."""
        differences = fingerprint_differences(self.fingerprint, fingerprint)
        return not any(line.startswith(QUERY_FACT) for line in differences)

    def check_encoder(self, fingerprint: str, querying: bool) -> None:
        """Refuse an encoder whose rows do not belong with those that are held.

        Raises:
            ValueError: a fact differs that may not; the message lists all such facts.
        """
        free = querying and self.query_prompt_free
        lines = [
            line
            for line in fingerprint_differences(self.fingerprint, fingerprint)
            if not (free and line.startswith((QUERY_FACT, "post: ")))
        ]
        if lines:
            raise ValueError(
                f"channel {self.name!r} was made by another encoder than the one given:\n  "
                + "\n  ".join(lines)
                + "\nuse the encoder of the index, or index the documents again"
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
        cut: documents of several passages.
    """

    kind: Literal["build", "add"]
    settings: str
    digest: str
    documents: int = 0
    skipped: int = 0
    passages: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    cut: int = 0

    def __post_init__(self) -> None:
        counts = [count for counted in self.counts.values() for count in counted.values()]
        numbers = [
            self.documents,
            self.skipped,
            self.passages,
            self.cut,
            *self.rows.values(),
            *counts,
        ]
        if any(number < 0 for number in numbers):
            raise ValueError(f"work in progress cannot have counts below 0; got {numbers}")

    @property
    def consumed(self) -> int:
        """Number of documents of the source that need not be looked at again."""
        return self.documents + self.skipped


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
        sources: the file that remembers where documents came from; None where nothing does.
    """

    generation: int
    next_segment: int
    channels: Mapping[str, ChannelSpec]
    segments: tuple[SegmentRecord, ...] = ()
    passages: Passages | None = None
    ingest: Ingest | None = None
    fusion: str = ""
    sources: FileRecord | None = None

    def __post_init__(self) -> None:
        if not self.channels or any(name != spec.name for name, spec in self.channels.items()):
            raise ValueError(f"an index needs channels by their names; got {list(self.channels)}")
        for segment in self.segments:
            if segment.rows.keys() != self.channels.keys():
                raise ValueError(
                    f"segment {segment.name!r} has channels {sorted(segment.rows)}; "
                    f"the index has {sorted(self.channels)}"
                )
        if not (0 <= self.generation < _MOST and 1 <= self.next_segment < _MOST):
            raise ValueError(
                f"no index has generation {self.generation} and next segment {self.next_segment}"
            )

    def check_names(self) -> None:
        """Refuse names of segments and files that the writer would not give.

        Raises:
            ValueError: a name is of another form, does not rise, or is to be given again.
        """
        names = [segment.name for segment in self.segments]
        for name in names:
            if not SEGMENT.fullmatch(name) or name != segment_name(int(name)):
                raise ValueError(f"{name!r} is no name of a segment")
        numbers = [*map(int, names), self.next_segment]
        for before, after in pairwise(numbers):
            if after <= before:
                raise ValueError(f"numbers of segments must rise; got {before} before {after}")
        forms = {name: spec.form for name, spec in self.channels.items()}
        for segment in self.segments:
            segment.check_files(forms)
        if self.sources is not None:
            sources_name(self.sources)

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
        data["passages"] = self.passages and self.passages.to_json()
        for channel, spec in zip(data["channels"], self.channels.values(), strict=True):
            for name in ("post", "pseudo_queries"):
                if not channel[name]:  # as it was before there was such a thing
                    del channel[name]
            for name, default in (("engine", "native"), ("dtype", "float32")):
                if channel[name] == default:
                    del channel[name]
            if spec.post is not None:
                channel["post"] = spec.post.to_text()
        if self.sources is None:
            del data["sources"]
        return data

    @staticmethod
    def from_json(data: object, where: str = "manifest") -> "Manifest":
        """Read what `to_json` returned.

        Raises:
            ValueError: it is something else; the message begins with `where` and names the key.
        """
        written = fill(_Written, data, where)
        channels = {spec.name: spec for spec in written.channels}
        if len(channels) != len(written.channels):
            raise ValueError(f"{where}: two channels have one name")
        try:
            named = {key.name: getattr(written, key.name) for key in fields(written)}
            manifest = Manifest(**named | {"channels": channels})
            manifest.check_names()
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        return manifest


@dataclass(frozen=True, slots=True)
class _Written:
    """A manifest as JSON has it; see `Manifest` for the fields."""

    generation: int
    next_segment: int
    channels: tuple[ChannelSpec, ...]
    segments: tuple[SegmentRecord, ...]
    passages: Passages | None
    ingest: Ingest | None
    fusion: str = ""  # manifests from before it could be chosen lack it
    sources: FileRecord | None = None
