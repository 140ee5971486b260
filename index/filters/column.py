"""One field of the metadata of a segment's documents, by number of value: compared all at once."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Scalar = None | bool | int | float | str
"""What a value is compared with."""
FieldPath = tuple[str, ...]
"""Names of a field, outermost first: author.name is ("author", "name")."""
Relation = Literal["==", "<", "<=", ">", ">="]
Mask = NDArray[np.bool_]

Key = tuple[int, Any]
"""Kind and value; keys are ordered by kind, then by value, and are equal as JSON values are."""
NULL, BOOLEAN, NUMBER, TEXT, LIST, OBJECT = range(6)
KINDS = ("null", "true or false", "a number", "a text", "a list", "an object")
_KIND_OF: Mapping[type, int] = MappingProxyType(
    {type(None): NULL, bool: BOOLEAN, int: NUMBER, float: NUMBER, str: TEXT}
    | {list: LIST, dict: OBJECT}
)
_SEARCH = 16  # values that are looked at in the time of a binary search
_FEW = 8  # comparisons of all numbers that take as long as a look at a table for each


def key_of(value: object) -> Key:
    """Return the key of a value of JSON; all lists have one key, and all objects."""
    kind = _KIND_OF[type(value)]
    return (kind, value if BOOLEAN <= kind <= TEXT else 0)


def value_at(metadata: Any, field: FieldPath) -> Any:  # noqa: ANN401  (whatever JSON holds)
    """Return the value of a field; None where an object on the way has no such name, or is none."""
    for name in field:
        if type(metadata) is not dict or name not in metadata:
            return None
        metadata = metadata[name]
    return metadata


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Values of a field, and the items of those that are lists.

    Attributes:
        keys: distinct values, ascending.
        codes: (documents,) int32: place of each document's value in `keys`.
        item_keys: distinct items of lists, ascending.
        item_starts: (items + 1,) int64: holders of item i are item_starts[i] to
            item_starts[i + 1].
        item_holders: (n,) int32: documents whose lists have an item, each once.
    """

    keys: Sequence[Key]
    codes: NDArray[np.int32]
    item_keys: Sequence[Key]
    item_starts: NDArray[np.int64]
    item_holders: NDArray[np.int32]

    @staticmethod
    def of(values: Sequence[Any]) -> "Column":
        """Return the column of the values of all documents, in their order."""
        keys, codes = _number([key_of(value) for value in values])
        items: list[Key] = []
        holders: list[int] = []
        for document, value in enumerate(values):
            if type(value) is list:
                own = set(map(key_of, value))
                items += own
                holders += [document] * len(own)
        item_keys, item_codes = _number(items)
        order = np.argsort(item_codes, kind="stable")
        starts = np.searchsorted(item_codes[order], np.arange(len(item_keys) + 1))
        return Column(keys, codes, item_keys, starts, np.array(holders, np.int32)[order])

    def compare(self, relation: Relation, value: Scalar) -> Mask:
        """Return which documents have a value of the same kind that stands so to another."""
        key = key_of(value)
        first, end = bisect_left(self.keys, (key[0],)), bisect_left(self.keys, (key[0] + 1,))
        low, high = self._place(key)
        bounds = {"==": (low, high), "<": (first, low), "<=": (first, high), ">": (high, end)}
        start, stop = bounds.get(relation, (low, end))
        if start == stop:
            return np.zeros(len(self.codes), np.bool_)
        if stop == start + 1:
            return np.equal(self.codes, start)
        return (self.codes >= start) & (self.codes < stop)

    def _place(self, key: Key) -> tuple[int, int]:
        """Return where a key stands among the distinct ones, and the end: the same if nowhere."""
        low = bisect_left(self.keys, key)
        return low, low + (low < len(self.keys) and self.keys[low] == key)

    def is_one_of(self, values: Iterable[Scalar]) -> Mask:
        """Return which documents have one of some values."""
        wanted = set(map(key_of, values))
        if len(wanted) * _SEARCH < len(self.keys):
            places = [at for key in wanted for at in range(*self._place(key))]
        else:
            places = [at for at, key in enumerate(self.keys) if key in wanted]
        if len(places) <= _FEW:
            nothing = np.zeros(len(self.codes), np.bool_)
            return reduce(np.logical_or, (self.codes == at for at in places), nothing)
        chosen = np.zeros(len(self.keys), np.bool_)
        chosen[places] = True
        return chosen.take(self.codes)

    def holds(self, value: Scalar) -> Mask:
        """Return which documents have a list with a value in it."""
        mask = np.zeros(len(self.codes), np.bool_)
        at = bisect_left(self.item_keys, key := key_of(value))
        if at < len(self.item_keys) and self.item_keys[at] == key:
            mask[self.item_holders[self.item_starts[at] : self.item_starts[at + 1]]] = True
        return mask

    def count(self, mask: Mask) -> Counter[Key]:
        """Count the documents of a mask by value.

        One with a list counts for each of its items, with an empty one as if it had none.
        """
        codes = np.bincount(self.codes[mask], minlength=len(self.keys))
        counted = Counter(dict(zip(self.keys, codes.tolist(), strict=True)))
        held = mask[self.item_holders]
        starts = np.concatenate([[0], np.cumsum(held)])[self.item_starts]
        lists = counted.pop((LIST, 0), 0)
        for key, count in zip(self.item_keys, np.diff(starts).tolist(), strict=True):
            counted[key] += count
        counted[(NULL, 0)] += lists - len(np.unique(self.item_holders[held]))
        return +counted


