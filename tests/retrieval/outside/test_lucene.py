"""A Lucene index beside an index: Anserini's own searchers are the oracle."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.load import load_encoder
from embedder.inspect.word_columns import piece_words
from embedder.lucene.jvm import INSTALL, java_class
from embedder.types import Encoder, Role
from index.folder import Index
from retrieval.build import build_index
from retrieval.fusion import fusion_by_name
from retrieval.outside.lucene import AnseriniOptions, open_lucene
from retrieval.retriever import Retriever
from retrieval.run import Run, cut
from tests.lucene_indexes import text_objects, write_lucene
from tests.one_line import check_one_line
from tests.synthetic import documents, queries

pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")

ROUNDED = 6e-5  # Anserini writes scores with 4 digits, and sets equal ones apart by 1e-6
SMALL = "models/bundled"


@pytest.fixture(scope="module")
def lucene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    return write_lucene(folder, text_objects(documents(120)), "JsonCollection", "storeDocvectors")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of documents 40 to 159, of which Lucene has the first 80."""
    path = tmp_path_factory.mktemp("ours") / "i"
    build_index(documents(120, start=40), {"bm25": BM25Encoder()}, path)
    return path


def anserini(path: Path, k: int, k1: float = 0.9, b: float = 0.4) -> Run:
    searcher = java_class("io.anserini.search.SimpleSearcher")(str(path))
    searcher.set_bm25(k1, b)
    return {
        query_id: {hit.docid: hit.score for hit in searcher.search(text, k)}
        for query_id, text in queries().items()
    }


def check_equal(run: Run, expected: Run) -> None:
    for query_id, scores in expected.items():
        assert list(run[query_id]) == list(scores), query_id
        assert run[query_id] == pytest.approx(scores, abs=ROUNDED)


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.6, 0.75)])
def test_a_text_index_is_searched_as_anserini_searches_it(
    lucene: Path, k1: float, b: float
) -> None:
    channel = open_lucene(str(lucene), AnseriniOptions(k1=k1, b=b))
    check_equal(channel.search(queries(), None, 30), anserini(lucene, 30, k1, b))
    assert channel.facts["similarity"] == f"bm25 k1={k1:g} b={b:g}"
    channel.close()


def test_documents_of_one_id_take_one_place(lucene: Path, tmp_path: Path) -> None:
    """Anserini takes an id as often as it comes; k documents were asked for, and fewer came."""
    twice = write_lucene(tmp_path, text_objects(documents(30)) * 3)
    channel = open_lucene(str(twice))
    run, whole = channel.search(queries(), None, 7), channel.search(queries(), None, 1000)
    for query_id, found in whole.items():
        assert list(run[query_id].items()) == list(found.items())[:7]
    assert any(len(found) > 7 for found in whole.values())
    joined = channel.within(["d3", "d4", "d5", "x"])  # nine documents, which were counted as ids
    counts = [joined.facts[name] for name in ("shared", "unknown_here", "missing_there")]
    assert counts == [3, 81, 1]
    joined.close()
    channel.close()


def test_documents_that_an_index_lacks_take_no_place(lucene: Path, ours: Path) -> None:
    whole, k = anserini(lucene, 1000), 25
    with Index.open(ours) as index:
        ids = set(index.ids())
        channel = open_lucene(str(lucene)).within(index.ids())
    run = channel.search(queries(), None, k)
    check_equal(
        run,
        {
            name: dict([*((d, s) for d, s in found.items() if d in ids)][:k])
            for name, found in whole.items()
        },
    )
    assert max(map(len, run.values())) == k
    joined = {name: channel.facts[name] for name in ("shared", "unknown_here", "missing_there")}
    assert joined == {"shared": 80, "unknown_here": 40, "missing_there": 40}


def test_an_index_of_other_documents_is_refused(lucene: Path) -> None:
    channel = open_lucene(str(lucene))
    check_one_line(lambda: channel.within(["x1", "x2"]), ValueError, "holds none of the documents")


def test_a_retriever_fuses_it_by_name_and_explains_it(lucene: Path, ours: Path) -> None:
    fusion = "zscore:bm25=0.3,wiki=0.7"
    with Index.open(ours) as index:
        outside = {"wiki": open_lucene(str(lucene))}
        encoders: dict[str, Encoder] = {"bm25": BM25Encoder()}
        retriever = Retriever(index, encoders, fusion, outside=outside)
        answer = retriever.answer(queries(), 10)
        assert list(answer.channels) == ["bm25", "wiki"] == list(retriever.channels)
        fuse = fusion_by_name(fusion, ["bm25", "wiki"])
        assert answer.run == cut(fuse(list(answer.channels.values())), 10)
        found = next(iter(answer.channels["wiki"]["q0"]))
        part = retriever.explain(queries()["q0"], found).channels[1]
        assert (part.name, part.rank) == ("wiki", 1)
        assert part.score == pytest.approx(answer.channels["wiki"]["q0"][found], rel=1e-6)
        assert math.fsum(weight for _, weight in part.words) == pytest.approx(part.score)
        alone = Retriever(index, {}, outside=outside)
        assert alone.search(queries(), 9) == outside["wiki"].within(index.ids()).search(
            queries(), None, 9
        )
        check_one_line(
            lambda: Retriever(index, encoders, outside={"bm25": outside["wiki"]}),
            ValueError,
            "has a channel 'bm25' of its own",
        )


