"""Options of a build, and the report of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from embedder.arguments import check_fields
from embedder.cluster.options import RayOptions, WorkerReport
from embedder.encoders.specs import stored_spec
from embedder.types import Encoder, fingerprint_of
from index.channels.weighting import Weighting
from index.documents import Passages
from index.manifest import ChannelSpec, Engine, Ingest
from index.storage.layout import DenseDtype
from retrieval.passages.rule import AUTO, parse_passages


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """How the rows of a channel are stored; fields as in `index.manifest.ChannelSpec`."""

    kind: Literal["dense", "inverted"]
    factory: str | None = None
    weighting: Weighting | None = None
    query_prompt_free: bool = False
    engine: Engine = "native"
    dtype: DenseDtype = "float32"

    @staticmethod
    def of(spec: ChannelSpec) -> "ChannelOptions":
        """Return the options by which a channel was made."""
        return ChannelOptions(
            spec.kind,
            spec.factory,
            spec.weighting,
            spec.query_prompt_free,
            spec.engine,
            spec.dtype,
        )

    def spec(self, name: str, encoder: Encoder) -> ChannelSpec:
        """Return the manifest's description of a channel and the encoder of its rows."""
        return ChannelSpec(
            name=name,
            kind=self.kind,
            fingerprint=encoder.fingerprint,
            factory=self.factory,
            weighting=self.weighting,
            query_prompt_free=self.query_prompt_free,
            engine=self.engine,
            dtype=self.dtype,
            recipe=stored_spec(encoder),
        )


DEFAULT_CHANNELS: Mapping[str, ChannelOptions] = MappingProxyType(
    {
        "dense": ChannelOptions("dense", factory="Flat"),
        "sparse": ChannelOptions("inverted", weighting=Weighting("impacts")),
        "bm25": ChannelOptions("inverted", weighting=Weighting("bm25")),
    }
)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How an index is made.

    Attributes:
        channels: by name; a channel that is not named here is made as DEFAULT_CHANNELS says.
        segment_documents: documents per segment, each of which is a commit.
        window: texts that an encoder gets at once.
        on_empty: a document without title and text is an error, left out, or kept.
        on_known: a document whose id the index has is an error, or takes the place of that one;
            the last commit before stays searchable until its segment is committed.
        passages: how long documents are cut, see `choose_passages`: "auto" cuts what is longer
            than the models read, "words:N", "tokens:N" and "headings" cut otherwise; "off" or None
            encodes each whole. `add_documents` cuts as the index does.
        overlap: words or tokens that neighbouring passages share at most; None is an eighth.
        cache: keep encoded rows in INDEX/cache until their segment is committed, so that an
            interrupted build encodes nothing twice; BM25 is not worth it and never kept.
        overwrite: replace a complete index, instead of refusing that; nothing of its content
            stays. It answers until the new one is whole, in one step, and stays where the build
            fails; the same call then starts over, with the rows of `cache`.
        resume: continue interrupted work. Otherwise a build starts over, and an addition
            keeps its commits and takes the source as a new one.
        ray: documents are encoded by workers of a Ray cluster, with `cache` on; the index is the
            same, and either way of building goes on with what the other began.

    >>> lw.build(None, ["green tea", ""], options=lw.BuildOptions(on_empty="skip")).ids()
    ['0']
    """

    channels: Mapping[str, ChannelOptions] = field(default_factory=dict)
    segment_documents: int = 50_000
    window: int = 256
    on_empty: Literal["error", "skip", "keep"] = "error"
    on_known: Literal["error", "replace"] = "error"
    passages: Passages | str | None = AUTO
    overlap: int | None = None
    cache: bool = False
    resume: bool = True
    overwrite: bool = False
    ray: RayOptions | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.segment_documents < 1 or self.window < 1:
            raise ValueError(
                "segments and windows hold at least 1; got "
                f"segment_documents={self.segment_documents}, window={self.window}"
            )
        if isinstance(self.passages, str):
            parse_passages(self.passages)
        if self.on_empty not in ("error", "skip", "keep"):
            raise ValueError(f"on_empty is error, skip or keep; got {self.on_empty!r}")
        if self.on_known not in ("error", "replace"):
            raise ValueError(f"on_known is error or replace; got {self.on_known!r}")

    def channel(self, name: str) -> ChannelOptions:
        """Return the options of a channel.

        Raises:
            ValueError: neither these options nor the defaults know it.
        """
        options = self.channels.get(name) or DEFAULT_CHANNELS.get(name)
        if options is None:
            raise ValueError(
                f"channel {name!r} needs ChannelOptions; only {', '.join(DEFAULT_CHANNELS)} "
                "are made without"
            )
        return options

    def settings(self, passages: Passages | None) -> str:
        """Write the options that shape the segments, which a continued build must repeat."""
        replacing = {"on_known": self.on_known} if self.on_known != "error" else {}
        return fingerprint_of(
            segment_documents=self.segment_documents,
            window=self.window,
            on_empty=self.on_empty,
            passages=_settings_of(passages),
            **replacing,
        )


def _settings_of(passages: Passages | None) -> object:
    if passages is None or passages.at == "words":  # written so from the first
        return passages and [passages.words, passages.overlap]
    return passages.to_json()


@dataclass(frozen=True, slots=True)
class BuildReport:
    """Counts of the documents of a source, interrupted runs included.

    Attributes:
        documents: documents indexed.
        passages: texts that were encoded for them.
        cut: documents that became several passages.
        rule: how the index cuts them, None where it does not.
        rows: channel -> rows that they became.
        skipped_empty: documents left out because they had no text.
        counts: channel -> counts of its encoder, e.g. of "truncated" texts; channels that share
            an encoder share its counts.
        resumed: documents that an interrupted run had done already.
        seconds: wall time of this run.
        workers: what each worker of a Ray cluster did in this run.
    """

    documents: int
    passages: int
    cut: int
    rule: Passages | None
    rows: Mapping[str, int]
    skipped_empty: int
    counts: Mapping[str, Mapping[str, int]]
    resumed: int
    seconds: float
    workers: tuple[WorkerReport, ...] = ()

    @staticmethod
    def of(
        done: Ingest,
        rule: Passages | None,
        resumed: int,
        seconds: float,
        workers: tuple[WorkerReport, ...] = (),
    ) -> "BuildReport":
        """Report a build or addition that has come to its end."""
        return BuildReport(
            documents=done.documents,
            passages=done.passages,
            cut=done.cut,
            rule=rule,
            rows=done.rows,
            skipped_empty=done.skipped,
            counts=done.counts,
            resumed=resumed,
            seconds=seconds,
            workers=workers,
        )
