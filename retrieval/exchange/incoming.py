"""Rows of another program on their way in: looked at, and given channels and encoders."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.encoders.bm25 import WHITESPACE, BM25Encoder
from embedder.encoders.specs import NO_SPEC, post_rules_of, stored_spec
from embedder.types import UNIT_TOLERANCE, Encoder, Representation, fingerprint_of, unit_rows
from index.documents import Document
from index.live_rows import DocumentBlock
from index.manifest import ChannelSpec
from retrieval.exchange.options import ImportOptions
from retrieval.exchange.term_names import TermColumns
from retrieval.open import load_specs
from retrieval.options import DEFAULT_CHANNELS

SPARSE = ("sparse", "bm25")


class Incoming:
    """What an import makes of rows.

    Args:
        options: how rows become an index.

    Attributes:
        counts: what does not come over as it was -> how many.
        stored: channel -> what the file says of it, where lastword wrote the file.
    """

    def __init__(self, options: ImportOptions) -> None:
        self.options = options
        self.counts: Counter[str] = Counter()
        self.stored: Mapping[str, ChannelSpec] = {}
        self.default_sparse = "sparse"
        self._encoders = dict(options.encoders)
        self._taken: dict[str, ChannelSpec] = {}

    @property
    def specs(self) -> list[ChannelSpec]:
        """The channels that have had rows, or will have."""
        return list(self._taken.values())

    @cached_property
    def sparse(self) -> str:
        """Name of the sparse channel."""
        known = [name for names in (self._encoders, self.stored) for name in names]
        named = next((name for name in known if name in SPARSE), self.default_sparse)
        return self.options.channel or named

    @cached_property
    def terms(self) -> TermColumns:
        """The columns of terms; without a model, terms are words that white space separates."""
        encoder, stored = self._encoders.get(self.sparse), self.stored.get(self.sparse)
        if encoder is None and stored is not None and stored.recipe != NO_SPEC:
            encoder = load_specs({self.sparse: stored.recipe}, self.options.access)[self.sparse]
        return TermColumns(encoder or BM25Encoder(WHITESPACE))

    def dense_block(
        self,
        documents: Sequence[Document],
        vectors: NDArray[np.floating],
        owner: NDArray[np.int64] | None = None,
    ) -> DocumentBlock:
        """Take vectors, (n, dim) of any float type; see `Representation` for `owner`.

        Raises:
            ValueError: a vector holds NaN or infinity, or is not of unit length and may not be.
        """
        self._take("dense")
        with np.errstate(all="ignore"):  # what is not finite is refused below
            rows = np.ascontiguousarray(vectors, np.float32)
            lengths = np.linalg.norm(rows, axis=1)
            off = np.flatnonzero(~((np.abs(lengths - 1) <= UNIT_TOLERANCE) | (lengths == 0)))
            if len(off) and self.options.normalize:
                rows = unit_rows(rows)
                self.counts["normalized"] += len(off)
        if len(off) and not self.options.normalize and np.isfinite(lengths[off[0]]):
            at = int(off[0]) if owner is None else int(owner[off[0]])
            raise ValueError(
                f"document {documents[at].id!r} has a vector of length {lengths[off[0]]:.4g}, and "
                "an index holds unit vectors; normalize them (--normalize), which ranks by cosine"
            )
        owner = np.arange(len(rows)) if owner is None else owner
        return DocumentBlock(documents, {"dense": Representation(rows, None, owner)})

    def sparse_block(
        self,
        documents: Sequence[Document],
        rows: csr_matrix,
        owner: NDArray[np.int64] | None = None,
    ) -> DocumentBlock:
        """Take weights of terms, (n, width); those of 0 are dropped.

        Raises:
            ValueError: a weight is negative, NaN or infinite.
        """
        self._take(self.sparse)
        rows.sum_duplicates()
        rows.eliminate_zeros()
        if len(rows.data) and not (rows.data.min() > 0 and np.isfinite(rows.data).all()):
            raise ValueError(
                f"documents {documents[0].id!r} to {documents[-1].id!r}: weights of terms must be "
                "finite and not below 0"
            )
        owner = np.arange(rows.shape[0]) if owner is None else owner
        return DocumentBlock(documents, {self.sparse: Representation(None, rows, owner)})

    def _take(self, channel: str) -> None:
        """Settle what the index says of a channel: the user first, then the file."""
        if channel in self._taken:
            return
        options = DEFAULT_CHANNELS[channel]
        if channel == "dense":
            options = replace(options, factory=self.options.factory, dtype=self.options.dtype)
        encoder, stored = self._encoders.get(channel), self.stored.get(channel)
        if encoder is not None:
            if channel == "dense":
                _refuse_post(encoder)
            self._taken[channel] = options.spec(channel, encoder)
        elif stored is not None:
            if stored.kind == "dense":
                stored = replace(stored, factory=options.factory, dtype=options.dtype)
            self._taken[channel] = replace(stored, dim=None)
        elif channel == "dense":
            self._taken[channel] = ChannelSpec(
                channel,
                "dense",
                fingerprint_of(kind="imported"),
                factory=options.factory,
                dtype=options.dtype,
            )
        else:
            self._taken[channel] = options.spec(channel, BM25Encoder(WHITESPACE))


def _refuse_post(encoder: Encoder) -> None:
    if post_rules_of(encoder) is not None:
        raise ValueError(
            "the prompt has [post], which is fitted to texts as they are read, and rows of other "
            "programs are taken as they are; leave the model out where lastword wrote the file, "
            "or choose a prompt without [post]"
        )


def split_known(specs: Sequence[ChannelSpec]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the channels that are searched by text, and those by terms with spaces between.

    Of the latter nobody said which model or analysis made their terms. A channel that is neither
    is searched by rows.
    """
    by_terms = stored_spec(BM25Encoder(WHITESPACE))
    known = [spec for spec in specs if spec.recipe != NO_SPEC]
    terms = tuple(spec.name for spec in known if spec.recipe == by_terms)
    return tuple(spec.name for spec in known if spec.name not in terms), terms


def merged(blocks: Sequence[DocumentBlock]) -> DocumentBlock:
    """Return blocks of the same documents as one, of all their channels."""
    rows = {name: rows for block in blocks for name, rows in block.rows.items()}
    return DocumentBlock(blocks[0].documents, rows)
