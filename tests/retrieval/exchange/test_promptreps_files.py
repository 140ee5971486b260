"""JsonVectorCollection: the files of PromptReps' pipeline, and what Anserini finds in them."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from embedder.encoders.llm import LLMEncoder
from embedder.types import Role
from index.channels.weighting import Weighting
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index
from retrieval.exchange.formats import export_index, import_index
from retrieval.exchange.json_vectors import CORPUS
from retrieval.exchange.options import ExportOptions, ImportOptions
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.retriever import Retriever
from retrieval.run import Run, read_trec
from tests.exchanged import ENCODERS, contents, make_index
from tests.folders import GOLDENS
from tests.golden import agree, cases, encoder, exact_weights, read, texts

LUCENE = {
    "sparse": ChannelOptions("inverted", weighting=Weighting("impacts", drop_ubiquitous=True))
}
FIRST_TOKEN = [case for case in cases("promptreps_search") if "first-token" in str(case.id)]


def anserini_run(folder: Path, index: Path, topics: Path, k: int) -> Run:
    """Index a folder by Anserini and search as pyserini's LuceneImpactSearcher does.

    That counts the terms of a query, and leaves out those whose idf is 0: all documents have them.
    """
    from embedder.lucene.jvm import java_class

    options = "-generator DefaultLuceneDocumentGenerator -impact -pretokenized -threads 1"
    words = ["-collection", "JsonVectorCollection", "-input", folder, "-index", index]
    java_class("io.anserini.index.IndexCollection").main([*map(str, words), *options.split()])
    searcher = java_class("io.anserini.search.SimpleImpactSearcher")(str(index))
    lines = (folder / "corpus_0.jsonl").read_text(encoding="utf-8").splitlines()
    frequency = Counter(term for line in lines for term in json.loads(line)["vector"])
    total = searcher.get_total_num_docs()
    run: Run = {}
    for line in topics.read_text(encoding="utf-8").splitlines():
        query_id, _, terms = line.partition("\t")
        weights = java_class("java.util.HashMap")()
        for term, count in Counter(terms.split()).items():
            if frequency[term] and math.log(total / frequency[term]) > 0:
                weights.put(term, java_class("java.lang.Integer")(count))
        hits = searcher.search(weights, k)
        run[query_id] = {hit.docid: float(hit.score) for hit in hits}
    return run


@pytest.mark.parametrize("case", FIRST_TOKEN)
def test_files_and_runs_of_promptreps(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their own program made the expected weights and runs; Anserini gives the runs again."""
    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [str(GOLDENS[-1] / "nltk_data"), *nltk.data.path])
    settings = read(case)
    using, index = encoder(settings), tmp_path / "index"
    documents = [Document(name, "", text) for name, text in texts(settings, "docs").items()]
    build_index(
        documents,
        {"sparse": using},
        index,
        BuildOptions(channels=LUCENE, on_empty="keep", passages=None),
    )
    queries = texts(settings, "queries")
    options = ExportOptions(queries=queries, encoders={"sparse": using})
    export_index(index, "jsonvector", tmp_path / "out", options)
    weights = case.parents[1] / "promptreps" / case.name.removesuffix("-first-token-single")
    if (weights / "expected.json").is_file():
        check_weights(tmp_path / "out", read(weights, "expected.json"), using)
    with Index.open(index) as opened:
        ours = Retriever(opened, {"sparse": using}).search(queries, 20)
    wanted = read_trec(case / "sparse_d20.trec")
    assert {name: run for name, run in ours.items() if run} == wanted
    pytest.importorskip("jnius_config")
    topics = tmp_path / "out" / "query" / "query.tsv"
    found = anserini_run(tmp_path / "out" / "corpus", tmp_path / "lucene", topics, 20)
    assert {name: run for name, run in found.items() if run} == wanted


