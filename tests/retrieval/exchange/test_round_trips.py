"""Formats that hold rows: other programs see the same numbers, and what comes back is the same."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Representation, Role
from index.documents import Document
from index.folder import Index
from index.manifest import Passages
from retrieval.build import build_index
from retrieval.exchange.formats import IMPORTS, export_index, import_index
from retrieval.exchange.options import ExportOptions, ImportOptions
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever
from retrieval.run import Run
from tests.dense_rows import unit_rows
from tests.exchanged import ENCODERS, contents, make_index
from tests.synthetic import SignEncoder, documents, queries

KNOWN = ImportOptions(encoders={"dense": SignEncoder()})
KINDS = {
    "jsonvector": ("sparse",),
    "faiss": ("dense",),
    "npz": ("dense", "sparse"),
    "npy": ("dense",),
    "parquet": ("dense", "sparse"),
}
WHOLE = ("faiss", "npz", "npy")  # these keep rows to the last bit, without names of terms


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_index(tmp_path_factory.mktemp("exchange") / "index")


def dense_run(path: Path, k: int = 10) -> Run:
    with Index.open(path) as opened:
        return Retriever(opened, {"dense": SignEncoder()}).search(queries(), k)


def test_every_format_is_held_to_this_file() -> None:
    assert {*KINDS, "ciff"} == set(IMPORTS)  # which has a file of its own


def test_flat_indexes_are_those_of_faiss(index: Path, tmp_path: Path) -> None:
    """FAISS reads what is written, finds what is found here, and writes the same bytes itself."""
    faiss = pytest.importorskip("faiss")
    export_index(index, "faiss", tmp_path, ExportOptions(queries=queries(), encoders=ENCODERS))
    read = faiss.read_index(str(tmp_path / "index"))
    names = (tmp_path / "docid").read_text(encoding="utf-8").split("\n")
    asked = np.load(tmp_path / "query.npy")
    scores, rows = read.search(asked, 10)
    ours = dense_run(index)
    assert (tmp_path / "query.docid").read_text(encoding="utf-8").split() == list(ours)
    for found, places, wanted in zip(scores, rows, ours.values(), strict=True):
        assert found.tolist() == sorted(wanted.values(), reverse=True)
        better = {names[at] for at, score in zip(places, found, strict=True) if score > found[-1]}
        assert better == {name for name, score in wanted.items() if score > found[-1]}
    own = faiss.IndexFlatIP(read.d)
    own.add(read.reconstruct_n(0, read.ntotal))
    faiss.write_index(own, str(tmp_path / "own"))
    assert (tmp_path / "own").read_bytes() == (tmp_path / "index").read_bytes()


@pytest.mark.parametrize("metric", ["IP", "L2"])
def test_what_faiss_and_pyserini_write_is_read(tmp_path: Path, metric: str) -> None:
    faiss = pytest.importorskip("faiss")
    rows = SignEncoder().encode([f"word {at}" for at in range(5000)], Role.DOCUMENT).dense
    assert rows is not None
    own = getattr(faiss, f"IndexFlat{metric}")(64)
    own.add(rows)
    faiss.write_index(own, str(tmp_path / "index"))
    (tmp_path / "docid").write_text("".join(f"d{at}\n" for at in range(5000)), encoding="utf-8")
    report = import_index("faiss", tmp_path, tmp_path / "lastword", KNOWN)
    assert (report.documents, report.counts) == (5000, {})
    assert report.searched_by_text == ()  # an encoder of one's own has no recipe
    with Index.open(tmp_path / "lastword") as opened:
        assert opened.vectors("dense", "d4321").tolist() == [rows[4321].tolist()]
        found = opened.search("dense", Representation(rows[:3], None, np.arange(3)), 4)
        exact = np.sort(rows[:3] @ rows.T, axis=1)[:, ::-1][:, :4]
        assert np.array_equal(found.scores, exact)


@pytest.mark.parametrize("name", KINDS)
def test_what_comes_back_is_the_same(index: Path, tmp_path: Path, name: str) -> None:
    channels = KINDS[name]
    options = ExportOptions(channels, encoders=ENCODERS)
    export_index(index, name, tmp_path / "out", options)
    known = ImportOptions(encoders={name: ENCODERS[name] for name in ("bm25", "dense")})
    if name in WHOLE:
        import_index(name, tmp_path / "out", tmp_path / "back", KNOWN)
        assert contents(tmp_path / "back", channels) == contents(index, channels)
    elif name == "parquet":
        options = ExportOptions(("dense", "bm25"), encoders=ENCODERS)
        export_index(index, name, tmp_path / "words", options)
        import_index(name, tmp_path / "words", tmp_path / "back", known)
        held = ["dense", "bm25"]
        assert contents(tmp_path / "back", held) == contents(index, held)
        with Index.open(index) as before, Index.open(tmp_path / "back") as after:
            assert list(after.stream()) == list(before.stream())
    if "dense" in channels:
        assert dense_run(tmp_path / "back") == dense_run(index)


@pytest.mark.parametrize("name", ["npz", "parquet"])
def test_a_file_of_ours_is_searched_by_text_at_once(tmp_path: Path, name: str) -> None:
    """It says how its rows were made, as an index does."""
    import lastword as lw

    texts = ["green tea is steeped", "rotate the key at night", "a stone in the garden"]
    lw.build(tmp_path / "index", texts).close()
    options = ExportOptions(("dense", "sparse"), {"q": "which key"})
    export_index(tmp_path / "index", name, tmp_path / "out", options)
    report = import_index(name, tmp_path / "out", tmp_path / "back")
    assert report.searched_by_text == ("dense", "sparse")
    asked = {"q": "which key", "r": "tea"}
    with (
        lw.open(tmp_path / "index", ["dense", "sparse"]) as before,
        lw.open(tmp_path / "back") as after,
    ):
        assert after.search_many(asked) == before.search_many(asked)


def test_tables_are_read_by_arrow_pandas_and_datasets(index: Path, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    datasets = pytest.importorskip("datasets")
    options = ExportOptions(("dense", "sparse"), queries(), encoders=ENCODERS)
    export_index(index, "parquet", tmp_path / "out", options)
    file = tmp_path / "out" / "documents.parquet"
    table = pandas.read_parquet(file).set_index("id")
    held = contents(index, ["dense", "sparse"])
    from tests.synthetic import WORDS

    for name, (dense, sparse) in held.items():
        line: Any = table.loc[name]
        assert [line["vector"].tolist()] == dense
        terms = [(WORDS.index(term["term"]), term["weight"]) for term in line["terms"]]
        assert [terms] == sparse
    asked = pandas.read_parquet(tmp_path / "out" / "queries.parquet")
    vectors = np.stack(table["vector"])
    for query, wanted in zip(asked.itertuples(), dense_run(index).values(), strict=True):
        scores = dict(zip(table.index, (vectors @ query.vector).tolist(), strict=True))
        assert {name: scores[name] for name in wanted} == wanted
    loaded = datasets.Dataset.from_parquet(str(file), cache_dir=str(tmp_path / "cache"))
    assert loaded["id"][:3] == list(held)[:3]


def test_arrays_are_read_by_numpy_and_scipy(index: Path, tmp_path: Path) -> None:
    from scipy.sparse import csr_matrix

    export_index(
        index, "npz", tmp_path / "npz", ExportOptions(queries=queries(), encoders=ENCODERS)
    )
    export_index(index, "npy", tmp_path / "npy", ExportOptions(("dense",), encoders=ENCODERS))
    held = contents(index, ["dense", "sparse"])
    with zipfile.ZipFile(tmp_path / "npz" / "vectors.npz") as archive:  # noted the time of writing
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    with np.load(tmp_path / "npz" / "vectors.npz", allow_pickle=False) as arrays:
        assert arrays["ids"].tolist() == list(held)
        rows = Representation.from_arrays({name: arrays[name] for name in arrays.files})
        assert isinstance(rows.sparse, csr_matrix)
        vectors = np.load(tmp_path / "npy" / "vectors.npy")
        assert rows.dense is not None and np.array_equal(vectors, rows.dense)
        assert "sparse_owner" not in arrays.files  # the same as owner
    assert [[row] for row in vectors.tolist()] == [dense for dense, _ in held.values()]
    assert (tmp_path / "npy" / "ids.txt").read_text(encoding="utf-8").split() == list(held)
    with np.load(tmp_path / "npz" / "queries-dense.npz", allow_pickle=False) as arrays:
        asked = SignEncoder().encode(list(queries().values()), Role.QUERY)
        assert asked.dense is not None and np.array_equal(arrays["dense"], asked.dense)


def test_what_embed_writes_is_read(tmp_path: Path) -> None:
    rows = SignEncoder().encode(["one", "two"], Role.DOCUMENT)
    rows.save(tmp_path / "v.npz", ids=np.array(["a", "b"]), fingerprint=np.array("{}"))
    import_index("npz", tmp_path / "v.npz", tmp_path / "index")
    assert rows.dense is not None
    assert contents(tmp_path / "index", ["dense"]) == {
        "a": [[rows.dense[0].tolist()]],
        "b": [[rows.dense[1].tolist()]],
    }


@pytest.mark.parametrize("name", ["npz", "parquet"])
def test_several_rows_of_a_document_come_back(tmp_path: Path, name: str) -> None:
    index = make_index(tmp_path / "index", rows="several")
    options = ExportOptions(("dense",))
    export_index(index, name, tmp_path / "out", options)
    import_index(name, tmp_path / "out", tmp_path / "back", KNOWN)
    assert contents(tmp_path / "back", ["dense"]) == contents(index, ["dense"])


def test_several_rows_of_a_document_are_told_apart(tmp_path: Path) -> None:
    """pyserini takes the best of ID#0, ID#1 where it is told to (--max-passage)."""
    index = make_index(tmp_path / "index", rows="several")
    report = export_index(index, "faiss", tmp_path / "out")
    held = contents(index, ["dense"])
    lengths = {name: len(rows[0]) for name, rows in held.items()}
    wanted = [
        name if count == 1 else f"{name}#{at}"
        for name, count in lengths.items()
        for at in range(count)
    ]
    assert (tmp_path / "out" / "docid").read_text(encoding="utf-8").split() == wanted
    assert report.counts == {"parted_documents": sum(count > 1 for count in lengths.values())}


