"""Judgements in files: TREC's four fields, or BEIR's table of three; one reader for both."""

import math
from collections.abc import Iterable
from pathlib import Path

from embedder.files.durable import replace_file
from embedder.files.lines import read_lines, read_number, shorten
from retrieval.trec_ids import EscapedIds, is_header, split_fields, unescape_id

Qrels = dict[str, dict[str, int]]
"""Query id -> document id -> gain; 0 or less is judged and not relevant, absent is not judged."""

LARGEST_GAIN = 100_000
"""Of a judgement, up or down: trec_eval makes a table as long as the largest gain of a query."""

_TABLE, _TREC = 3, 4  # fields of a line


def read_qrels(path: Path) -> Qrels:
    """Read judgements: `query 0 document gain` lines, or a table of query, document and gain.

    A table is separated by tabs, as BEIR's; a TREC file by white space or by tabs, and ids
    that `write_qrels` escaped are unescaped. The first line says which of the two the file is. A
    line that names the columns is passed over, wherever it stands.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: a line has another number of fields, a gain is no whole number (1.0 is one) or
            larger than `LARGEST_GAIN`, a document was judged twice with different gains, or there
            are no judgements; the message names file and line.
    """
    return parse_qrels(read_lines(path), str(path))


def parse_qrels(lines: Iterable[tuple[str, str]], name: str) -> Qrels:
    """Read judgements from (place, line) of a file of that name; see `read_qrels`."""
    qrels: Qrels = {}
    count = 0
    for place, line in lines:
        count = count or (_TABLE if len(line.split("\t")) == _TABLE else _TREC)
        fields = split_fields(line, count)
        if count == _TABLE:
            fields = [field.strip() for field in line.split("\t")]
        if len(fields) != count or not all(fields):
            raise ValueError(f"{place}: expected {_layout(count)}; got {shorten(line)}")
        query_id, doc_id, gain = fields[0], fields[-2], fields[-1]
        if is_header(query_id, gain):
            continue
        if count == _TREC:
            query_id, doc_id = unescape_id(query_id), unescape_id(doc_id)
        gains = qrels.setdefault(query_id, {})
        number = _gain(gain, place)
        if gains.setdefault(doc_id, number) != number:
            raise ValueError(
                f"{place}: document {shorten(doc_id)} of query {shorten(query_id)} was judged "
                f"{gains[doc_id]}, here {number}"
            )
    if not qrels:
        raise ValueError(f"{name} holds no judgements; expected {_layout(_TABLE)}")
    return qrels


def write_qrels(qrels: Qrels, path: Path) -> int:
    """Write `query 0 document gain` lines, whole or not at all.

    Returns:
        The number of ids that were escaped, as `retrieval.trec_ids` says.

    Raises:
        ValueError: an id is empty or no legal Unicode.
    """
    ids = EscapedIds()
    lines = [
        f"{ids[query_id]} 0 {ids[doc_id]} {gain}\n"
        for query_id, gains in qrels.items()
        for doc_id, gain in gains.items()
    ]
    replace_file(path, "".join(lines).encode())
    return ids.escaped


def _layout(count: int) -> str:
    if count == _TREC:
        return "query 0 document gain"
    return "query id, document id and whole-number gain, separated by tabs"


def _gain(text: str, place: str) -> int:
    """Read a gain; 1.0 is one, as tools that know only floats write it."""
    try:
        number = read_number(text)
    except ValueError:
        number = math.nan
    if abs(number) <= LARGEST_GAIN and number == int(number):
        return int(number)
    raise ValueError(
        f"{place}: expected a whole-number gain of at most {LARGEST_GAIN:,}, since trec_eval "
        f"makes a table as long as the largest; got {shorten(text)}"
    )
