"""Write a small collection as a BEIR folder, for tests."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

Records = Sequence[Mapping[str, str]]


def write_collection(
    folder: Path, documents: Records, queries: Records, relevant: Mapping[str, str]
) -> Path:
    """Write documents, queries and judgements.

    Args:
        folder: to make.
        documents: with "_id", "text" and perhaps "title".
        queries: with "_id" and "text".
        relevant: query id -> the one document that answers it.
    """
    (folder / "qrels").mkdir(parents=True)
    for name, records in (("corpus", documents), ("queries", queries)):
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    judged = "".join(f"{query}\t{document}\t1\n" for query, document in relevant.items())
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder
