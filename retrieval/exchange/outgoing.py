"""An index on its way out: which rows are written, under which names, and what is lost."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
from scipy.sparse import csr_matrix

from embedder.progress import Progress
from embedder.types import Encoder, Representation, Role, before_map, map_rows
from index.documents import Document, UnknownDocumentError
from index.folder import Index
from index.live_rows import DocumentBlock, LivePostings, live_blocks
from retrieval.exchange.options import ExportOptions
from retrieval.exchange.term_names import TermNames
from retrieval.named_texts import encode_named
from retrieval.open import choose_channels, load_specs
from retrieval.pseudo_queries import read_query_fit

Kind = Literal["dense", "inverted"]
_LARGEST = 2**31 - 1  # of a whole weight, in Lucene and in CIFF


class Outgoing:
    """An index that is read for another format.

    Args:
        index: opened.
        options: what is written.
        progress: called with the number of documents written so far.

    Attributes:
        counts: what does not go over as it is -> how many.
        channels: those that were read.
    """

    def __init__(
        self,
        index: Index,
        options: ExportOptions,
        progress: Progress | None = None,
    ) -> None:
        self.index = index
        self.options = options
        self.counts: Counter[str] = Counter()
        self.channels: dict[str, None] = {}
        self._chosen = choose_channels(index, options.channels)
        self._encoders = dict(options.encoders)
        self._progress = progress or (lambda documents: None)
        self._scales: dict[str, int] = {}

    def channel(self, kind: Kind) -> str | None:
        """Return the channel of a kind that is written, None where there is none.

        Raises:
            ValueError: several were chosen, and formats hold one of a kind.
        """
        names = [name for name in self._chosen if self.index.channels[name].kind == kind]
        if len(names) > 1 and self.options.channels:
            raise ValueError(f"the format holds one channel of a kind; got {', '.join(names)}")
        return names[0] if names else None

    def needed(self, kind: Kind) -> str:
        """Return the only channel that is written, of a kind.

        Raises:
            ValueError: there is none, or others were chosen.
        """
        name = self.channel(kind)
        if name is None:
            what = "dense vectors" if kind == "dense" else "weighted terms"
            raise ValueError(
                f"the format holds {what}; {self.index.path} has the channels "
                f"{', '.join(self.index.channels)}, and of these was chosen: "
                f"{', '.join(self._chosen)}"
            )
        if self.options.channels and len(self._chosen) > 1:
            raise ValueError(f"the format holds one channel; got {', '.join(self._chosen)}")
        return name

    def blocks(self, channels: Sequence[str]) -> Iterator[DocumentBlock]:
        """Yield the documents with their rows, some at a time, and tell how far this is."""
        self.channels |= dict.fromkeys(channels)
        for name in channels if self.options.queries else ():
            self.encoder(name)  # or say now that there is none
        done = 0
        self._progress(done)  # all models are loaded by now
        for block in live_blocks(self.index, channels):
            yield block
            done += len(block.documents)
            self._progress(done)

    def encoder(self, channel: str) -> Encoder:
        """Return the encoder of a channel; loaded when it is first asked for.

        Raises:
            ValueError: the index does not say how the channel reads texts.
        """
        if channel not in self._encoders:
            recipe = self.index.channels[channel].recipe
            encoder = load_specs({channel: recipe}, self.options.access)[channel]
            alike = (name for name, spec in self.index.channels.items() if spec.recipe == recipe)
            self._encoders = dict.fromkeys(alike, encoder) | self._encoders
        encoder = self._encoders[channel]
        self.index.channels[channel].check_encoder(encoder.fingerprint, querying=True)
        return encoder

    def names(self, channel: str) -> TermNames:
        """Return the names of a channel's terms."""
        return TermNames(self.encoder(channel))

    def query_rows(self, channel: str) -> Representation:
        """Encode the queries as a search of the channel does; `owner` is the place of a query."""
        texts = self.options.queries
        encoder, spec = self.encoder(channel), self.index.channels[channel]
        names = [f"query {name!r}" for name in texts]
        rows = encode_named(before_map(encoder), list(texts.values()), Role.QUERY, names)
        fit = read_query_fit(spec, encoder)
        if fit is not None:
            rows = fit.change_rows(rows, Role.QUERY)
        rows = map_rows(encoder, rows, spec.kind)
        kept = rows.dense if spec.kind == "dense" else None
        return Representation(kept, None if kept is not None else rows.sparse, rows.owner)

    def whole(self, rows: csr_matrix, channel: str) -> csr_matrix:
        """Return weights as whole numbers, without those that are rounded away.

        Raises:
            ValueError: one is too large for 31 bits.
        """
        if channel not in self._scales:
            whole = LivePostings(self.index, channel).whole
            self._scales[channel] = 1 if whole else self.options.scale
        scaled = rows.copy()
        scaled.data = np.rint(scaled.data.astype(np.float64) * self._scales[channel])
        if len(scaled.data) and scaled.data.max() > _LARGEST:
            raise ValueError(
                f"channel {channel!r}: a weight is {scaled.data.max():.3g} after scaling; whole "
                f"weights have 31 bits, so choose a smaller scale"
            )
        before = scaled.nnz
        scaled.eliminate_zeros()
        self.counts["rounded_away"] += before - scaled.nnz
        return scaled

    def scale(self, channel: str) -> int:
        """Return what the weights of a channel are multiplied by."""
        self.whole(csr_matrix((0, 1)), channel)
        return self._scales[channel]

    def row_ids(self, ids: Sequence[str], rows: Representation) -> list[str]:
        """Name rows by their documents; several rows of one are ID#0, ID#1, ...

        pyserini splits such ids where it is told to take the best passage (--max-passage).

        Raises:
            ValueError: a document is called as such a row of another.
        """
        owners = rows.owner.tolist()
        of_each = Counter(owners)
        self.counts["parted_documents"] += sum(count > 1 for count in of_each.values())
        self.counts["documents_without_rows"] += len(ids) - len(of_each)
        return list(_row_names(ids, owners, self._has_document, "document"))

    def query_ids(self, rows: Representation) -> list[str]:
        """Name rows by their queries, as `row_ids` names those of documents."""
        queries, owners = self.options.queries, rows.owner.tolist()
        self.counts["parted_queries"] += len(owners) - len(set(owners))
        return list(_row_names(list(queries), owners, queries.__contains__, "query"))

    def _has_document(self, name: str) -> bool:
        try:
            self.index.document(name)
        except UnknownDocumentError:
            return False
        return True


def _row_names(
    ids: Sequence[str], owners: Sequence[int], is_taken: Callable[[str], bool], what: str
) -> Iterator[str]:
    of_each, seen = Counter(owners), Counter[int]()
    for owner in owners:
        name = ids[owner]
        if of_each[owner] > 1:
            name += f"#{seen[owner]}"
            if is_taken(name):
                raise ValueError(
                    f"{ids[owner]!r} has several rows, one of which would be called {name!r}, as "
                    f"another {what} is; npz and parquet keep the rows of a {what} together"
                )
        yield name
        seen[owner] += 1


def ids_of(documents: Sequence[Document]) -> list[str]:
    """Return the ids of documents."""
    return [document.id for document in documents]
