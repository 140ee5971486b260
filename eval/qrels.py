"""Judgements in files: TREC's four fields, or BEIR's three."""

from pathlib import Path

from embedder.durable import replace_file
from eval.measures import Qrels

_BEIR_HEADER = "query-id\t"


def read_qrels(path: Path) -> Qrels:
    """Read judgements: `query 0 document gain` lines, or BEIR's tab-separated table.

    Raises:
        ValueError: a line has another number of fields, a gain is no whole number, a document
            was judged twice with different gains, or there are no judgements.
    """
    qrels: Qrels = {}
    beir = False
    with path.open(encoding="utf-8-sig") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if number == 1 and line.startswith(_BEIR_HEADER):
                    beir = True
                elif line.strip():
                    _judge(line, beir, f"{path}:{number}", qrels)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: judgements are UTF-8 text; {error}") from error
    if not qrels:
        raise ValueError(f"{path} holds no judgements")
    return qrels


def write_qrels(qrels: Qrels, path: Path) -> None:
    """Write `query 0 document gain` lines, whole or not at all.

    Raises:
        ValueError: an id holds white space or is empty: the format separates by it.
    """
    lines = []
    for query_id, judged in qrels.items():
        for doc_id, gain in judged.items():
            for name, held in (("query", query_id), ("document", doc_id)):
                if held.split() != [held]:
                    raise ValueError(
                        f"a TREC file separates fields by white space, so a {name} id must hold "
                        f"none and not be empty; got {held!r}"
                    )
            lines.append(f"{query_id} 0 {doc_id} {gain}\n")
    replace_file(path, "".join(lines).encode())


def _judge(line: str, beir: bool, place: str, qrels: Qrels) -> None:
    fields = line.rstrip("\r\n").split("\t") if beir else line.split()
    try:
        query_id, doc_id, gain = fields if beir else (fields[0], *fields[2:])
        number = int(gain)
    except (ValueError, IndexError) as error:
        wanted = "query-id, corpus-id, score" if beir else "query 0 document gain"
        raise ValueError(
            f"{place}: expected {wanted} with a whole number as gain; got {line.rstrip()!r}"
        ) from error
    judged = qrels.setdefault(query_id, {})
    if judged.setdefault(doc_id, number) != number:
        raise ValueError(
            f"{place}: document {doc_id!r} of query {query_id!r} was judged {judged[doc_id]}, "
            f"here {number}"
        )
