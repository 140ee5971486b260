"""A text that a model cannot read is named by its id, in indexing and in searching."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Representation, Role
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index
from retrieval.named_texts import encode_named
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever

TEXTS = ["tea", "lava", "glass"]
NAMES = ["document 'a'", "document 'b'", "document 'c'"]


class Choking(BM25Encoder):
    """Gives NaN for some texts, and says of a batch what a model says: a number in its window."""

    bad: tuple[str, ...] = ("lava",)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        if set(self.bad) & set(texts):
            raise ValueError("the model gave NaN or infinity for text 0 of its window")
        return super().encode(texts, role)


def test_the_text_that_fails_is_named() -> None:
    with pytest.raises(ValueError, match=r"^document 'b': the model gave NaN"):
        encode_named(Choking(), TEXTS, Role.DOCUMENT, NAMES)
    assert len(encode_named(BM25Encoder(), TEXTS, Role.DOCUMENT, NAMES)) == 3


def test_what_fails_on_every_text_is_no_matter_of_one() -> None:
    everything = Choking()
    everything.bad = tuple(TEXTS)
    with pytest.raises(ValueError, match=r"^the model gave NaN"):
        encode_named(everything, TEXTS, Role.DOCUMENT, NAMES)


def test_documents_and_queries_are_named(tmp_path: Path) -> None:
    """NaN was said of "text 17 of its window", which no person can find in a collection."""
    documents = [Document(text, "", text) for text in TEXTS]
    build = BuildOptions(cache=True)
    with pytest.raises(ValueError, match=r"^document 'lava': the model gave NaN"):
        build_index(documents, {"bm25": Choking()}, tmp_path / "bad.index", build)
    build_index(documents, {"bm25": BM25Encoder()}, tmp_path / "x.index")
    with Index.open(tmp_path / "x.index") as index:
        retriever = Retriever(index, {"bm25": Choking()})
        with pytest.raises(ValueError, match=r"^query 'q2': the model gave NaN"):
            retriever.search({"q1": "tea", "q2": "lava", "q3": "glass"}, 1)
