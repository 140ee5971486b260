"""RM3 and Rocchio on a Lucene index: Anserini's own searcher is the oracle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedder.lucene.jvm import INSTALL, java_class
from retrieval.outside.lucene import AnseriniOptions, open_lucene
from tests.lucene_indexes import text_objects, write_lucene
from tests.one_line import check_one_line
from tests.synthetic import documents, queries

pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")

ROUNDED = 6e-5  # Anserini writes scores with 4 digits, and sets equal ones apart by 1e-6


@pytest.fixture(scope="module")
def lucene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words of the synthetic documents are common; with numbers, some of each are rare."""
    folder = tmp_path_factory.mktemp("vectors")
    objects = [
        {**each, "contents": f"{each['contents']} rare{at // 4} scarce{at // 6}"}
        for at, each in enumerate(text_objects(documents(200)))
    ]
    return write_lucene(folder, objects, "JsonCollection", "storeDocvectors")


@pytest.mark.parametrize(
    ("written", "set_feedback"),
    [
        ("rm3", lambda searcher: searcher.set_rm3(None, 10, 10, 0.5, False, True)),
        (
            "rm3:documents=5,terms=3,weight=0.2",
            lambda searcher: searcher.set_rm3(None, 3, 5, 0.2, False, True),
        ),
        (
            "rocchio:documents=4,terms=6,alpha=0.5,beta=1",
            lambda searcher: searcher.set_rocchio(None, 6, 4, 0, 0, 0.5, 1.0, 0.0, False, False),
        ),
    ],
)
def test_feedback_is_that_of_anserini(
    lucene: Path, written: str, set_feedback: Callable[[Any], None]
) -> None:
    channel = open_lucene(str(lucene), AnseriniOptions(feedback=written))
    run = channel.search(queries(8), None, 40)
    assert run != open_lucene(str(lucene)).search(queries(8), None, 40)
    searcher = java_class("io.anserini.search.SimpleSearcher")(str(lucene))
    set_feedback(searcher)
    for name, text in queries(8).items():
        expected = {hit.docid: hit.score for hit in searcher.search(text, 40)}
        assert {each: run[name].get(each) for each in expected} == pytest.approx(
            expected, abs=ROUNDED
        )
        best = next(iter(run[name]))
        match = channel.match(text, None, best)
        assert match.score == pytest.approx(run[name][best], rel=1e-5)
        assert len(match.words) > 1
    assert channel.facts["feedback"] == written


def test_an_index_without_documents_terms_learns_nothing(tmp_path: Path, lucene: Path) -> None:
    plain = str(write_lucene(tmp_path, text_objects(documents(5))))
    for path, written, message in (
        (plain, "rm3", "does not store the terms of each document"),
        (str(lucene), "rm3:from=fused", "from=fused and common have no place"),
        (str(lucene), "bm3", "no feedback is called 'bm3'"),
    ):
        options = AnseriniOptions(feedback=written)
        check_one_line(lambda: open_lucene(path, options), ValueError, message)  # noqa: B023
