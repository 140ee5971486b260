"""Files that are damaged or hold something else: an error of one line, and nothing is left."""

import json
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.folder import Index
from retrieval.exchange.formats import IMPORTS, export_index, import_index
from retrieval.exchange.options import ExportOptions, ImportOptions
from tests.dense_rows import unit_rows
from tests.exchanged import ENCODERS, make_index
from tests.synthetic import SignEncoder

ROWS = unit_rows(3, 4)


def flat(width: int = 4, rows: int = 3, numbers: int = 12, **other: Any) -> bytes:  # noqa: ANN401
    """Return a flat index of FAISS, as its source writes one; facts may be wrong."""
    facts = {"mark": b"IxFI", "trained": 1, "metric": 0} | other
    head = (facts["mark"], width, rows, 1 << 20, 1 << 20, facts["trained"], facts["metric"])
    return struct.pack("<4siqqqBiQ", *head, numbers) + ROWS.tobytes()


@pytest.mark.parametrize(
    ("index", "ids", "says"),
    [
        (b"", "a\nb\nc\n", "its mark is b''"),
        (flat(mark=b"IHNf"), "a\nb\nc\n", "its mark is b'IHNf'; other kinds"),
        (flat()[:-1], "a\nb\nc\n", "3 vectors of width 4 take 93 bytes; it has 92"),
        (flat(rows=2**61, numbers=2**63), "a\n", "are not 9223372036854775808 numbers"),
        (flat(rows=-3), "a\nb\nc\n", "-3 vectors of width 4 are not 12 numbers"),
        (flat(metric=1), "a\nb\nc\n", "by inner product or L2, trained"),
        (flat(trained=0), "a\nb\nc\n", "by inner product or L2, trained"),
        (flat(rows=0, numbers=0)[:45], "", "holds no vectors"),
        (flat(), "a\nb\n", "has 2 ids, and there are 3 vectors"),
        (flat(), "a\nb\na\n", "document 'a' comes twice"),
        (flat(), "a\nb\n\xff", "docid:3: expected UTF-8 text"),
    ],
)
def test_folders_of_pyserini(tmp_path: Path, index: bytes, ids: str, says: str) -> None:
    (tmp_path / "index").write_bytes(index)
    (tmp_path / "docid").write_bytes(ids.encode("latin-1"))
    refused("faiss", tmp_path, says)


def refused(name: str, source: Path, says: str, **options: Any) -> None:  # noqa: ANN401
    out = source.parent / "made"
    with pytest.raises((ValueError, OSError)) as caught:
        import_index(name, source, out, options=ImportOptions(**options))
    assert says in str(caught.value) and "\n" not in str(caught.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        (ROWS * 2, "document 'a' has a vector of length 2, and an index holds unit vectors"),
        (np.where(ROWS == ROWS[1, 2], np.nan, ROWS), "dense row 1 holds NaN"),
        (np.where(ROWS == ROWS[1, 2], 1e300, ROWS.astype(np.float64)), "holds NaN or infinity"),
        (ROWS[0], "expected vectors, (n, dim) floats; got float32 of (4,)"),
        (ROWS.astype(np.int64), "expected vectors, (n, dim) floats; got int64"),
        (ROWS.astype(np.complex64), "expected vectors, (n, dim) floats; got complex64"),
        (np.array([["a"]], object), "expected a .npy file of numbers"),
    ],
)
def test_arrays(tmp_path: Path, vectors: np.ndarray[Any, Any], says: str) -> None:
    folder = tmp_path / "arrays"
    folder.mkdir()
    np.save(folder / "vectors.npy", vectors)
    (folder / "ids.txt").write_text("a\nb\nc\n", encoding="utf-8")
    refused("npy", folder, says)