def check_weights(folder: Path, wanted: dict[str, Any], using: LLMEncoder) -> None:
    """Compare both files with the weights that PromptReps' program gave."""
    corpus = (folder / CORPUS).read_text(encoding="utf-8").splitlines()
    documents = {line["id"]: line for line in map(json.loads, corpus)}
    assert documents.keys() == wanted["docs"].keys()
    topics = (folder / "query" / "query.tsv").read_text(encoding="utf-8").splitlines()
    queries = {name: Counter(terms.split(" ")) for name, terms in (t.split("\t") for t in topics)}
    for side, role in (("docs", Role.DOCUMENT), ("queries", Role.QUERY)):
        given = [row["text"] for row in wanted[side].values()]
        exact = exact_weights(using, given, role)
        for (name, row), unrounded in zip(wanted[side].items(), exact, strict=True):
            got = documents[name]["vector"] if side == "docs" else queries.get(name, {})
            agree(dict(got), row["sparse_exp0"], unrounded)
    assert [*corpus[0].split('"', 6)[::2][:3]] == ["{", ": ", ", "]
    assert all(list(line) == ["id", "content", "vector"] for line in documents.values())
    for line in documents.values():
        assert sorted(line["vector"].values(), reverse=True) == list(line["vector"].values())


def test_weights_are_rounded_and_told(tmp_path: Path) -> None:
    """Weights of .01 to .12 become 1 to 12; with a scale of 10, all below .05 are gone."""
    index = make_index(tmp_path / "index")
    options = ExportOptions(("sparse",), encoders=ENCODERS)
    report = export_index(index, "jsonvector", tmp_path / "whole", options)
    assert report.counts == {}
    lines = [
        json.loads(line)
        for line in (tmp_path / "whole" / CORPUS).read_text(encoding="utf-8").splitlines()
    ]
    held = contents(index, ["sparse"])
    assert [line["id"] for line in lines] == list(held)
    for line in lines:
        ((entries,),) = held[line["id"]]
        assert sorted(line["vector"].values()) == sorted(round(100 * w) for _, w in entries)
    options = ExportOptions(("sparse",), scale=10, encoders=ENCODERS)
    report = export_index(index, "jsonvector", tmp_path / "coarse", options)
    small = sum(round(10 * w) == 0 for ((row,),) in held.values() for _, w in row)
    assert report.counts == {"rounded_away": small} and small > 0


def test_counts_of_words_go_to_anserini_and_back(tmp_path: Path) -> None:
    """Terms of bm25 are stems; read back as such, the channel is the same to the last row."""
    index = make_index(tmp_path / "index")
    options = ExportOptions(("bm25",))
    export_index(index, "jsonvector", tmp_path / "out", options)
    known = ImportOptions(encoders={"bm25": ENCODERS["bm25"]})
    report = import_index("jsonvector", tmp_path / "out", tmp_path / "back", known)
    assert (report.rows, report.searched_by_text) == ({"bm25": report.documents}, ("bm25",))
    assert contents(tmp_path / "back", ["bm25"]) == contents(index, ["bm25"])


def test_terms_of_an_unknown_model_are_searched_by_terms(tmp_path: Path) -> None:
    """The query file of the pipeline itself is then a query: a term weighs as often as it comes."""
    (tmp_path / "a.jsonl").write_text(
        '{"id": "one", "contents": "", "vector": {"\\u0120tea": 300, "key": 20}}\n'
        '{"id": 2, "contents": "the text", "vector": {"\\u0120tea": 10, "zero": 0}}\n',
        encoding="utf-8",
    )
    import_index("jsonvector", tmp_path / "a.jsonl", tmp_path / "index")
    from retrieval.open import open_retriever

    with open_retriever(tmp_path / "index") as retriever:
        assert retriever.search({"q": "\u0120tea \u0120tea key"}, 5) == {
            "q": {"one": 620.0, "2": 20.0}
        }
        assert retriever.index.document("2").text == "the text"
