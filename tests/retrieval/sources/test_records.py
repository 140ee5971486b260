"""Tables and JSON: which field is what, numbers, rows that do not fit, records without an id."""

import json
from pathlib import Path

import pytest

from index.documents import Document
from retrieval.sources.items import Notes
from retrieval.sources.options import SourceOptions
from tests.retrieval.sources.reads import read


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", 'id,title,text,year,zip\nk,T,"one, ""two""\nthree",2020,007\n'),
        ("a.csv", '\ufeffID;Title;Text;year;zip\r\nk;T;"one, ""two""\nthree";2020;007\r\n'),
        ("a.jsonl", '\n{"docid":"k","title":"T","body":"one, \\"two\\"\\nthree","year":2020,'
         '"zip":"007"}\n'),
        ("a.json", '[{"_id":" k ","headline":"T","content":"one, \\"two\\"\\nthree",'
         '"metadata":{"year":2020},"zip":"007"}]'),
    ],
)  # fmt: skip
def test_usual_fields_are_known_and_others_are_metadata(
    tmp_path: Path, name: str, data: str
) -> None:
    documents, skipped = read(tmp_path / name, data)
    assert documents == [Document("k", "T", 'one, "two"\nthree', {"year": 2020, "zip": "007"})]
    assert not skipped


def test_fields_are_chosen_by_name(tmp_path: Path) -> None:
    options = SourceOptions(id_field="key", title_field="name", text_field="words")
    line = {"key": 7, "name": "T", "words": "w", "id": "other", "text": "no"}
    documents, _ = read(tmp_path / "a.jsonl", json.dumps(line), options)
    assert documents == [Document("7", "T", "w", {"id": "other", "text": "no"})]
    _, skipped = read(tmp_path / "b.jsonl", '{"key": "x"}', options)
    assert "no field 'name'" in skipped[0].reason


def test_without_a_text_all_text_fields_are_taken_and_told(tmp_path: Path) -> None:
    notes = Notes()
    documents, _ = read(tmp_path / "a.csv", "name,colour,n\nrose,red,3\n", notes=notes)
    assert documents == [
        Document(
            "a.csv#1", "", "name: rose\ncolour: red", {"name": "rose", "colour": "red", "n": 3}
        )
    ]
    assert notes.counts == {"fields": 1, "numbered": 1}


def test_a_table_without_names_of_columns_keeps_its_first_row(tmp_path: Path) -> None:
    documents, _ = read(tmp_path / "a.tsv", '1\tgreen "tea\n2\thot lava\n')
    assert [document.text for document in documents] == ['green "tea', "hot lava"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_of_any_encoding_and_end(tmp_path: Path, encoding: str, end: str) -> None:
    texts = ["Größe und Übermut", "schöne Grüße aus der Küche"]
    rows = ["id,text", *(f"{at},{text}" for at, text in enumerate(texts))]
    lines = [json.dumps({"id": at, "text": t}, ensure_ascii=False) for at, t in enumerate(texts)]
    for name, parts in (("a.csv", rows), ("a.jsonl", lines)):
        data = "".join(part + end for part in parts).encode(encoding)
        documents, skipped = read(tmp_path / name, data)
        assert [document.text for document in documents] == texts
        assert not skipped


def test_a_line_of_another_encoding_is_read_and_told(tmp_path: Path) -> None:
    notes = Notes()
    data = '{"id": 1, "text": "Größe"}\n'.encode() * 3 + '{"id": 2, "text": "Größe"}'.encode(
        "cp1252"
    )
    documents, _ = read(tmp_path / "a.jsonl", data, notes=notes)
    assert {document.text for document in documents} == {"Größe"}
    assert notes.names["encoding"] == [f"{tmp_path}/a.jsonl:4 (cp1252)"]


def test_columns_of_one_name_hide_no_other(tmp_path: Path) -> None:
    documents, _ = read(tmp_path / "a.csv", "id,text,tag,tag\n1,a,b,c\n")
    assert documents == [Document("1", "", "a", {"tag": "b", "tag (2)": "c"})]


def test_rows_of_other_lengths_lose_nothing_and_are_counted(tmp_path: Path) -> None:
    notes = Notes()
    documents, _ = read(tmp_path / "a.csv", "id,text\n1,a,b,c\n2\n\n3,d\n", notes=notes)
    assert [(d.id, d.text, dict(d.metadata)) for d in documents] == [
        ("1", "a", {"more": "b c"}),
        ("2", "", {}),
        ("3", "d", {}),
    ]
    assert notes.counts["cells"] == 2


def test_a_broken_line_is_skipped_and_the_others_are_read(tmp_path: Path) -> None:
    lines = '{"id":"a","text":"x"}\n{broken\n[1]\n{"text":"no id"}\n{"id":"b","text":null}\n'
    documents, skipped = read(tmp_path / "a.jsonl", lines)
    assert [document.id for document in documents] == ["a", "b"]
    assert [one.name.rpartition(":")[2] for one in skipped] == ["2", "3", "4"]


def test_json_that_holds_no_records_is_a_text(tmp_path: Path) -> None:
    data = '{"name": "x\\ny", "version": 1, "parts": [{"by": "caf\\u00e9"}, "z"]}'
    documents, _ = read(tmp_path / "a.json", data)
    assert documents == [Document("a.json", "", "name: x\ny\nby: café\nparts: z")]
    assert read(tmp_path / "n.json", "[1, 2]")[0] == [Document("n.json", "", "[1, 2]")]
    lines = '{"id": "1", "text": "a"}\n{"id": "2", "text": "b"}\n'  # as data sets often are called
    assert [one.id for one in read(tmp_path / "b.json", lines)[0]] == ["1", "2"]


def test_numbers_that_are_none_and_dates_become_json(tmp_path: Path) -> None:
    documents, _ = read(tmp_path / "a.jsonl", '{"id":"a","text":"x","n":NaN,"m":-Infinity}')
    assert documents[0].metadata == {"n": None, "m": None}


def test_parquet_rows(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import datetime

    from pyarrow.parquet import write_table  # type: ignore[import-untyped]

    table = pa.table({"id": [1], "text": ["x"], "day": [datetime.date(2020, 1, 2)], "t": [["a"]]})
    write_table(table, tmp_path / "t.parquet")
    documents, _ = read(tmp_path / "a.parquet", (tmp_path / "t.parquet").read_bytes())
    assert documents == [Document("1", "", "x", {"day": "2020-01-02", "t": ["a"]})]