def test_vectors_of_any_length_are_scaled_when_told(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", np.asfortranarray(ROWS.astype(np.float64) * [[2], [1], [0]]))
    (tmp_path / "ids.txt").write_text("a\nb\nc\n", encoding="utf-8")
    options = ImportOptions(normalize=True)
    report = import_index("npy", tmp_path, tmp_path / "made", options=options)
    assert report.counts == {"normalized": 1}
    with Index.open(tmp_path / "made") as opened:
        assert opened.vectors("dense", "a") == pytest.approx(ROWS[:1])
        assert opened.vectors("dense", "c").tolist() == [[0, 0, 0, 0]]


GOOD: dict[str, Any] = {
    "ids": np.array(["a", "b", "c"]),
    "dense": ROWS,
    "owner": np.arange(3),
    "sparse_data": np.array([1, 2, 3], np.float32),
    "sparse_indices": np.array([0, 4, 2]),
    "sparse_indptr": np.array([0, 2, 2, 3]),
    "sparse_shape": np.array([3, 5]),
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ids": None}, "array 'ids' is missing"),
        ({"ids": np.arange(3)}, "expected ids as text"),
        ({"ids": np.array(["a", "b"])}, "owner must not fall, from 0 to 1"),
        ({"ids": np.array(["a", "b", "a"])}, "document 'a' comes twice"),
        ({"ids": np.array(["a", "", "c"])}, "a document needs an id"),
        ({"owner": np.array([0, 2, 1])}, "owner must not fall"),
        ({"owner": np.array([0, 1])}, "3 rows are there, of 2 that have documents"),
        ({"owner": np.array([0, 1, 2**62])}, "owner must not fall, from 0 to 2"),
        ({"dense": ROWS[:2]}, "2 rows are there, of 3"),
        ({"sparse_indptr": np.array([0, 2, 1, 3])}, "are not the parts of a CSR matrix"),
        ({"sparse_indptr": np.array([0, 2, 2, 9])}, "are not the parts of a CSR matrix"),
        ({"sparse_indices": np.array([0, 5, 2])}, "sparse_indices must be from 0 to 4"),
        ({"sparse_indices": np.array([0, -1, 2])}, "sparse_indices must be from 0 to 4"),
        ({"sparse_data": np.array([1, -2, 3], np.float32)}, "must be finite and not below 0"),
        ({"sparse_data": np.array([1, np.nan, 3], np.float32)}, "must be finite and not below 0"),
        ({"sparse_shape": np.array([3])}, "are not the parts of a CSR matrix"),
        ({"sparse_shape": None}, "array 'sparse_shape' is missing"),
        ({"channels": np.array("{}")}, "channels"),
        ({"channels": np.array("[" * 10_000)}, "channels"),
        ({"channels": np.array(1)}, "channels"),
    ],
)
def test_archives_of_arrays(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    arrays = {name: each for name, each in (GOOD | change).items() if each is not None}
    np.savez(tmp_path / "v.npz", **arrays)
    refused("npz", tmp_path / "v.npz", says)


def test_archives_that_claim_too_much(tmp_path: Path) -> None:
    """A header of an array of 2**40 rows in a file of some bytes: nothing is allocated for it."""
    np.savez(tmp_path / "good.npz", **GOOD)
    with (
        zipfile.ZipFile(tmp_path / "good.npz") as good,
        zipfile.ZipFile(tmp_path / "v.npz", "w") as bad,
    ):
        for name in good.namelist():
            data = good.read(name)
            if name == "dense.npy":
                data = data.replace(b"(3, 4), }" + b" " * 14, b"(1099511627776, 4), }  ")
            bad.writestr(name, data)
    refused("npz", tmp_path / "v.npz", "which do not fit its shape")
    (tmp_path / "v.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:-40])
    refused("npz", tmp_path / "v.npz", "expected a .npz file")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[]", ':1: expected a JSON object with id and "vector"'),
        ('{"id": "a", "vector": ["tea"]}', 'expected a JSON object with id and "vector"'),
        ('{"vector": {}}', "expected texts as id and contents; got None"),
        ('{"id": "a", "vector": {"tea": -1}}', "expected terms with weights from 0"),
        ('{"id": "a", "vector": {"tea": true}}', "expected terms with weights from 0"),
        ('{"id": "a", "vector": {"tea": NaN}}', "f:1: "),
        ('{"id": "a", "vector": {"": 1}}', "expected terms with weights from 0"),
        ('{"id": "a", "vector": {"tea": 1, "tea": 2}}', "f:1: "),
        ('{"id": "a", "vector": {"\\ud800": 1}}', "f:1: "),
        ('{"id": "a", "vector": {}}\n{"id": "a", "vector": {}}', "document 'a' comes twice"),
        ("", "holds no documents"),
    ],
)
def test_lines_of_terms(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "f").write_text(line, encoding="utf-8")
    refused("jsonvector", tmp_path / "f", says)


