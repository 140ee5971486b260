"""Long documents with judgements, made of short ones: abstracts joined, unrelated or related."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedder.encoders.bm25 import BM25Encoder
from eval.data.collections import open_collection
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever

JOINED = 8  # abstracts of a document
_SHOWN = 200  # words of an abstract by which its neighbours are sought
_NEIGHBOURS = 60


@dataclass(frozen=True)
class LongCollection:
    """Documents of several parts, and which of them hold a relevant part."""

    name: str
    documents: Sequence[Document]
    queries: Mapping[str, str]
    qrels: dict[str, dict[str, int]]


def join_collection(folder: Path, related: bool, most: int) -> LongCollection:
    """Join the abstracts of a collection, each under its title as a heading.

    Args:
        folder: of the collection.
        related: join each abstract with its nearest by words that are not joined yet, as the
            sections of a paper are about one thing; else at random.
        most: abstracts that are taken, those first that most queries are judged on; 0 is all.
    """
    collection = open_collection(folder)
    qrels, asked = collection.qrels(), collection.queries()
    abstracts = [each for each in collection.documents() if each.content]
    judged = [sum(each.id in gains for gains in qrels.values()) for each in abstracts]
    order = np.argsort(-np.array(judged), kind="stable")[: most or None]
    taken = [abstracts[at] for at in sorted(order.tolist())]
    groups = _related(taken) if related else _random(taken)
    documents: list[Document] = []
    part_of: dict[str, str] = {}
    for number, group in enumerate(groups):
        name = f"joined-{number}"
        parts = [f"# {one.title}\n\n{one.text}" if one.title else one.text for one in group]
        documents.append(Document(name, "", "\n\n".join(parts)))
        part_of |= {one.id: name for one in group}
    joined: dict[str, dict[str, int]] = {}
    for query, gains in qrels.items():
        for one, gain in gains.items():
            if gain > 0 and one in part_of and query in asked:
                best = joined.setdefault(query, {})
                best[part_of[one]] = max(gain, best.get(part_of[one], 0))
    kind = "related" if related else "random"
    queries = {query: asked[query] for query in joined}
    return LongCollection(f"{folder.name}, {kind}", documents, queries, joined)


def _random(abstracts: Sequence[Document]) -> list[list[Document]]:
    order = np.random.default_rng(0).permutation(len(abstracts)).tolist()
    return [
        [abstracts[at] for at in order[first : first + JOINED]]
        for first in range(0, len(order), JOINED)
    ]


def _related(abstracts: Sequence[Document]) -> list[list[Document]]:
    words = {"bm25": BM25Encoder()}
    asked = {one.id: " ".join(one.content.split()[:_SHOWN]) for one in abstracts}
    with tempfile.TemporaryDirectory() as place:
        build_index(abstracts, words, Path(place) / "i", BuildOptions(passages=None))
        with Index.open(Path(place) / "i") as index:
            near = Retriever(index, words).search(asked, _NEIGHBOURS)
    left = {one.id: one for one in abstracts}
    groups = []
    while left:
        first = next(iter(left))
        nearest = [one for one in near[first] if one in left and one != first]
        chosen = list(dict.fromkeys([first, *nearest, *left]))[:JOINED]
        groups.append([left.pop(one) for one in chosen])
    return groups
