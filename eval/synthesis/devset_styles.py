"""Make a devset in a style that suits the documents: titles, else other queries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from embedder.models.chat_client import Chat
from embedder.types import Encoder
from eval.synthesis.devset import Devset, DevsetOptions, EmptyDevsetError, Maker, Style
from index.folder import Index

ENOUGH = 80  # queries; of fewer no part is left that confirms a gain


@dataclass(frozen=True, slots=True)
class MadeDevset:
    """A devset, and how it came about.

    Attributes:
        style: of its queries.
        devset: the queries, each with its document.
        tried: style -> counts of queries made, and dropped by reason, in the order of trying.
        spent: what a chat model was asked and answered for it, by unit.
    """

    style: Style
    devset: Devset
    tried: Mapping[Style, Mapping[str, int]]
    spent: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> str:
        """Say in a line what was made, and why other styles were not taken."""
        counts = self.devset.counts
        others = [
            f"{style} gave {tried.get('kept', 0):,}"
            for style, tried in self.tried.items()
            if style != self.style
        ]
        dropped = [
            f"{reason} {count:,}"
            for reason, count in counts.items()
            if reason not in ("kept", "documents tried")
        ]
        return (
            f"{len(self.devset.queries):,} queries made from {counts['documents tried']:,} "
            f"documents, style {self.style}"
            + (f" ({', '.join(others)})" if others else "")
            + (f"; dropped: {', '.join(dropped)}" if dropped else "")
        )


def make_devset(
    index: Index,
    options: DevsetOptions,
    chat: Chat | None,
    words: Encoder,
    progress: Callable[[int], None] = lambda done: None,
) -> MadeDevset:
    """Make queries in the style that was asked for, or, by "auto", in the first that gives enough.

    Those are titles, then what a chat model writes, where there is one, then the content words of
    sentences. Where none gives enough, the one that gives most is taken.

    Args:
        index: opened.
        options: of the queries.
        chat: for style chat; without it, "auto" does not try that style.
        words: analyses text for the round trip (see `Maker`).
        progress: called with the number of queries made so far.

    Raises:
        EmptyDevsetError: no style kept a query.
        ValueError: style chat without a chat model, or one that cannot be reached.
    """
    styles: tuple[Style, ...] = (options.style,)
    if options.style == "auto":
        styles = ("title", "chat", "cloze") if chat is not None else ("title", "cloze")
    tried: dict[Style, Mapping[str, int]] = {}
    made: dict[Style, Devset] = {}
    for style in styles:
        asked = chat if style == "chat" else None
        maker = Maker(index, replace(options, style=style), asked, words)
        try:
            made[style] = maker.devset(progress)
        except EmptyDevsetError:
            if len(styles) == 1:
                raise
        tried[style] = dict(maker.counts)
        if style in made and len(made[style].queries) >= min(options.queries, ENOUGH):
            break
    if not made:
        counts = "; ".join(f"{style}: {_reasons(tried[style])}" for style in styles)
        raise EmptyDevsetError(
            f"no query was kept in any style ({counts}); give judged queries by --queries and "
            "--qrels, or a chat model by --writer"
        )
    best = max(made, key=lambda style: (len(made[style].queries), -styles.index(style)))
    return MadeDevset(best, made[best], tried)


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in counts.items())
