"""A journal in JSON lines, from which a run that was killed is taken up as if it never was.

Everything that costs something goes through `Journal.once`. A run is deterministic by its seed;
taken up again it asks for the same things in the same order, and what the journal holds already
is charged and answered from it. So prompt, cost and journal end up the same.
"""

import json
import os
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from embedder.files.config_file import parse_json
from embedder.files.durable import naming, open_append
from tuning.search.budget import Cost, Meter

Json = Any  # what json.loads returns
_SHOWN = 60  # characters of a setting in a message


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of work whose cost was known by an upper bound only.

    Attributes:
        value: as JSON.
        used: what it took; at most what was charged.
    """

    value: Json
    used: Cost


class DamagedJournalError(ValueError):
    """A journal holds what this run cannot have written; no prompt is at fault."""


class OtherRunError(ValueError):
    """A journal is of another run than the one that is to be taken up.

    Attributes:
        keys: of the headings, that differ.
    """

    def __init__(self, message: str, keys: frozenset[str]) -> None:
        super().__init__(message)
        self.keys = keys


class Journal:
    """The records of one run, in order; replays what a file holds, then appends to it.

    Attributes:
        replayed: records that were answered from the file.
        kinds: of all records.
    """

    def __init__(self, path: Path | None, heading: Json) -> None:
        """Open a file, or a journal in memory.

        Args:
            path: created where it is absent. A last line that was cut off is dropped.
            heading: everything that decides the run; the first record.

        Raises:
            ValueError: the file is of another run, or is damaged before its last line.
            OSError: it cannot be written.
        """
        self._path = path or Path()  # of no file, which is in memory
        self._file = open_append(path) if path is not None else None  # no link, whose end is far
        try:
            self._records, whole = _read_records(path) if path is not None else ([], 0)
        except ValueError:
            self.__exit__(None, None, None)
            raise
        if self._file is not None:
            self._file.truncate(whole)  # a last line that was cut off
        self.replayed = min(1, len(self._records))
        self.kinds = {record["kind"] for record in self._records}
        if not self._records:
            self._write({"kind": "run", "value": heading})
        elif (old := self._records[0]["value"]) != (new := _as_json(heading)):
            self.__exit__(None, None, None)
            raise OtherRunError(
                f"{path} is the journal of another run: {'; '.join(_changes(old, new)[:3])}; "
                "give another folder, or the settings that it was begun with",
                frozenset(key for key in {**old, **new} if old.get(key) != new.get(key)),
            )

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            with naming(self._path):  # it tries once more to write what had no room
                self._file.close()

    def once(
        self, kind: str, key: Json, meter: Meter, cost: Cost, work: Callable[[], Json]
    ) -> Json:
        """Charge a piece of work and do it, unless the journal holds what came of it.

        Args:
            kind: what sort of work.
            key: what is asked, as JSON.
            meter: charged before the work is done.
            cost: of the work.
            work: does it; the answer is JSON, or `Settled`: then what was charged beyond what was
                used is given back, now and whenever the run is taken up.

        Raises:
            SpentError: it does not fit into the budget.
            DamagedJournalError: the journal holds something else at this place.
        """
        meter.charge(cost)
        record = self._replay({"kind": kind, "key": key, "cost": _amounts(cost)}, work)
        if "used" in record:
            meter.settle(cost, _cost(record["used"]))
        return record["value"]

    def note(self, kind: str, work: Callable[[], Json]) -> Json:
        """Return what was written down at this place, or find it out and write it down, for free.

        Raises:
            DamagedJournalError: the journal holds something else at this place.
        """
        return self._replay({"kind": kind}, work)["value"]

    def _replay(self, record: dict[str, Json], work: Callable[[], Json]) -> dict[str, Json]:
        """Return the next record, or do the work and write the record."""
        record = _as_json(record)
        if self.replayed >= len(self._records):
            value = work()
            if isinstance(value, Settled):
                record["used"] = _amounts(value.used)
                value = value.value
            record["value"] = _as_json(value)
            self._write(record)
            return record
        known: dict[str, Json] = self._records[self.replayed]
        if (known["kind"], known.get("key")) != (record["kind"], record.get("key")):
            raise DamagedJournalError(
                f"the journal does not belong to this run: record {self.replayed + 1} is "
                f"{known['kind']!r} where {record['kind']!r} was expected; "
                "begin anew in another folder"
            )
        self.replayed += 1
        return known

    def _write(self, record: Json) -> None:
        self.kinds.add(record["kind"])
        if self._file is None:
            return
        record = {**record, "crc32": _checksum(_as_json(record))}
        with naming(self._path):  # a full disk
            self._file.write(json.dumps(record, sort_keys=True).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())


def _changes(old: dict[str, Json], new: dict[str, Json]) -> list[str]:
    """Say which settings differ; of what is no number and no short text only that it does."""
    lines: list[str] = []
    for key in {**old, **new}:
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            lines += _changes(before, now)
        elif before != now:
            shown = [repr(value) for value in (before, now)]
            short = max(map(len, shown)) <= _SHOWN
            change = f"was {shown[0]} and is {shown[1]}" if short else "is another one now"
            lines.append(f"{key} {change}")
    return lines


def _amounts(cost: Cost) -> dict[str, int]:
    return {unit: amount for unit, amount in asdict(cost).items() if amount}


def _cost(amounts: Json) -> Cost:
    """Read what a record says was used."""
    units = {unit.name for unit in fields(Cost)}
    if (
        not isinstance(amounts, dict)
        or not amounts.keys() <= units
        or any(type(amount) is not int or amount < 0 for amount in amounts.values())
    ):
        raise DamagedJournalError(
            f"the journal is damaged: what work used is amounts; got {amounts!r}"
        )
    return Cost(**amounts)


def _as_json(value: Json) -> Json:
    """Return a value as it is read from a file."""
    return json.loads(json.dumps(value))


def _read_records(path: Path) -> tuple[list[Json], int]:
    """Return the records of a file, and how many bytes its whole lines are."""
    if not path.exists():
        return [], 0
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if not whole and data and not data.startswith(b"{"):
        raise ValueError(f"{path} is no journal of a tuning; give another folder")
    records = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            records.append(_record(line))
        except ValueError as error:
            raise ValueError(f"{path}:{number} is no record of a journal: {error}") from error
    if records and not isinstance(records[0]["value"], dict):
        raise ValueError(f"{path}:1 is no record of a journal: it does not say what was run")
    return records, len(whole)


def _record(line: bytes) -> dict[str, Json]:
    """Read a record; what was changed after it was written is refused."""
    record = parse_json(line, "damaged", finite=False)
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise ValueError("it does not say of what kind it is")
    checksum = record.pop("crc32", None)
    if checksum is not None and checksum != _checksum(record):
        raise ValueError("it was changed after it was written")
    return {"value": None} | record


def _checksum(record: Json) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())
