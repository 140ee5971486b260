"""Make a Lucene index of a folder of JSON, by Anserini's own program."""

import os
from pathlib import Path

from embedder.files.durable import remove_tree
from embedder.lucene.jvm import java_class, java_errors


def index_collection(source: Path, index: Path, kind: str, *flags: str) -> None:
    """Run Anserini's IndexCollection; an index that is there is replaced.

    Args:
        source: folder with the files of the collection and nothing else.
        index: folder of the Lucene index.
        kind: Anserini's class of the collection: "JsonCollection", "JsonVectorCollection".
        flags: options that are switched on, by Anserini's names: "impact", "pretokenized",
            "storeDocvectors".

    Raises:
        OSError: a file cannot be read or written.
        ValueError: a file is no such collection.
    """
    if os.path.lexists(index):  # Lucene would read what is there, and write through a link
        remove_tree(index)
    with java_errors(f"indexing {source} by Anserini"):
        arguments = java_class("io.anserini.index.IndexCollection$Args")()
        arguments.collectionClass, arguments.input = kind, str(source.resolve())
        arguments.index, arguments.threads, arguments.quiet = str(index.resolve()), 1, True
        for flag in flags:
            setattr(arguments, flag, True)
        java_class("io.anserini.index.IndexCollection")(arguments).run()
