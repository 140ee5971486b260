"""Changes of data files, at random: harmless ones, which must change no figure, and all others."""

import codecs
import gzip
import json
import lzma
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Rng = np.random.Generator
Change = Callable[[Rng, bytes], bytes]

_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 7, 1.0, 1e308, 2**63, 10**400, "", " ", "a", "x y", "\t", "a\nb"),
    *("\0", "\ud83d", "\udcff", "\u2028", "\ufeff", "\x1b[31m", "%20", "100%", "\u202eabc", "</s>"),
    *("x" * 100_000, [], ["a"], {}, {"a": 1}, [[["a"]]], "\U0001f375", "NaN", "nan", "1_0"),
)
_FIELDS = (
    *(b"", b" ", b"0", b"1", b"-1", b"1.0", b"1e20", b"3000000000", b"-3000000000", b"nan", b"inf"),
    *(b"1_0", b"0x1", b"\xd9\xa1", b"9" * 5000, b"1e999999999", b"a b", b"%20", b"%25", b"\xff"),
    *(b"\0", b"\r", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"query-id", b"score", b"x" * 100_000),
    *(b'"', b"'", b"\x85", b"\xc2\x85", b"\xc2\xa0", b"\xed\xa0\xbd", b"\xf4\x90\x80\x80"),
)
_PIECES = (
    *(b"\0", b"\r", b"\n", b"\t", b" ", b"\xff", b"\xe9", b"\xef\xbb\xbf", b"\xff\xfe", b"{", b"}"),
    *(b'"', b"\\", b"\\ud83d", b"\\u0000", b",", b":", b"NaN", b"-", b"1e999", b"[" * 3000),
    *(b'{"a":' * 2000, b"9" * 5000, b"x" * 1_000_000, b"\xe2\x80\xa8", b"\x1b]0;x\x07", b"%0A"),
)


def marked(rng: Rng, data: bytes) -> bytes:
    """Put a byte-order mark first."""
    return codecs.BOM_UTF8 + data


def windows_ends(rng: Rng, data: bytes) -> bytes:
    """End lines with CRLF."""
    return data.replace(b"\n", b"\r\n")


def blank_lines(rng: Rng, data: bytes) -> bytes:
    """Put blank lines between lines."""
    return data.replace(b"\n", b"\n\n \n")


def no_last_end(rng: Rng, data: bytes) -> bytes:
    """Leave out the end of the last line."""
    return data.rstrip(b"\n")


HARMLESS: tuple[Change, ...] = (marked, windows_ends, blank_lines, no_last_end)


def _other_encoding(rng: Rng, data: bytes) -> bytes:
    names = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp037")
    return data.decode("utf-8", "replace").encode(names[rng.integers(len(names))], "replace")


def _latin_1(rng: Rng, data: bytes) -> bytes:
    return data.replace(b"a", b"\xe9", 1)


def _old_mac_ends(rng: Rng, data: bytes) -> bytes:
    return data.replace(b"\n", b"\r")


def _cut(rng: Rng, data: bytes) -> bytes:
    return data[: rng.integers(len(data) + 1)]


def _empty(rng: Rng, data: bytes) -> bytes:
    return (b"", b"\n", b" \n\n", codecs.BOM_UTF8)[rng.integers(4)]


def _packed(rng: Rng, data: bytes) -> bytes:
    packed = (gzip.compress, lzma.compress)[rng.integers(2)](data)
    return packed[: rng.integers(1, len(packed) + 1)]


def _flipped(rng: Rng, data: bytes) -> bytes:
    flipped = bytearray(data or b"\0")
    for _ in range(rng.integers(1, 6)):
        flipped[rng.integers(len(flipped))] = rng.integers(256)
    return bytes(flipped)


def _inserted(rng: Rng, data: bytes) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + _PIECES[rng.integers(len(_PIECES))] + data[at:]


def _lines_mixed(rng: Rng, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at, other = rng.integers(len(lines), size=2)
    kind = rng.integers(4)
    if kind == 0:
        lines.insert(at, lines[other])
    elif kind == 1:
        del lines[at]
    elif kind == 2:
        lines[at] = lines[at] + lines[other]
    else:
        lines[at], lines[other] = lines[other], lines[at]
    return b"\n".join(lines)


def _field_changed(rng: Rng, data: bytes) -> bytes:
    """Put another value into a field of a line: of an object, or between tabs or spaces."""
    lines = data.split(b"\n")
    at = int(rng.integers(len(lines)))
    try:
        record = json.loads(lines[at])
        lines[at] = _other_object(rng, record)
    except (ValueError, TypeError):  # no JSON, or none with fields
        mark = b"\t" if b"\t" in lines[at] else b" "
        fields = lines[at].split(mark)
        fields[rng.integers(len(fields))] = _FIELDS[rng.integers(len(_FIELDS))]
        lines[at] = mark.join(fields)
    return b"\n".join(lines)


def _other_object(rng: Rng, record: dict[str, Any]) -> bytes:
    keys = list(record)
    key = keys[rng.integers(len(keys))]
    if rng.random() < 0.2:
        del record[key]
    elif rng.random() < 0.1:
        record[key.upper()] = record.pop(key)
    else:
        record[key] = _VALUES[rng.integers(len(_VALUES))]
    text = json.dumps(record)
    if rng.random() < 0.1:
        text = text[:-1] + ",}"
    return text.encode()


def _column_changed(rng: Rng, data: bytes) -> bytes:
    mark = b"\t" if b"\t" in data else b" "
    rows = [line.split(mark) for line in data.split(b"\n")]
    at = int(rng.integers(max(map(len, rows))))
    for fields in rows:
        if len(fields) > at:
            del fields[at]
    return b"\n".join(mark.join(fields) for fields in rows)


CHANGES: tuple[Change, ...] = (
    *HARMLESS,
    *(_other_encoding, _latin_1, _old_mac_ends, _cut, _empty, _packed, _flipped, _inserted),
    *(_lines_mixed, _lines_mixed, _field_changed, _field_changed, _field_changed),
    *(_field_changed, _field_changed, _column_changed),
)


def changed(rng: Rng, data: bytes, changes: Sequence[Change]) -> tuple[bytes, str]:
    """Apply one to three changes; return the data and what was done."""
    names = []
    for _ in range(rng.integers(1, 4)):
        change = changes[int(rng.integers(len(changes)))]
        data = change(rng, data)
        names.append(change.__name__.strip("_"))
    return data, ", ".join(names)
