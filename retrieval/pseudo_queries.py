"""Pseudo-queries: short pieces of documents, which stand for queries nobody has asked yet."""

import random
import warnings
from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from weakref import WeakKeyDictionary

from embedder.prompts.method_rules import PostRules
from embedder.text.reservoir import Reservoir
from embedder.types import Encoder, Role, before_map
from index.channels.post_fit import PostFit
from index.folder import Index
from index.manifest import ChannelSpec
from retrieval.named_texts import encode_named

SHORTEST, LONGEST = 5, 16  # words
_CHARACTERS = 3  # a word's, in scripts without spaces
_MOST_CHARACTERS = 1000  # of a query, whatever its words are: an index keeps it
_READ: WeakKeyDictionary[PostFit, dict[tuple[str, tuple[str, ...]], PostFit]] = WeakKeyDictionary()


class TextSample:
    """Texts drawn from a stream, and a pseudo-query of each.

    The same texts and seed give the same sample and queries.

    Attributes:
        rules: how many are drawn, and by which seed.
        seen: number of texts so far.
    """

    def __init__(self, rules: PostRules) -> None:
        self.rules, self.seen = rules, 0
        self._random = random.Random(rules.seed)
        self._texts = Reservoir(rules.count, self._random)

    def add(self, texts: Iterable[str]) -> None:
        """Offer the texts that come next; blank ones are not drawn."""
        for text in texts:
            self._texts.add(self.seen, text)
            self.seen += 1

    @property
    def numbers(self) -> list[int]:
        """Numbers of the texts that were drawn, from 0 and rising."""
        return [number for number, _ in self._texts.drawn()]

    def queries(self) -> list[str]:
        """Cut a pseudo-query from each text, in the order of `numbers`."""
        return [cut_query(text, self._random) for _, text in self._texts.drawn()]


def cut_query(text: str, source: random.Random) -> str:
    """Cut SHORTEST to LONGEST words from anywhere in a text, which may have fewer."""
    words, length = text.split(), source.randint(SHORTEST, LONGEST)
    if len(words) == 1 and len(text) > SHORTEST * _CHARACTERS:  # as where words touch
        length *= _CHARACTERS
        start = source.randrange(max(1, len(words[0]) - length + 1))
        return words[0][start : start + length]
    start = source.randrange(max(1, len(words) - length + 1))
    return " ".join(words[start : start + length])[:_MOST_CHARACTERS]


def needs_query_mean(spec: ChannelSpec, encoder: Encoder) -> bool:
    """Tell whether an encoder's queries have another mean than a channel's post-processing.

    A map of rows acts after it, so that it changes no mean.
    """
    centred = spec.post is not None and bool(spec.post.means.any())
    read = (encoder.fingerprint, before_map(encoder).fingerprint)
    return centred and not any(map(spec.words_queries_as, read))


def read_query_fit(spec: ChannelSpec, encoder: Encoder) -> PostFit | None:
    """Return what is done to the rows of an encoder's queries, in a search of a channel.

    That is the channel's post-processing. Where the encoder words queries otherwise, their mean
    is that of the channel's pseudo-queries, which are read for it once.

    Warns:
        UserWarning: the index is from before pseudo-queries were kept, so the mean stays.
    """
    fit, queries = spec.post, spec.pseudo_queries
    if fit is None or not needs_query_mean(spec, encoder):
        return fit
    encoder = before_map(encoder)
    known, key = _READ.setdefault(fit, {}), (encoder.fingerprint, queries)
    if key not in known and queries:
        names = [f"pseudo-query {number}" for number in range(1, len(queries) + 1)]
        rows = encode_named(encoder, queries, Role.QUERY, names).dense
        assert rows is not None, spec.name  # its documents have dense rows
        known[key] = fit.with_query_mean(rows)
    elif key not in known:
        warnings.warn(lacking_text(spec), stacklevel=2)
        known[key] = fit
    return known[key]


def with_pseudo_queries(index: Index, most: int) -> Index:
    """Return an index of the same open files whose channels name at most so many pseudo-queries.

    They are spread evenly over those that the channel keeps.
    """
    other, channels = copy(index), index.channels
    for name, spec in channels.items():
        kept = spec.pseudo_queries[:: -(-len(spec.pseudo_queries) // most) or 1]
        channels[name] = replace(spec, pseudo_queries=kept)
    other.manifest = replace(index.manifest, channels=channels)
    return other


def lacking_text(spec: ChannelSpec) -> str:
    """Say that other wordings of queries can have no mean of their own; "" where they can."""
    if spec.post is None or spec.pseudo_queries or not spec.post.means.any():
        return ""
    return (
        f"channel {spec.name!r} keeps no pseudo-queries, so that queries of another wording are "
        "centred by the mean of its own; `lastword merge --refit` keeps them"
    )