def test_a_header_whose_brackets_stay_open_is_told(index: Path, tmp_path: Path) -> None:
    """NumPy's reader raised a TokenError, which was an unexpected error of the command."""
    export_index(index, "npy", tmp_path / "out")
    vectors = tmp_path / "out" / "vectors.npy"
    vectors.write_bytes(vectors.read_bytes().replace(b"}", b"(", 1))
    with pytest.raises(ValueError, match=r"vectors\.npy"):
        import_index("npy", tmp_path / "out", tmp_path / "back", KNOWN)


@pytest.mark.parametrize("name", ["faiss", "npy", "jsonvector", "ciff"])
def test_a_row_is_not_called_as_another_document(tmp_path: Path, name: str) -> None:
    """Document a had passages a#0 and a#1 beside a document a#1: two rows of one name."""
    texts = [Document("a", "", "one two three four"), Document("a#1", "", "five")]
    options = BuildOptions(passages=Passages(2, 0))
    build_index(texts, {"dense": SignEncoder(), "bm25": BM25Encoder()}, tmp_path / "i", options)
    with pytest.raises(ValueError, match=r"'a' has several rows, one of .* called 'a#1'"):
        export_index(tmp_path / "i", name, tmp_path / "out")
    for whole in ("npz", "parquet"):
        export_index(tmp_path / "i", whole, tmp_path / whole)


