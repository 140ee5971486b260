"""Lucene indexes as Anserini writes them, by its own program."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from embedder.lucene.jvm import java_class, java_errors
from index.documents import Document


def write_lucene(
    folder: Path,
    objects: Iterable[Mapping[str, Any]],
    kind: str = "JsonCollection",
    **options: bool,
) -> Path:
    """Run Anserini's IndexCollection over JSON objects; return the folder of the index.

    Args:
        folder: that will hold the collection and the index.
        objects: of the collection.
        kind: Anserini's class of the collection.
        options: of IndexCollection, by the names of its fields.
    """
    source = folder / "collection"
    source.mkdir(parents=True)
    lines = "".join(f"{json.dumps(each)}\n" for each in objects)
    (source / "documents.jsonl").write_text(lines, encoding="utf-8")
    arguments = java_class("io.anserini.index.IndexCollection$Args")()
    arguments.collectionClass, arguments.input = kind, str(source)
    arguments.index, arguments.threads, arguments.quiet = str(folder / "lucene"), 1, True
    for name, value in options.items():
        setattr(arguments, name, value)
    with java_errors("Anserini's IndexCollection"):
        java_class("io.anserini.index.IndexCollection")(arguments).run()
    return folder / "lucene"


def text_objects(documents: Iterable[Document]) -> list[dict[str, str]]:
    """Write documents as Anserini's flat regressions do: title and text in one field."""
    return [{"id": each.id, "contents": f"{each.title} {each.text}"} for each in documents]
