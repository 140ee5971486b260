"""Indexes of weighted fields and of several languages: scores by the formula, and what is kept."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import lastword as lw
from index.channels.weighting import Weighting
from index.documents import Document, Passages
from index.folder import Index
from index.writer import IndexWriter
from retrieval.build import add_documents, build_index
from retrieval.exchange.term_names import TermNames
from retrieval.open import open_retriever
from retrieval.options import BuildOptions, ChannelOptions

K1, B = 1.2, 0.7
WEIGHTS = {"title": 3.0, "text": 1.0, "keywords": 0.5}
DOCUMENTS = [
    Document("0", "green tea", "tea is a drink of leaves", {"keywords": ["drink", "leaves"]}),
    Document("1", "coffee", "tea and coffee are drinks and tea is older", {"keywords": "tea"}),
    Document("2", "", "leaves fall", {"year": 1999}),
    Document("3", "stone", "a stone of the garden", {"keywords": ["garden", "green"]}),
]
MIXED = [
    Document("de", "", "Der Hund jagte die Katzen durch die Gärten der Nachbarn."),
    Document("en", "", "The dogs chased a cat through the gardens of the neighbours."),
    Document("fr", "", "Les chiens poursuivent le chat dans le jardin des voisins."),
    Document("odd", "", "Hunde, dogs, chiens", {"lang": "fr"}),
]


def bm25f(query: str) -> dict[str, float]:
    """Scores by the paper: counts and lengths weighted by field and added, one k1 and one b."""
    weighted: dict[str, Counter[str]] = {}
    for each in DOCUMENTS:
        words = each.metadata.get("keywords", [])
        listed = words if isinstance(words, str) else " ".join(words)
        counts = weighted.setdefault(each.id, Counter())
        for name, text in (("title", each.title), ("text", each.text), ("keywords", listed)):
            for word in text.split():
                counts[word] += WEIGHTS[name]  # type: ignore[assignment]
    mean = sum(sum(counts.values()) for counts in weighted.values()) / len(weighted)
    scores = {}
    for name, counts in weighted.items():
        norm = K1 * (1 - B + B * sum(counts.values()) / mean)
        score = 0.0
        for word in query.split():
            holders = sum(word in other for other in weighted.values())
            idf = math.log(1 + (len(weighted) - holders + 0.5) / (holders + 0.5))
            score += idf * counts[word] / (counts[word] + norm)
        if score:
            scores[name] = score
    return scores


def test_scores_are_those_of_bm25f(tmp_path: Path) -> None:
    encoder = lw.BM25Encoder("none", fields="title^3,text,keywords^0.5")
    channel = ChannelOptions("inverted", weighting=Weighting("bm25", K1, B))
    options = BuildOptions({"bm25": channel}, segment_documents=2)
    build_index(DOCUMENTS[:3], {"bm25": encoder}, tmp_path / "i", options)
    with open_retriever(tmp_path / "i") as retriever:
        again = retriever.encoders["bm25"]
        assert again.fingerprint == encoder.fingerprint
    add_documents(DOCUMENTS[3:], {"bm25": again}, tmp_path / "i")
    with IndexWriter(tmp_path / "i") as writer:
        writer.merge()
        writer.commit()
    with open_retriever(tmp_path / "i") as retriever:
        for query in ("tea", "green leaves", "garden drink tea", "1999"):
            found = retriever.search({"q": query}, k=9)["q"]
            assert found == pytest.approx(bm25f(query), rel=1e-6)
        explained = retriever.explain("green tea leaves", "0")
        (part,) = explained.channels
        shares = dict(part.fields)
        assert math.fsum(shares.values()) == pytest.approx(part.score, rel=1e-6)
        words = dict(part.words)
        assert shares == pytest.approx(
            {
                "title": words["green"] + words["tea"] * 3 / 4,
                "text": words["tea"] / 4 + words["leaves"] / 1.5,
                "keywords": words["leaves"] * 0.5 / 1.5,
            },
            rel=1e-6,
        )
        assert f"bm25: title {shares['title']:.2f}, " in str(explained)


def test_every_passage_has_the_title_and_the_other_fields(tmp_path: Path) -> None:
    document = Document("0", "tea", "one two three four", {"keywords": "leaf"})
    encoder = lw.BM25Encoder("none", fields="title^2,text,keywords")
    build_index([document], {"bm25": encoder}, tmp_path / "i", BuildOptions(passages=Passages(2)))
    with Index.open(tmp_path / "i") as index:
        names = TermNames(encoder)
        names.learn_documents([document])
        rows = index.channel_rows("bm25").read(np.arange(2)).sparse
        assert rows is not None
        found = [
            dict(zip(names.of(row.indices.tolist()), row.data.tolist(), strict=True))
            for row in rows
        ]
    assert found == [
        {"tea": 2, "leaf": 1, "one": 1, "two": 1},
        {"tea": 2, "leaf": 1, "three": 1, "four": 1},
    ]


def test_a_collection_in_three_languages_is_found_in_each(tmp_path: Path) -> None:
    encoder = lw.BM25Encoder("en,de,fr", language_field="lang")
    with lw.build(tmp_path / "i", MIXED, {"bm25": encoder}) as index:
        assert index.report is not None
        assert index.report.counts["bm25"] == {
            **{"texts": 4, "other_language": 3},
            **{"in_german": 1, "in_english": 1, "in_french": 2},
        }
        found = {
            query: [hit.id for hit in index.search(query, k=1)]
            for query in ("Hunde im Garten", "neighbour's cats", "chien jardins", "die")
        }
    assert found == {
        "Hunde im Garten": ["de"],
        "neighbour's cats": ["en"],
        "chien jardins": ["fr"],
        "die": [],  # a stop word where it stands, and no other document has the English word
    }
