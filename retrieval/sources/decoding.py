"""Bytes of people's files to text: by mark, as UTF-8, or guessed, with what was done noted."""

import codecs
import re

from retrieval.sources.items import Notes, UnreadableError

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # begins as UTF-16's mark does, and so comes first
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_HIGH = re.compile(rb"[\x80-\xff]")
_CHARACTERS = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_SAMPLE = 1 << 16  # bytes by which an encoding is guessed
_WESTERN, _TURKISH = "cp1252", "cp1254"
_ONLY_TURKISH = re.compile(rb"[\xd0\xdd\xde\xf0\xfd\xfe]")  # else letters of Icelandic
_LIKELY = (
    *(_WESTERN, _TURKISH, "cp1250", "cp1251", "cp1253", "cp1255", "cp1256", "cp1257", "koi8_r"),
    *("cp932", "euc_jp", "iso2022_jp", "gb18030", "big5", "cp949", "cp866", "mac_roman"),
)


def decode(raw: bytes, name: str, notes: Notes, declared: str = "") -> str:
    """Return the text of a whole file.

    A byte-order mark decides, then the declared encoding, then UTF-8; else the encoding is
    guessed from the bytes, which is noted. Control characters are dropped, counted.

    Args:
        raw: the bytes.
        name: of the file, for notes.
        notes: take what was done.
        declared: an encoding that the file names itself.

    Raises:
        UnreadableError: it is no text.
    """
    return clean(_decode(raw, name, notes, declared), name, notes)


def clean(text: str, name: str, notes: Notes) -> str:
    """Drop control characters other than white space, and count them."""
    if text.isprintable():  # as most are that have one line; twice as fast to tell
        return text
    kept, dropped = _CONTROLS.subn("", text)
    if dropped:
        notes.add("controls", name, dropped)
    return kept


def find_encoding(sample: bytes) -> str:
    """Return the encoding of the beginning of a file: by mark, UTF-8, or guessed.

    Raises:
        UnreadableError: it is no text.
    """
    for mark, encoding in MARKS.items():
        if sample.startswith(mark):
            return encoding
    if wide := _wide(sample):
        return wide
    utf8 = _is_utf8(sample)
    most = 0.1 if utf8 else 0.01  # of control characters, which a text holds by mistake only
    if len(_CONTROL_BYTES.findall(sample[:_SAMPLE])) > most * min(len(sample), _SAMPLE) + utf8:
        raise UnreadableError("it is no text: it holds bytes as binary files do")
    if utf8 or _is_damaged_utf8(sample):
        return "utf-8"
    return _guess(sample)


def without_mark(raw: bytes) -> bytes:
    """Take a byte-order mark off."""
    if not raw.startswith(tuple(MARKS)):
        return raw
    return raw[len(next(mark for mark in MARKS if raw.startswith(mark))) :]


def _decode(raw: bytes, name: str, notes: Notes, declared: str) -> str:
    marked = any(raw.startswith(mark) for mark in MARKS)
    if declared and not marked:
        try:
            return raw.decode(declared)
        except (LookupError, UnicodeError, ValueError):
            pass
    encoding = find_encoding(raw)
    if not marked and encoding != "utf-8":
        notes.add("encoding", f"{name} ({encoding})")
    body = without_mark(raw)
    try:
        return body.decode(encoding).lstrip("\ufeff")
    except (UnicodeError, LookupError):
        encoding = encoding if marked else "utf-8"
        notes.add("encoding", f"{name} ({encoding}, with bytes that are none)")
        return body.decode(encoding, errors="replace").lstrip("\ufeff")


def _is_utf8(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _is_damaged_utf8(sample: bytes) -> bool:
    """Tell whether most bytes above 127 are in characters of UTF-8, which is no accident."""
    high = len(_HIGH.findall(sample))
    return 5 * sum(map(len, _CHARACTERS.findall(sample))) > 4 * high


def _wide(sample: bytes) -> str:
    """Name the encoding of text of two bytes a character without a mark; "" if it is none."""
    head = sample[: _SAMPLE - _SAMPLE % 2]
    zeros = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if not half or max(zeros) * 2 < half or min(zeros) * 20 > half:
        return ""
    return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"


def _guess(sample: bytes) -> str:
    """Guess an encoding of one or more bytes a character; Western ones where they fit as well."""
    from charset_normalizer import from_bytes

    matches = from_bytes(sample[:_SAMPLE], cp_isolation=list(_LIKELY))
    best = matches.best()
    if best is None:
        return _WESTERN
    alike = {
        name
        for one in matches
        if one.chaos <= best.chaos + 0.02 and one.coherence >= best.coherence - 0.05
        for name in one.could_be_from_charset
    }
    if _TURKISH in alike and _WESTERN in alike and _ONLY_TURKISH.search(sample):
        return _TURKISH
    return _WESTERN if _WESTERN in alike else best.encoding
