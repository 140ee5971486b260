"""Lucene indexes as Anserini writes them, by its own program."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from embedder.lucene.anserini import index_collection
from index.documents import Document


def write_lucene(
    folder: Path, objects: Iterable[Mapping[str, Any]], kind: str = "JsonCollection", *flags: str
) -> Path:
    """Index JSON objects by Anserini; return the folder of the index.

    Args:
        folder: that will hold the collection and the index.
        objects: of the collection.
        kind: Anserini's class of the collection.
        flags: see `index_collection`.
    """
    source = folder / "collection"
    source.mkdir(parents=True)
    lines = "".join(f"{json.dumps(each)}\n" for each in objects)
    (source / "documents.jsonl").write_text(lines, encoding="utf-8")
    index_collection(source, folder / "lucene", kind, *flags)
    return folder / "lucene"


def text_objects(documents: Iterable[Document]) -> list[dict[str, str]]:
    """Write documents as Anserini's flat regressions do: title and text in one field."""
    return [{"id": each.id, "contents": f"{each.title} {each.text}"} for each in documents]