def _number(keys: Sequence[Key]) -> tuple[list[Key], NDArray[np.int32]]:
    """Return the distinct keys, ascending, and the place of each key among them."""
    distinct = sorted(set(keys))
    places = {key: at for at, key in enumerate(distinct)}
    return distinct, np.array([places[key] for key in keys], np.int32)


class Columns(Mapping[FieldPath, Column]):
    """Columns of a segment, each read when it is first asked for.

    Threads may share it; two that ask at once for the same column may both read it.

    Args:
        documents: number of documents.
        live: (documents,) True where not deleted; None means all.
        read: yields the number of a document and its metadata, of those that have some.

    Attributes:
        live: as given, and True everywhere for None.
    """

    def __init__(
        self,
        documents: int,
        live: Mask | None,
        read: Callable[[], Iterable[tuple[int, Mapping[str, Any]]]],
    ) -> None:
        self.live = np.ones(documents, np.bool_) if live is None else live
        self._read = read
        self._columns: dict[FieldPath, Column] = {}
        self._kinds: dict[FieldPath, frozenset[int]] = {}
        self._names: frozenset[FieldPath] | None = None

    def __getitem__(self, field: FieldPath) -> Column:
        if field not in self._columns:
            self.load([field])
        return self._columns[field]

    def __iter__(self) -> Iterator[FieldPath]:
        return iter(dict(self._columns))

    def __len__(self) -> int:
        return len(self._columns)

    def load(self, fields: Iterable[FieldPath]) -> None:
        """Read several columns at once, which takes little longer than one."""
        missing = [field for field in dict.fromkeys(fields) if field not in self._columns]
        if not missing:
            return
        values: dict[FieldPath, list[Any]] = {f: [None] * len(self.live) for f in missing}
        for document, metadata in self._read():
            for field in missing:
                values[field][document] = value_at(metadata, field)
        for field in missing:
            self._columns[field] = Column.of(values.pop(field))

    def kinds(self, field: FieldPath) -> frozenset[int]:
        """Return the kinds of values that live documents have in a field."""
        if field not in self._kinds:
            column = self[field]
            there = np.unique(column.codes[self.live]).tolist()
            self._kinds[field] = frozenset(column.keys[at][0] for at in there)
        return self._kinds[field]

    def names(self) -> frozenset[FieldPath]:
        """Return every field of live documents, also those that objects hold; reads all, once."""
        if self._names is None:
            live = (metadata for document, metadata in self._read() if self.live[document])
            self._names = frozenset(field for metadata in live for field in _fields(metadata))
        return self._names


def _fields(metadata: Mapping[str, Any]) -> Iterable[FieldPath]:
    waiting: list[tuple[FieldPath, Mapping[str, Any]]] = [((), metadata)]
    while waiting:
        before, table = waiting.pop()
        for name, value in table.items():
            yield (*before, name)
            if type(value) is dict:
                waiting.append(((*before, name), value))