def test_threads_search_it_together(lucene: Path) -> None:
    channel = open_lucene(str(lucene))
    expected = channel.search(queries(), None, 20)
    with ThreadPoolExecutor(4) as pool:
        runs = pool.map(lambda _: channel.search(queries(), None, 20), range(8))
        assert all(run == expected for run in runs)


def test_texts_of_many_words_and_of_none_are_legal(lucene: Path) -> None:
    """Lucene itself refuses a query of more than 1,024 terms."""
    words = " ".join(f"w{n}" for n in range(3000))
    run = open_lucene(str(lucene)).search({"long": f"amber {words}", "stop": "the"}, None, 5)
    assert run["long"] and run["stop"] == {}


def test_ids_of_any_characters_are_joined(tmp_path: Path) -> None:
    ids = ["a b", "é😀", "\x01", "q?x=1&y", "*"]
    objects = [{"id": each, "contents": "amber"} for each in ids]
    channel = open_lucene(str(write_lucene(tmp_path, objects))).within([*ids[1:], "else"])
    run = channel.search({"q": "amber"}, None, 10)
    assert list(run["q"]) == sorted(ids[1:])
    assert channel.match("amber", None, "é😀").score == run["q"]["é😀"]
    assert channel.match("amber", None, "else").score == 0


@pytest.fixture(scope="module")
def model() -> Encoder:
    return load_encoder("bundled")


def impacts(model: Encoder, texts: list[str], role: Role) -> list[dict[str, int]]:
    """Return token -> weight times 100, rounded, of each text."""
    sparse = model.encode(texts, role).sparse
    assert sparse is not None
    weights = []
    for row in sparse:
        columns = dict(zip(row.indices.tolist(), row.data.tolist(), strict=True))
        scaled = {name: round(100 * weight) for name, weight in piece_words(model, columns, [])}
        weights.append({name: weight for name, weight in scaled.items() if weight})
    return weights


@pytest.fixture(scope="module")
def impact(tmp_path_factory: pytest.TempPathFactory, model: Encoder) -> Path:
    listed = list(documents(20))
    vectors = impacts(model, [each.content for each in listed], Role.DOCUMENT)
    objects = [
        {"id": document.id, "contents": "", "vector": vector}
        for document, vector in zip(listed, vectors, strict=True)
    ]
    folder = tmp_path_factory.mktemp("impact")
    return write_lucene(folder, objects, "JsonVectorCollection", "impact", "pretokenized")


def test_an_impact_index_gives_products_of_whole_numbers(impact: Path, model: Encoder) -> None:
    channel = open_lucene(str(impact), encoders={"sparse": model})
    assert channel.facts["similarity"] == "impact" and channel.encoder is model
    texts = queries()
    run = channel.search(texts, model.encode([*texts.values()], Role.QUERY), 20)
    asked = impacts(model, [*texts.values()], Role.QUERY)
    held = impacts(model, [each.content for each in documents(20)], Role.DOCUMENT)
    common = set.intersection(*map(set, held))
    for name, query in zip(texts, asked, strict=True):
        products = {
            f"d{at}": float(
                sum(
                    query.get(word, 0) * weight
                    for word, weight in document.items()
                    if word not in common
                )
            )
            for at, document in enumerate(held)
        }
        found = {document: score for document, score in products.items() if score}
        assert run[name] == found
        best = max(found, key=lambda each: found[each])
        match = channel.match(texts[name], model.encode([texts[name]], Role.QUERY), best)
        assert match.score == found[best] == sum(match.words.values())
        assert match.unit.startswith("whole weights")


def test_an_impact_index_of_other_words_is_refused(
    tmp_path: Path, impact: Path, model: Encoder
) -> None:
    objects = [{"id": "a", "contents": "", "vector": {"tea": 9, "##ing": 70}}]
    foreign = write_lucene(tmp_path, objects, "JsonVectorCollection", "impact", "pretokenized")
    text = write_lucene(tmp_path / "text", text_objects(documents(9)))
    told = AnseriniOptions(kind="impact")  # of a text index, which was called an impact index
    message = "is to be searched as an impact index: it is searched with the words of a sparse"
    check_one_line(lambda: open_lucene(str(text), told), ValueError, message)
    for path, encoders, message in (
        (foreign, {"sparse": model}, "its '##ing' is no token of that model"),
        (impact, {}, "it is searched with the words of a sparse channel"),
        (impact, {"bm25": BM25Encoder()}, "it is searched with the words of a sparse channel"),
    ):
        check_one_line(lambda: open_lucene(str(path), None, encoders), ValueError, message)  # noqa: B023
