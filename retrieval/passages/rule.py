"""Which rule a new index cuts its documents by: what was asked for, and what its models read."""

import re
from collections.abc import Mapping
from typing import Literal

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.specs import spec_of
from embedder.inputs.text_measure import TextMeasure
from embedder.lucene.spec import LuceneSpec
from embedder.types import Encoder, inner_encoder
from index.manifest import Passages

AUTO = "auto"
WORDS = 350
"""Of a passage where no model says how much it reads; docs/passages.md has the measurement."""
SHARED = 8  # by default neighbours share at most one part in so many

_EXPECTED = "auto, off, headings, words:N or tokens:N"


def choose_passages(
    asked: Passages | str | None, overlap: int | None, encoders: Mapping[str, Encoder]
) -> Passages | None:
    """Return the rule of an index.

    Args:
        asked: "words:N" and "tokens:N" cut what is longer at ends of sentences, "headings" at every
            heading too. "auto" cuts what is longer than the models of the index read, by their
            tokens; an index of words alone by WORDS; and nothing where models do not tell how
            much they read, as those behind addresses. A rule stands; None and "off" cut nothing.
        overlap: words or tokens that neighbours share at most; None is a part in SHARED.
        encoders: channel -> encoder.

    Raises:
        ValueError: it is none of these, or the overlap has nothing to be of.
    """
    if asked is None or isinstance(asked, Passages) or asked == "off":
        if overlap is not None:
            raise ValueError("an overlap goes with passages that are cut by --passages")
        return asked if isinstance(asked, Passages) else None
    kind, size = parse_passages(asked)
    limit = min((each.limit for each in measures_of(encoders) if each.limit), default=0)
    if size:
        if kind == "tokens" and 0 < limit < size:
            raise ValueError(f"the model reads {limit} tokens of a document; got {asked}")
        return _rule(kind, size, overlap, "sentences")
    at: Literal["sentences", "headings"] = "headings" if asked == "headings" else "sentences"
    if limit:
        return _rule("tokens", limit, overlap, at)
    if asked == AUTO and not all(map(_reads_words, encoders.values())):
        if overlap is not None:
            raise ValueError(
                "no model of the index tells how much it reads, so that auto cuts nothing, and "
                "there is no overlap; take words:N"
            )
        return None
    return _rule("words", WORDS, overlap, at)


def parse_passages(asked: str) -> tuple[str, int]:
    """Return the kind of passages that a text asks for, and their size; 0 where it has none.

    Raises:
        ValueError: it asks for none that there are.
    """
    kind, _, number = asked.partition(":")
    if asked in (AUTO, "off", "headings"):
        return asked, 0
    if kind not in ("words", "tokens") or not re.fullmatch("[0-9]{1,9}", number):
        raise ValueError(f"passages are {_EXPECTED}; got {asked!r:.60}")
    if int(number) < 1:
        raise ValueError(f"a passage has at least 1 of its {kind}; got {asked}")
    return kind, int(number)


def measures_of(encoders: Mapping[str, Encoder]) -> list[TextMeasure]:
    """Return the measures of those encoders that have one, each once."""
    inner = {id(own): own for own in map(inner_encoder, encoders.values())}
    measures = (getattr(own, "measure", None) for own in inner.values())
    return [measure for measure in measures if isinstance(measure, TextMeasure)]


def _rule(
    kind: str, size: int, overlap: int | None, at: Literal["sentences", "headings"]
) -> Passages:
    shared = size // SHARED if overlap is None else overlap
    words, tokens = (0, size) if kind == "tokens" else (size, 0)
    return Passages(words, shared, tokens, at)


def _reads_words(encoder: Encoder) -> bool:
    """Tell whether an encoder reads words alone, to whose number there is no limit."""
    return isinstance(encoder, BM25Encoder) or isinstance(spec_of(encoder), LuceneSpec)
