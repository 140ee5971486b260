"""A fit that is made anew: of the texts there are by now, in one step, or refused."""

from pathlib import Path

import numpy as np
import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder
from index.documents import Document
from index.folder import Index, check
from index.manifest import Passages
from index.manifest_file import MANIFEST
from index.writer import IndexWriter
from retrieval.build import build_index, refit_index
from retrieval.options import BuildOptions
from tests.retrieval.test_post_processing import PromptedSigns, built, fit_in, scores
from tests.synthetic import documents


def test_a_refit_is_a_new_index_of_the_documents_there_are(tmp_path: Path) -> None:
    encoders = built(tmp_path / "i", n=100)
    with IndexWriter(tmp_path / "i") as writer:
        writer.delete([f"d{at}" for at in range(30)])
        writer.fuse_by("rrf")
        writer.commit()
    before = fit_in(tmp_path / "i").digest
    assert refit_index(tmp_path / "i", encoders).documents == 70
    anew: dict[str, Encoder] = {"dense": PromptedSigns(), "bm25": BM25Encoder()}
    build_index(documents(70, start=30), anew, tmp_path / "new")
    assert fit_in(tmp_path / "i").digest == fit_in(tmp_path / "new").digest != before
    np.testing.assert_array_equal(scores(tmp_path / "i", encoders), scores(tmp_path / "new", anew))
    with Index.open(tmp_path / "i") as index:
        assert (index.manifest.fusion, index.deleted) == ("rrf", 0)
    assert check(tmp_path / "i") == []


def test_a_refit_is_one_commit_and_nobody_writes_meanwhile(tmp_path: Path) -> None:
    """It committed twice, without and with the fusion that was chosen, and took the lock twice."""
    encoders = built(tmp_path / "i", n=60)
    with IndexWriter(tmp_path / "i") as writer:
        writer.fuse_by("rrf")
        writer.commit()
    seen: list[tuple[int, str]] = []

    def look(_: int) -> None:
        with Index.open(tmp_path / "i") as index:
            seen.append((index.manifest.generation, index.manifest.fusion))
        with pytest.raises(BlockingIOError):
            IndexWriter(tmp_path / "i").__enter__()

    before = fit_in(tmp_path / "i").digest
    refit_index(tmp_path / "i", encoders, look)
    with Index.open(tmp_path / "i") as index:
        assert {(index.manifest.generation - 1, "rrf")} == set(seen)
    assert fit_in(tmp_path / "i").digest == before  # of the same documents


def test_a_refit_counts_texts_not_documents(tmp_path: Path) -> None:
    """Eight documents in 24 passages had a fit that could not be made anew."""
    encoders: dict[str, Encoder] = {"dense": PromptedSigns()}
    words = [document.text.split()[:9] for document in documents(8)]
    long = [Document(f"d{at}", "", " ".join(text)) for at, text in enumerate(words)]
    build_index(long, encoders, tmp_path / "i", BuildOptions(passages=Passages(3)))
    before = fit_in(tmp_path / "i").digest
    refit_index(tmp_path / "i", encoders)
    assert fit_in(tmp_path / "i").digest == before
    blank = [*documents(15), *(Document(f"b{at}", "", "") for at in range(9))]
    build_index(blank, encoders, tmp_path / "b", BuildOptions(on_empty="keep"))
    with pytest.raises(ValueError, match="has 15 texts, and"):
        refit_index(tmp_path / "b", encoders)


def test_a_refit_without_post_is_refused(tmp_path: Path) -> None:
    encoders = built(tmp_path / "i", rules=None)
    with pytest.raises(ValueError, match="there is nothing to fit anew"):
        refit_index(tmp_path / "i", encoders)


@pytest.mark.parametrize("kept", [15, 0])
def test_a_refused_refit_leaves_the_index_as_it_was(tmp_path: Path, kept: int) -> None:
    encoders = built(tmp_path / "i", n=60)
    with IndexWriter(tmp_path / "i") as writer:
        writer.delete([f"d{at}" for at in range(kept, 60)])
        writer.commit()
    before = (tmp_path / "i" / MANIFEST).read_bytes()
    with pytest.raises(ValueError, match=f"has {kept} texts, and .* at least 16"):
        refit_index(tmp_path / "i", encoders)
    assert (tmp_path / "i" / MANIFEST).read_bytes() == before
    assert check(tmp_path / "i") == [] and not (tmp_path / "i" / "cache").exists()