def column(**columns: Any) -> Callable[[Path], None]:  # noqa: ANN401
    def write(path: Path) -> None:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        pq.write_table(pa.table(columns), path)

    return write


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (column(id=["a"]), "expected the columns id, and vector or terms; got id"),
        (column(id=["a"], vector=[1.0]), "expected lists; got double"),
        (column(id=["a"], vector=[["x"]]), "expected floats, or term and weight; got string"),
        (column(id=["a", "b"], vector=[[1.0], None]), "expected a list in every line; 1 lack it"),
        (column(id=["a", "b"], vector=[[1.0], [0.6, 0.8]]), "vectors differ in width"),
        (column(id=["a"], vector=[[1.0, None]]), "vectors differ in width, or lack"),
        (column(id=["a", None], vector=[[1.0], [1.0]]), "column id: expected text in every line"),
        (column(id=["a", "a"], vector=[[1.0], [1.0]]), "document 'a' comes twice"),
        (column(id=["a"], vector=[[2.0]]), "document 'a' has a vector of length 2"),
        (
            column(id=["a"], terms=[[{"term": "x", "weight": None}]]),
            "a term or a weight is missing",
        ),
        (
            column(id=["a"], terms=[[{"term": "x", "weight": -1.0}]]),
            "must be finite and not below 0",
        ),
        (column(id=["a"], text=[5], vector=[[1.0]]), "column text: expected text in every line"),
        (
            column(id=["a"], metadata=["[1]"], vector=[[1.0]]),
            "column metadata: expected a JSON object in each line",
        ),
    ],
)
def test_tables(tmp_path: Path, write: Callable[[Path], None], says: str) -> None:
    pytest.importorskip("pyarrow")
    write(tmp_path / "f.parquet")
    refused("parquet", tmp_path / "f.parquet", says)


def test_a_missing_pyarrow_is_one_line_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    refused("parquet", tmp_path, 'pip install "lastword[parquet]"')


def test_a_model_that_a_file_names_is_not_loaded_untold(tmp_path: Path) -> None:
    """As with an index from somebody else: its name must be allowed."""
    pytest.importorskip("pyarrow")
    index = make_index(tmp_path / "index", 20)
    export_index(
        index, "parquet", tmp_path / "out", ExportOptions(("dense", "sparse"), encoders=ENCODERS)
    )
    import pyarrow.parquet as pq

    file = tmp_path / "out" / "documents.parquet"
    table = pq.read_table(file)
    about = json.loads(table.schema.metadata[b"lastword"])
    from embedder.encoders.specs import LLMSpec, to_json
    from embedder.prompts.files import load_prompt

    recipe = to_json(LLMSpec("stranger/model", load_prompt("promptreps"), ("sparse",)))
    for channel in about["channels"]:
        channel["recipe"] = recipe
    pq.write_table(table.replace_schema_metadata({"lastword": json.dumps(about)}), file)
    refused("parquet", file, "stranger/model")


@pytest.mark.parametrize("name", sorted(set(IMPORTS) - {"ciff"}))
def test_damaged_files_end_in_one_line(tmp_path: Path, name: str) -> None:
    """Bits flipped and bytes cut at random: an error of one line, or an index that opens."""
    index = make_index(tmp_path / "index", 20)
    known = ImportOptions(encoders={"dense": SignEncoder()})
    channels = ("sparse",) if name == "jsonvector" else ("dense",)
    report = export_index(index, name, tmp_path / "out", ExportOptions(channels, encoders=ENCODERS))
    rng = np.random.default_rng(3)
    for trial in range(25):
        path = Path(report.files[trial % len(report.files)])
        whole = path.read_bytes()
        data = bytearray(whole)
        if trial % 3 == 0:
            del data[int(rng.integers(len(data))) :]
        else:
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        out = tmp_path / f"made{trial}"
        try:
            import_index(name, tmp_path / "out", out, known)
        except (ValueError, OSError) as error:
            assert "\n" not in str(error) and not out.exists()
        else:
            with Index.open(out) as opened:
                assert len(opened.ids()) == opened.documents
        path.write_bytes(whole)
