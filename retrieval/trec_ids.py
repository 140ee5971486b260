"""Fields of TREC files, separated by white space, which ids may hold: it is escaped in writing.

White space, control characters and the byte-order mark become %XX, one for each byte of UTF-8: "a
b" is "a%20b". A percent sign is escaped only where what follows would be read as such an escape:
"a%20b" is "a%2520b", while "100%" and "%22x%22" stay. So every id has exactly one form in a file,
every field is exactly one id, and the ids of other programs come back as they were.
"""

import re
import unicodedata

_QUERY_COLUMNS = ("queryid", "query", "qid", "topic", "topicid", "id")
_VALUE_COLUMNS = (
    *("score", "sim", "similarity", "rel", "relevance", "gain", "grade", "label"),
    *("judgement", "judgment"),
)
_LAST_SPACE = 0x3000  # no white space or control character comes after it


def _escape(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


_UNSAFE = "".join(
    character
    for character in (*map(chr, range(1, _LAST_SPACE + 1)), "\ufeff")
    if character.isspace() or character == "\ufeff" or unicodedata.category(character) == "Cc"
)
_CODES = {_escape(character): character for character in _UNSAFE}
_LIKE_ESCAPE = f"%((?:25)*)({'|'.join(code[1:] for code in _CODES)})"
_WRITTEN = re.compile(_LIKE_ESCAPE)
_ESCAPED = re.compile(f"[{re.escape(_UNSAFE)}]|{_LIKE_ESCAPE}")


def escape_id(value: str) -> str:
    """Write an id as a field without white space; most ids stay as they are.

    Raises:
        ValueError: it is empty, holds a NUL or is no legal Unicode.
    """
    if not value or "\0" in value:
        raise ValueError(
            "a TREC file separates fields by white space, and trec_eval ends texts at a NUL, so an "
            f"id is not empty and holds no NUL; got {value!r}"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the id {value!r} is not legal Unicode ({error})") from None
    return _ESCAPED.sub(_safe, value)


def unescape_id(field: str) -> str:
    """Return the id that `escape_id` wrote."""
    return _WRITTEN.sub(_meant, field) if "%" in field else field


class EscapedIds(dict[str, str]):
    """Id -> its field, each escaped when it is first asked for."""

    def __missing__(self, value: str) -> str:
        field = self[value] = escape_id(value)
        return field

    @property
    def escaped(self) -> int:
        """Number of ids that are not their own field."""
        return sum(value != field for value, field in self.items())


def split_fields(line: str, count: int) -> list[str]:
    """Split a line at white space, or at its tabs where these alone give as many full fields."""
    if line.count("\t") == count - 1:
        fields = [field.strip() for field in line.split("\t")]
        if all(fields):
            return fields
    return line.split()


def is_header(query: str, value: str) -> bool:
    """Tell whether two fields name columns, as "query-id" and "score" do, instead of filling them.

    Args:
        query: the field where ids of queries stand.
        value: the field where scores or gains stand.
    """
    return _bare(query) in _QUERY_COLUMNS and _bare(value) in _VALUE_COLUMNS


def _bare(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _safe(match: re.Match[str]) -> str:
    text = match[0]
    return f"%25{text[1:]}" if text.startswith("%") else _escape(text)


def _meant(match: re.Match[str]) -> str:
    escapes, code = match[1], match[2]
    return f"%{escapes[2:]}{code}" if escapes else _CODES[f"%{code}"]
