"""CIFF: what other readers see in our files, what comes back, and what is refused."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.types import Encoder
from index.folder import Index
from retrieval.exchange.ciff import protobuf
from retrieval.exchange.formats import export_index, import_index
from retrieval.exchange.options import ExportOptions, ImportOptions
from retrieval.open import open_retriever
from retrieval.retriever import Retriever
from tests.exchanged import ENCODERS, contents, make_index
from tests.synthetic import queries

WORDS: dict[str, Encoder] = {"bm25": ENCODERS["bm25"]}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_index(tmp_path_factory.mktemp("ciff") / "index")


@pytest.fixture(scope="module")
def ciff(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "out"
    export_index(index, "ciff", folder, ExportOptions(("bm25",)))
    return folder / "index.ciff"


NUMBERS = st.integers(0, 2**31 - 1)
COUNTS = st.integers(1, 2**31 - 1)


@given(st.lists(st.tuples(NUMBERS, COUNTS), min_size=1, max_size=30))
def test_arrays_of_postings_are_messages(pairs: list[tuple[int, int]]) -> None:
    """By definition, posting by posting: field 4, with a gap unless it is 0, and a count."""
    gaps, counts = (np.array(part, np.int64) for part in zip(*pairs, strict=True))
    wanted = b""
    for gap, count in pairs:
        body = protobuf.message((1, gap), (2, count))
        wanted += b"\x22" + protobuf.number(len(body)) + body
    assert protobuf.postings(gaps, counts) == wanted
    read = protobuf.read_postings(wanted)
    assert [part.tolist() for part in read] == [gaps.tolist(), counts.tolist()]


@given(st.integers(0, 2**63 - 1), st.text(max_size=5), st.floats(allow_nan=False))
def test_messages_come_back(whole: int, text: str, number: float) -> None:
    data = protobuf.message((1, whole), (300, text), (3, float(number)))
    wanted = {1: whole, 300: text.encode(), 3: float(number)}
    found = {field: value for field, value, _ in protobuf.fields(data)}
    assert found == {field: value for field, value in wanted.items() if value}


def test_any_order_and_unknown_fields_are_read() -> None:
    """Protobuf leaves the order of fields open, and readers pass over those they do not know."""
    body = b"\x10\x05\x08\x02\x1a\x01x"  # count, gap, and a field 3
    gaps, counts = protobuf.read_postings(b"\x22" + bytes([len(body)]) + body + b"\x28\x07")
    assert (gaps.tolist(), counts.tolist()) == ([2], [5])


def test_the_toolkit_of_ciff_reads_and_ranks_the_same(index: Path, ciff: Path) -> None:
    """BM25 computed from what its reader gives is the ranking of the index."""
    reading = pytest.importorskip("ciff_toolkit.read")
    with reading.CiffReader(ciff) as reader:
        header = reader.read_header()
        lists = {each.term: list(each.postings) for each in reader.read_postings_lists()}
        records = list(reader.read_documents())
    assert [record.docid for record in records] == list(range(header.num_docs))
    assert list(lists) == sorted(lists, key=str.encode)
    lengths = [record.doclength for record in records]
    assert (header.total_terms_in_collection, len(lists)) == (
        sum(lengths),
        header.num_postings_lists,
    )
    mean = header.average_doclength
    asked = {name: text for name, text in queries().items()}
    with Index.open(index) as opened:
        ours = Retriever(opened, WORDS).search(asked, 1000)
    stems: dict[int, str] = {}
    WORDS["bm25"].learn_stems(asked.values(), stems)  # type: ignore[attr-defined]
    for name, text in asked.items():
        scores: dict[str, float] = {}
        for word in text.split():
            row = WORDS["bm25"].encode([word], "query").sparse  # type: ignore[arg-type]
            assert row is not None
            postings = lists.get(stems[int(row.indices[0])], [])
            idf = math.log1p((len(records) - len(postings) + 0.5) / (len(postings) + 0.5))
            at = 0
            for posting in postings:
                at += posting.docid
                norm = 0.9 * (0.6 + 0.4 * lengths[at] / mean)
                part = idf * posting.tf / (posting.tf + norm)
                document = records[at].collection_docid
                scores[document] = scores.get(document, 0.0) + part
        assert scores == pytest.approx(ours[name], rel=1e-5)


@pytest.mark.parametrize("packed", [False, True])
def test_words_come_back_and_are_searched_by_text(
    index: Path, ciff: Path, tmp_path: Path, packed: bool
) -> None:
    path = tmp_path / ("index.ciff.gz" if packed else "index.ciff")
    path.write_bytes(gzip.compress(ciff.read_bytes()) if packed else ciff.read_bytes())
    report = import_index("ciff", path, tmp_path / "back")
    assert (report.searched_by_text, report.counts) == (("bm25",), {})
    assert contents(tmp_path / "back", ["bm25"]) == contents(index, ["bm25"])
    with open_retriever(index, ["bm25"]) as before, open_retriever(tmp_path / "back") as after:
        assert after.search(queries(), 1000) == before.search(queries(), 1000)


def test_weights_are_searched_by_terms(index: Path, tmp_path: Path) -> None:
    """Without the encoder, the weights are impacts of words as they are: the same ranking."""
    export_index(index, "ciff", tmp_path, ExportOptions(("sparse",), encoders=ENCODERS))
    data = (tmp_path / "index.ciff").read_bytes()
    _, first = protobuf._read_number(data, 0)
    header = data[first : first + protobuf._read_number(data, 0)[0]]
    bare = protobuf.message(
        *((field, value) for field, value, _ in protobuf.fields(header) if isinstance(value, int))
    )
    (tmp_path / "other.ciff").write_bytes(
        protobuf.number(len(bare)) + bare + data[first + len(header) :]
    )
    options = ImportOptions(channel="sparse")
    report = import_index("ciff", tmp_path / "other.ciff", tmp_path / "back", options=options)
    assert (report.searched_by_text, report.searched_by_terms) == ((), ("sparse",))
    with Index.open(index) as opened, open_retriever(tmp_path / "back") as retriever:
        texts = {name: " ".join(dict.fromkeys(text.split())) for name, text in queries().items()}
        found = retriever.search(texts, 1000)
        held = contents(index, ["sparse"])
        from tests.synthetic import WORDS as NAMES

        for name, text in texts.items():
            columns = {NAMES.index(word) for word in text.split()}
            wanted = {
                document: sum(round(100 * weight) for at, weight in row if at in columns)
                for document, ((row,),) in held.items()
            }
            assert found[name] == {each: score for each, score in wanted.items() if score}
        assert opened.documents == retriever.index.documents


def posting_list(term: str, pairs: list[tuple[int, int]], df: int | None = None) -> bytes:
    body = protobuf.message((1, term), (2, len(pairs) if df is None else df), (3, 1))
    gaps, counts = (np.array(part, np.int64) for part in zip(*pairs, strict=True))
    return delimited(body + protobuf.postings(gaps, counts))


def delimited(message: bytes) -> bytes:
    return protobuf.number(len(message)) + message


def file_of(written: list[bytes], ids: list[str], **header: int) -> bytes:
    facts = {"lists": len(written), "documents": len(ids), "version": 1} | header
    start = protobuf.message((1, facts["version"]), (2, facts["lists"]), (3, facts["documents"]))
    records = [
        delimited(protobuf.message((1, at), (2, name), (3, 1))) for at, name in enumerate(ids)
    ]
    return delimited(start) + b"".join(written) + b"".join(records)


TEA, KEY = posting_list("tea", [(0, 1), (1, 2)]), posting_list("key", [(1, 1)])


def test_a_file_by_hand(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(file_of([TEA, KEY, posting_list("sea", [(0, 1)], 9)], ["a", "b"]))
    report = import_index("ciff", tmp_path / "f", tmp_path / "index")
    # The records say a length of 1; the counts of a are 2, and those of b 3.
    assert report.counts == {"other_lengths": 2, "other_frequencies": 1}
    with open_retriever(tmp_path / "index") as retriever:
        assert list(retriever.search({"q": "tea sea"}, 5)["q"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "message 1: it ends"),
        (b"\xff\xff\xff\xff\xff\xff", "message 1: it ends, or a length is wrong"),
        (b"\xff\xff\xff\xff\x07ab", "message 1: it has 2147483647 bytes, of which"),
        (file_of([TEA], ["a", "b"], version=2), "expected a CIFF file of version 1; got version 2"),
        (file_of([TEA], ["a", "b"], documents=2**31 - 1), "do not fit into so short a file"),
        (file_of([TEA], ["a", "b"], lists=2**31 - 1), "message 3: expected a term"),
        (file_of([TEA], ["a", "b"])[:-3], "message 4: it has"),
        (file_of([TEA], ["a", "b"]) + b"\x00", "message 5: there should be none"),
        (file_of([TEA], ["a"]), "documents of b'tea' must rise, and stay below 1; the last is 1"),
        (
            file_of([posting_list("x", [(1, 1), (0, 1)])], ["a", "b"]),
            "documents of b'x' must rise",
        ),
        (file_of([TEA, TEA], ["a", "b"]), "the term 'tea' has a second list"),
        (file_of([TEA], ["a", "a"]), "document 'a' comes twice"),
        (file_of([TEA], ["a", ""]), "a document has no id"),
        (file_of([delimited(b"\x0a\x01x")], ["a"]), "expected a term and its postings"),
        (
            file_of([delimited(b"\x0a\x01\xff" + TEA[6:])], ["a", "b"]),
            "message 2: expected UTF-8 text",
        ),
        (file_of([delimited(b"\x0b")], ["a"]), "a field is written in a way (3) that there is not"),
        (file_of([delimited(b"\x0a\x7fx")], ["a"]), "a field goes beyond its message"),
        (file_of([delimited(b"\x0a\x01x\x22\x02\x10\x00")], ["a"]), "counts of b'x' must be from"),
        (
            file_of([delimited(b"\x0a\x01x\x22\x0b\x10" + b"\xff" * 9 + b"\x01")], ["a"]),
            "a posting has a document and a count from 0",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(ValueError) as caught:
        import_index("ciff", tmp_path / "f", tmp_path / "index")
    assert says in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "index").exists()


def test_damaged_files_end_in_one_line(ciff: Path, tmp_path: Path) -> None:
    """Bits flipped and bytes cut at random: an error of one line, or an index that opens."""
    rng, whole = np.random.default_rng(7), ciff.read_bytes()
    for trial in range(60):
        data = bytearray(whole)
        if trial % 3 == 0:
            del data[int(rng.integers(len(data))) :]
        else:
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        (tmp_path / "f").write_bytes(data)
        out = tmp_path / f"index{trial}"
        try:
            import_index("ciff", tmp_path / "f", out)
        except ValueError as error:
            assert "\n" not in str(error) and not out.exists()
        else:
            with Index.open(out) as opened:
                assert len(opened.ids()) == opened.documents
