"""The options of the channels of words: how they read texts, and what holds and searches them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from lastword.cli.options import WORDS_PANEL

if TYPE_CHECKING:
    from embedder.encoders.bm25 import BM25Encoder
    from embedder.lucene.analysis import LuceneEncoder
    from retrieval.options import ChannelOptions


@dataclass(frozen=True, slots=True)
class WordOptions:
    """How bm25 reads documents, beside the language; an index keeps it in the encoder's spec."""

    language_field: Annotated[
        str,
        Option(
            metavar="FIELD",
            help="Of several languages: a field of documents that names theirs, as a code or a "
            "name. Without it, or where it names another, the text tells.",
            rich_help_panel=WORDS_PANEL,
        ),
    ] = ""
    fields: Annotated[
        str,
        Option(
            metavar="FIELDS",
            help="Fields that bm25 reads, with weights: 'title^2,text', also other fields of "
            "documents by name. By default title and text together.",
            rich_help_panel=WORDS_PANEL,
        ),
    ] = ""
    stop_words: Annotated[
        str,
        Option(
            metavar="default|none|FILE",
            help="Words that bm25 leaves out: the language's own list, none, or those of a file "
            "with a word on each line.",
            rich_help_panel=WORDS_PANEL,
        ),
    ] = "default"

    def bm25_encoder(self, language: str) -> "BM25Encoder":
        """Return the native reader of words in a language, or in several.

        Raises:
            ValueError: the options do not go together, or a file holds no words.
        """
        from embedder.encoders.bm25 import BM25Encoder
        from embedder.text.stop_words import read_word_list

        listed: str | tuple[str, ...] | None = {"default": None, "none": ""}.get(self.stop_words)
        if self.stop_words not in ("default", "none"):
            listed = read_word_list(Path(self.stop_words))
        return BM25Encoder(language, listed, fields=self.fields, language_field=self.language_field)


WORD_OPTIONS = tuple(field.name for field in fields(WordOptions))


@dataclass(frozen=True, slots=True)
class EngineOptions(WordOptions):
    """Which engine reads and searches bm25, which one sparse rows, and how BM25 weighs."""

    bm25: Annotated[
        Literal["native", "lucene"],
        Option(
            help="Who reads and searches words: lucene cuts them by Anserini's analyzer of the "
            "language and keeps a Lucene index.",
            rich_help_panel=WORDS_PANEL,
        ),
    ] = "native"
    sparse: Annotated[
        Literal["native", "lucene"],
        Option(
            help="Who searches a model's sparse rows: lucene keeps whole hundredths, as "
            "PromptReps does.",
            rich_help_panel=WORDS_PANEL,
        ),
    ] = "native"
    k1: Annotated[
        float,
        Option(
            "--k1",
            "--bm25-k1",
            min=0,
            help="BM25's saturation of counts.",
            rich_help_panel=WORDS_PANEL,
        ),
    ] = 0.9
    b: Annotated[
        float,
        Option(
            "--b",
            "--bm25-b",
            min=0,
            max=1,
            help="BM25's share of length.",
            rich_help_panel=WORDS_PANEL,
        ),
    ] = 0.4

    def word_encoder(self, language: str) -> "BM25Encoder | LuceneEncoder":
        """Return what reads words for the engine; see `bm25_encoder`."""
        if self.bm25 == "native":
            return self.bm25_encoder(language)
        from embedder.lucene.analysis import LuceneEncoder

        if given := [name for name in self.changes if name in WORD_OPTIONS]:
            raise ValueError(
                f"--{_spelt(given[0])} is of the native engine, and Lucene reads title and text by "
                "its own analyzer of one language; leave out --bm25 lucene"
            )
        return LuceneEncoder(language)

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
                raise ValueError(
                    f"--{_spelt(option)} belongs to channel {channel}, and it is not made"
                )
        channels = {name: DEFAULT_CHANNELS[name] for name in names}
        if "sparse" in channels:
            channels["sparse"] = replace(channels["sparse"], engine=self.sparse)
        if "bm25" in channels:
            weighting = Weighting("bm25", self.k1, self.b)
            channels["bm25"] = replace(channels["bm25"], engine=self.bm25, weighting=weighting)
        return channels


def _spelt(name: str) -> str:
    return name.replace("_", "-")
