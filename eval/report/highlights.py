"""Which words of a document carried its score, in every channel that has words."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from embedder.encoders.bm25 import ANALYSIS, BM25Encoder
from embedder.inspect.word_columns import WordColumns, piece_words, whole_words
from embedder.text.words import placed_words
from embedder.types import Encoder, Representation, Role
from index.folder import Index
from retrieval.matching import match_document

BM25 = "bm25"
QUERY = "query"
"""Stands in place of a channel where there is none with words: the words of the query."""

SHOWN = 30  # words of a document
OWN_WORDS = 12  # that a model says of a query
ROUNDING = 1e-9  # sums that are this close are equal

Weights = Mapping[str, Mapping[str, float]]
"""Channel -> word, as it is written -> its part of the score."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, with the channels in which it carried the score; mostly none."""

    text: str
    channels: tuple[str, ...] = ()


class Marker:
    """Marks the words of an index's documents that speak for a query.

    Args:
        index: opened; the caller closes it.
        encoders: channel -> encoder, of the channels with words. Without any, the words of the
            query are marked, as BM25 compares them.
        queries: id -> text; all of them are encoded here, together.

    Raises:
        ValueError: an encoder did not make the channel.
    """

    def __init__(
        self, index: Index, encoders: Mapping[str, Encoder], queries: Mapping[str, str]
    ) -> None:
        for channel, encoder in encoders.items():
            index.channels[channel].check_encoder(encoder.fingerprint, querying=True)
        self._index = index
        self._encoders = dict(encoders) or {QUERY: BM25Encoder()}
        self._queries = dict(queries)
        self._columns = {name: WordColumns(encoder) for name, encoder in self._encoders.items()}
        self._vectors: dict[str, dict[str, Representation]] = {}
        for name, encoder in self._encoders.items():
            vectors = encoder.encode(list(queries.values()), Role.QUERY)
            self._vectors[name] = {
                query_id: vectors.of_text(at) for at, query_id in enumerate(queries)
            }

    def own_words(
        self, query_id: str, pieces: bool = False
    ) -> dict[str, tuple[tuple[str, float], ...]]:
        """Return the words that a model weights for a query, heaviest first; BM25 has none.

        Args:
            query_id: one of the queries.
            pieces: return the model's word pieces, with the marks on them, not whole words.
        """
        write = piece_words if pieces else whole_words
        texts = (self._queries[query_id],)
        return {
            name: tuple(write(encoder, _summed(self._vectors[name][query_id]), texts)[:OWN_WORDS])
            for name, encoder in self._encoders.items()
            if name not in (BM25, QUERY)
        }

    def marked(
        self, query_id: str, document_id: str
    ) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
        """Return the title of a document, and the part of its text that says most to a query.

        Raises:
            ValueError: the index has no such document.
        """
        document = self._index.document(document_id)
        weights = {
            channel: word_weights(self._columns[channel], terms, document.content)
            for channel in self._encoders
            if (terms := self._terms(channel, query_id, document_id))
        }
        return pieces(document.title, weights, SHOWN), pieces(document.text, weights, SHOWN)

    def _terms(self, channel: str, query_id: str, document_id: str) -> Mapping[int, float]:
        vectors = self._vectors[channel][query_id]
        if channel == QUERY:
            return _summed(vectors)
        return match_document(self._index, channel, vectors, document_id).terms


def word_weights(columns: WordColumns, terms: Mapping[int, float], text: str) -> dict[str, float]:
    """Return the words of a text with the sum of their columns; the others are left out."""
    words = list(dict.fromkeys(word for word, _ in placed_words(text)))
    added = {
        word: sum(terms.get(at, 0.0) for at in columns_of_word)
        for word, columns_of_word in zip(words, columns.of(words), strict=True)
    }
    return {word: weight for word, weight in added.items() if weight > 0}


def bm25_encoder(fingerprint: str) -> BM25Encoder | None:
    """Make the encoder of a BM25 channel again; None where this version would read otherwise."""
    facts = json.loads(fingerprint)
    language, stop_words = facts.get("language"), facts.get("stop_words")
    analysis = facts.get("analysis")
    if not isinstance(language, str) or not isinstance(stop_words, str):
        return None
    if not isinstance(analysis, int) or not 1 <= analysis <= ANALYSIS:
        return None
    try:
        encoder = BM25Encoder(language, stop_words, analysis)
    except ValueError:  # several languages, or stop words of one's own
        return None
    return encoder if json.loads(encoder.fingerprint) == facts else None


def pieces(text: str, weights: Weights, limit: int) -> tuple[Piece, ...]:
    """Cut out the words of a text that add most, with the text around them, and mark them.

    Args:
        text: of a document.
        weights: of its words; each counts once in every channel, in its share of the channel.
        limit: most words of the excerpt; "…" stands where the text goes on.
    """
    placed = list(placed_words(text))
    shares: Counter[str] = Counter()
    for by_word in weights.values():
        whole = sum(by_word.values())
        shares.update({word: weight / whole for word, weight in by_word.items()})
    start = _best_window([word for word, _ in placed], shares, limit)
    window = placed[start : start + limit]
    if not window:
        return (Piece(_one_line(text[:200])),) if text.strip() else ()
    end = len(text) if start + limit >= len(placed) else window[-1][1] + len(window[-1][0])
    first = 0 if start == 0 else window[0][1]
    parts = list(_cut(text, (first, end), window, weights))
    return (
        *((Piece("… "),) if first else ()),
        *parts,
        *((Piece(" …"),) if end < len(text) else ()),
    )


def _cut(
    text: str, bounds: tuple[int, int], window: Sequence[tuple[str, int]], weights: Weights
) -> Iterator[Piece]:
    plain, last = bounds
    for word, at in window:
        channels = tuple(name for name, by_word in weights.items() if word in by_word)
        if channels:
            if text[plain:at]:
                yield Piece(_one_line(text[plain:at]))
            yield Piece(word, channels)
            plain = at + len(word)
    if text[plain:last]:
        yield Piece(_one_line(text[plain:last]))


def _best_window(words: Sequence[str], shares: Mapping[str, float], limit: int) -> int:
    """Return where the `limit` words begin that add most, each word counting once.

    Windows side by side are often equally good; the middle one shows words on both sides.
    """
    counts: Counter[str] = Counter()
    totals, total = [], 0.0
    for end, word in enumerate(words):
        total += shares.get(word, 0.0) if not counts[word] else 0.0
        counts[word] += 1
        if end >= limit:
            gone = words[end - limit]
            counts[gone] -= 1
            total -= shares.get(gone, 0.0) if not counts[gone] else 0.0
        if end >= limit - 1:
            totals.append(total)
    best = max(totals, default=0.0) - ROUNDING
    first = next((at for at, value in enumerate(totals) if value >= best), 0)
    last = next((at for at in range(first, len(totals)) if totals[at] < best), len(totals))
    return (first + max(first, last - 1)) // 2 if best > 0 else 0


def _summed(rows: Representation) -> dict[int, float]:
    assert rows.sparse is not None
    columns: Counter[int] = Counter()
    for column, weight in zip(rows.sparse.indices.tolist(), rows.sparse.data.tolist(), strict=True):
        columns[column] += weight
    return dict(columns)


def _one_line(text: str) -> str:
    """Keep single spaces at the ends: words stand there."""
    inner = " ".join(text.split())
    if not inner:
        return " "
    return f"{' ' * text[0].isspace()}{inner}{' ' * text[-1].isspace()}"
