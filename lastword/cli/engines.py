"""The options of what holds and searches the channels of words: our own postings, or Lucene."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

if TYPE_CHECKING:
    from retrieval.options import ChannelOptions

_PANEL = "Search engines"


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Which engine reads and searches bm25, which one sparse rows, and how BM25 weighs."""

    bm25: Annotated[
        Literal["native", "lucene"],
        Option(
            help="Who reads and searches words: lucene cuts them by Anserini's analyzer of the "
            "language and keeps a Lucene index.",
            rich_help_panel=_PANEL,
        ),
    ] = "native"
    sparse: Annotated[
        Literal["native", "lucene"],
        Option(
            help="Who searches a model's sparse rows: lucene keeps whole hundredths, as "
            "PromptReps does.",
            rich_help_panel=_PANEL,
        ),
    ] = "native"
    k1: Annotated[
        float,
        Option(
            "--k1", "--bm25-k1", min=0, help="BM25's saturation of counts.", rich_help_panel=_PANEL
        ),
    ] = 0.9
    b: Annotated[
        float,
        Option(
            "--b", "--bm25-b", min=0, max=1, help="BM25's share of length.", rich_help_panel=_PANEL
        ),
    ] = 0.4

    @property
    def analysis(self) -> str:
        """What `load_encoder` calls the analysis of words."""
        return "lucene" if self.bm25 == "lucene" else "bm25"

    @property
    def changes(self) -> dict[str, Any]:
        """The options that are not as they are by default."""
        defaults = asdict(EngineOptions())
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}

    def channels(self, names: Sequence[str]) -> "dict[str, ChannelOptions]":
        """Return how the channels are kept.

        Raises:
            ValueError: an option is of a channel that is not among them.
        """
        from index.channels.weighting import Weighting
        from retrieval.options import DEFAULT_CHANNELS

        for option in self.changes:
            channel = "sparse" if option == "sparse" else "bm25"
            if channel not in names:
                raise ValueError(f"--{option} belongs to channel {channel}, and it is not made")
        channels = {name: DEFAULT_CHANNELS[name] for name in names}
        if "sparse" in channels:
            channels["sparse"] = replace(channels["sparse"], engine=self.sparse)
        if "bm25" in channels:
            weighting = Weighting("bm25", self.k1, self.b)
            channels["bm25"] = replace(channels["bm25"], engine=self.bm25, weighting=weighting)
        return channels