def test_texts_join_rows_by_their_ids(index: Path, tmp_path: Path) -> None:
    """In whatever order they come; a document that is not among them stays without text."""
    export_index(index, "faiss", tmp_path / "out", ExportOptions(encoders=ENCODERS))
    given_texts = [document for document in documents(60) if document.id != "d5"]
    options = ImportOptions(texts=reversed(given_texts))
    report = import_index("faiss", tmp_path / "out", tmp_path / "back", options)
    assert report.counts == {"without_text": 1}
    with Index.open(tmp_path / "back") as opened:
        assert opened.document("d41") == given_texts[40]
        assert opened.document("d5").content == ""
    with Index.open(index) as before, Index.open(tmp_path / "back") as after:
        assert after.ids() == before.ids()


def test_beir_folders_are_indexed_again(index: Path, tmp_path: Path) -> None:
    from eval.data.local import BeirFolder

    qrels = {"q1": {"d1": 1, "d2": 0}, "q2": {"d3": 2}}
    asked = {name: text for name, text in queries().items() if name in qrels}
    export_index(index, "beir", tmp_path / "beir", ExportOptions(queries=asked, qrels=qrels))
    folder = BeirFolder(tmp_path / "beir")
    assert (folder.queries(), folder.qrels()) == (asked, qrels)
    with Index.open(index) as opened:
        assert list(folder.documents()) == list(opened.stream())
    loader = pytest.importorskip("ir_datasets.formats")
    assert loader is not None
    lines = (tmp_path / "beir" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(list(json.loads(line)) == ["_id", "title", "text", "metadata"] for line in lines)


IDS = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=8, unique=True)


@given(IDS, st.sampled_from(WHOLE), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
def test_any_ids_and_vectors_come_back(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], name: str, width: int, seed: int
) -> None:
    from index.documents import Document
    from retrieval.build import build_index

    try:
        made = [Document(each, "", "text") for each in ids]
    except ValueError:  # half of a character
        return
    folder = tmp_path_factory.mktemp("any")
    rows = unit_rows(len(ids), width, seed)

    class Given(SignEncoder):
        def encode(self, texts: Sequence[str], role: Role) -> Representation:
            return Representation(rows, None, np.arange(len(rows)))

    build_index(made, {"dense": Given()}, folder / "index")
    if any("\0" in each for each in ids):
        with pytest.raises(ValueError, match="NUL"):
            export_index(folder / "index", name, folder / "out")
        assert not (folder / "out").exists()
        return
    export_index(folder / "index", name, folder / "out")
    import_index(name, folder / "out", folder / "back", options=ImportOptions())
    assert contents(folder / "back", ["dense"]) == contents(folder / "index", ["dense"])
