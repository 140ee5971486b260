"""Small collections in four languages, read by Lucene's analyzers and by the native analysis.

python -m benchmarks.languages [--dry]

languages.json has a dozen documents a language, each with the one query that it answers, in other
forms of its words. Too few for more than a look: which analysis finds which.
"""

import argparse
import json
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.record import append
from embedder.encoders.load import load_encoder
from index.channels.weighting import Weighting
from index.documents import Document
from index.folder import Index
from index.manifest import Engine
from retrieval.build import build_index
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.retriever import Retriever

COLLECTIONS = Path(__file__).parent / "languages.json"
_SNOWBALL = {"chinese": "none", "thai": "none"}  # languages that Snowball does not stem


def main() -> None:
    """Search every collection by both, print a table, and append the figures to the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="do not append to results.jsonl")
    options = parser.parse_args()
    table = Table("language", "queries", "native MRR", "Lucene MRR")
    figures: dict[str, dict[str, float | None]] = {}
    for language, pairs in json.loads(COLLECTIONS.read_text(encoding="utf-8")).items():
        native = reciprocal_rank(pairs, f"bm25:{_SNOWBALL.get(language, language)}", "native")
        try:
            lucene = reciprocal_rank(pairs, f"lucene:{language}", "lucene")
        except ValueError as error:  # Thai, where Java has no dictionary of it
            Console().print(f"{language}: {error}")
            lucene = None
        shown = "-" if lucene is None else f"{lucene:.3f}"
        table.add_row(language, str(len(pairs)), f"{native:.3f}", shown)
        figures[language] = {"native": native, "lucene": lucene}
    Console().print(table)
    if not options.dry:
        append({"name": "languages", "measure": "RR", "queries_each": 12, "figures": figures})


def reciprocal_rank(pairs: list[tuple[str, str]], encoder: str, engine: Engine) -> float:
    """Return the mean reciprocal rank of the documents that queries are of."""
    documents = [Document(str(at), "", text) for at, (text, _) in enumerate(pairs)]
    queries = {str(at): query for at, (_, query) in enumerate(pairs)}
    channel = ChannelOptions("inverted", weighting=Weighting("bm25"), engine=engine)
    encoders = {"bm25": load_encoder(encoder)}
    with tempfile.TemporaryDirectory() as name:
        build_index(documents, encoders, Path(name) / "i", BuildOptions({"bm25": channel}))
        with Index.open(Path(name) / "i") as index:
            run = Retriever(index, encoders).search(queries, len(pairs))
    ranks = [[*run[name], name].index(name) if name in run[name] else None for name in queries]
    return sum(1 / (rank + 1) for rank in ranks if rank is not None) / len(ranks)


if __name__ == "__main__":
    main()
