"""What an index keeps of Lucene's text analysis."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LuceneSpec:
    """BM25 text analysis by Anserini's analyzer of a language, as in LuceneEncoder."""

    language: str = "english"
    kind: str = "lucene"
