"""Which documents of an index a filter keeps, and the index of which only those are found."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import singledispatch
from pathlib import Path

import numpy as np

from index.documents import Document
from index.filters.column import KINDS, LIST, NULL, FieldPath, Mask, key_of
from index.filters.expression import Condition, Filter, HasItem, write_field
from index.filters.parse import parse_filter
from index.folder import Index

_CLOSE = 3  # names that are suggested


@dataclass(frozen=True, slots=True, eq=False)
class KeptDocuments:
    """The live documents of an index that meet a filter.

    Attributes:
        index: all of it.
        filter: None keeps all live documents.
        masks: for each segment (documents,) True where a document is live and meets the filter.
    """

    index: Index
    filter: Filter | None
    masks: tuple[Mask, ...]

    @staticmethod
    def of(index: Index, chosen: Filter | str | None) -> "KeptDocuments":
        """Try every live document; the first use of a field reads the metadata of all.

        Raises:
            ValueError: the filter cannot be read, or a file is damaged.
        """
        return keep_documents(
            index, chosen if isinstance(chosen, Filter | None) else parse_filter(chosen)
        )

    def __len__(self) -> int:
        return sum(int(mask.sum()) for mask in self.masks)

    def __contains__(self, document_id: str) -> bool:
        pairs = zip(self.index.opened, self.masks, strict=True)
        return any(
            mask[at]
            for segment, mask in pairs
            for at in segment.documents.find([document_id]).values()
        )

    def __iter__(self) -> Iterator[Document]:
        """Yield them in order; memory does not grow with their number."""
        for segment, mask in zip(self.index.opened, self.masks, strict=True):
            if mask.any():
                for ordinal, document in segment.documents.store.stream():
                    if mask[ordinal]:
                        yield document

    def ids(self) -> list[str]:
        """Return their ids in order, without reading their texts."""
        ids: list[str] = []
        for segment, mask in zip(self.index.opened, self.masks, strict=True):
            names = segment.documents.store.ids()
            ids += [names[at] for at in mask.nonzero()[0].tolist()]
        return ids

    @property
    def among_live(self) -> Mask:
        """(documents,) True where a live document, of all of them in order, is kept."""
        pairs = zip(self.index.opened, self.masks, strict=True)
        parts = [mask[segment.columns.live] for segment, mask in pairs]
        return np.concatenate([np.zeros(0, np.bool_), *parts])

    def narrow(self, channels: Iterable[str]) -> Index:
        """Return the same open index, whose searches of some channels find these documents alone.

        Counts of documents and statistics of words stay those of all live documents, so that a
        document scores what it scores without the filter.
        """
        narrowed = self.index
        for name in channels:
            narrowed = narrowed.with_channel(narrowed.channel_rows(name).among(self.masks))
        return narrowed

    def remarks(self) -> list[str]:
        """Say which conditions no document can meet: no one has the field, or such a value."""
        if self.filter is None or not self.index.documents:
            return []
        conditions = self.filter.expression.conditions()
        return [remark for each in conditions if (remark := _remark(self.index, each))]


@singledispatch
def keep_documents(index: Index, chosen: Filter | None) -> KeptDocuments:
    """Try every live document; kinds of indexes that lie elsewhere register how they do it."""
    masks = []
    for segment in index.opened:
        mask = segment.columns.live
        if chosen is not None:
            segment.columns.load(chosen.fields)
            mask = mask & chosen.expression.mask(segment.columns)
        masks.append(mask)
    return KeptDocuments(index, chosen, tuple(masks))


def _remark(index: Index, condition: Condition) -> str:
    if remark := missing_field(index, condition.field):
        return remark
    name = write_field(condition.field)
    kinds = {kind for segment in index.opened for kind in segment.columns.kinds(condition.field)}
    wanted = {LIST} if isinstance(condition, HasItem) else {key_of(v)[0] for v in condition.values}
    if wanted & kinds or not wanted:
        return ""
    return f"{name} is {_named(wanted)} in no document; it is {_named(kinds - {NULL})}"


def _named(kinds: set[int]) -> str:
    return " or ".join(KINDS[kind] for kind in sorted(kinds))


@singledispatch
def missing_field(index: Index, field: FieldPath) -> str:
    """Say that no live document has a field, and which are written nearly so; "" where one has."""
    if any(segment.columns.kinds(field) - {NULL} for segment in index.opened):
        return ""
    return f"no document has a field {write_field(field)}{_suggestion(index, field)}"


def _suggestion(index: Index, field: FieldPath) -> str:
    found = {name for segment in index.opened for name in segment.columns.names()}
    if not found:
        return "; none has metadata"
    names = {write_field(each): each for each in sorted(found)}
    close = get_close_matches(write_field(field), names, _CLOSE, 0.6)
    close += [each for each in names if names[each][-1].lower() == field[-1].lower()]
    chosen: Sequence[str] = list(dict.fromkeys(close))[:_CLOSE] or list(names)[:_CLOSE]
    some = "; there is " if close else "; there are others, such as "
    return some + ", ".join(chosen)


def matching_ids(path: Path, text: str) -> list[str]:
    """Return the ids of the documents of an index, as it is now, that meet a filter: to delete.

    Raises:
        ValueError: the filter cannot be read; or a condition is met by no document, since a
            misspelt field with != would mean all.
    """
    with Index.open(path) as index:
        kept = KeptDocuments.of(index, text)
        for remark in kept.remarks():
            raise ValueError(f"filter: {remark}; nothing was deleted")
        return kept.ids()
