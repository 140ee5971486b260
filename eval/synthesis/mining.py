"""Hard negatives for training pairs: unjudged documents that BM25 and dense search find."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from embedder.types import Encoder
from eval.data.collections import Collection
from index.documents import Document
from index.folder import Index
from retrieval.retriever import Retriever
from retrieval.run import Run, ranked

AT_ONCE = 1024  # queries searched together: bounds the runs in memory
FAR = 1000  # dense documents whose scores are known for each query


@dataclass(frozen=True, slots=True)
class MiningOptions:
    """Which candidates become negatives.

    Attributes:
        negatives: drawn for each pair, fewer where fewer are left.
        depth: best documents of each channel that are candidates.
        skip: of these, the best that are passed over.
        share: a candidate whose cosine to the query is above this share of the positive's is
            probably an answer that nobody judged (TopK-PercPos: Moreira et al., NV-Retriever,
            2024).
        seed: of the draw.
    """

    negatives: int = 7
    depth: int = 50
    skip: int = 0
    share: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.negatives < 1 or not 0 <= self.skip < self.depth <= FAR or not 0 < self.share <= 1:
            raise ValueError(
                f"mining needs negatives >= 1, 0 <= skip < depth <= {FAR} and a share in (0, 1]; "
                f"got negatives {self.negatives}, skip {self.skip}, depth {self.depth} and "
                f"share {self.share:g}"
            )


@dataclass(slots=True)
class Mining:
    """Pairs with negatives, and counts of all candidates by their fate.

    Attributes:
        collection: with judgements.
        index: of its documents.
        encoders: channel -> encoder; dense must be among them, as candidates are filtered by it.
        options: see `MiningOptions`.
        counts: pairs, negatives, dropped candidates by reason, pairs left with too few.
    """

    collection: Collection
    index: Index
    encoders: Mapping[str, Encoder]
    options: MiningOptions
    counts: Counter[str] = field(default_factory=Counter)

    def pairs(self) -> Iterator[dict[str, Any]]:
        """Yield each judged pair as {"query", "positive", "negatives"}; same input, same bytes."""
        retriever = Retriever(self.index, self.encoders)
        queries, qrels = self.collection.queries(), self.collection.qrels()
        judged = [query for query in qrels if query in queries]
        rng = np.random.default_rng(self.options.seed)
        for start in range(0, len(judged), AT_ONCE):
            batch = judged[start : start + AT_ONCE]
            texts = {query: queries[query] for query in batch if queries[query].strip()}
            if len(texts) < len(batch):
                self.counts["dropped: empty query"] += len(batch) - len(texts)
            runs = retriever.channel_runs(texts, FAR)
            for query, text in texts.items():
                relevant = {doc for doc, grade in qrels[query].items() if grade > 0}
                for positive in sorted(relevant):
                    if self._answers(positive):
                        of_query = {name: run.get(query, {}) for name, run in runs.items()}
                        yield self._pair(text, positive, relevant, of_query, rng)

    def _answers(self, document_id: str) -> bool:
        """Tell whether a document that is judged relevant is there and has text; count if not."""
        try:
            text = self.index.document(document_id).content
        except ValueError:
            self.counts["dropped: answer not in the collection"] += 1
            return False
        if not text:
            self.counts["dropped: answer without text"] += 1
        return bool(text)

    def _pair(
        self,
        query: str,
        positive: str,
        relevant: set[str],
        runs: Run,
        rng: np.random.Generator,
    ) -> dict[str, Any]:
        answer = self.index.document(positive)
        candidates = self._candidates(answer, relevant, runs)
        count = min(self.options.negatives, len(candidates))
        drawn = [
            candidates[place].content for place in sorted(rng.permutation(len(candidates))[:count])
        ]
        self.counts["pairs"] += 1
        self.counts["negatives"] += count
        self.counts["pairs with too few"] += count < self.options.negatives
        return {"query": query, "positive": answer.content, "negatives": drawn}

    def _candidates(self, answer: Document, relevant: set[str], runs: Run) -> list[Document]:
        """Return the candidates that may stand against an answer, the best first."""
        cosines = runs["dense"]
        least = min(cosines.values(), default=0.0)  # documents beyond FAR are at most this near
        bound = self.options.share * cosines.get(answer.id, least)
        best = [
            [doc for doc, _ in ranked(run)][self.options.skip : self.options.depth]
            for run in runs.values()
        ]
        texts, negatives = {answer.content}, []
        for doc in dict.fromkeys(doc for documents in best for doc in documents):
            document = self.index.document(doc)
            if doc in relevant:
                self.counts["dropped: judged relevant"] += 1
            elif cosines.get(doc, least) > bound:
                self.counts["dropped: too near the query"] += 1
            elif not document.content:
                self.counts["dropped: no text"] += 1
            elif document.content in texts:
                self.counts["dropped: same text"] += 1
            else:
                texts.add(document.content)
                negatives.append(document)
        return negatives
