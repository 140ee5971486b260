"""TREC's and SMART's files and MS MARCO's tables, known by how they begin, made by hand."""

import gzip
from pathlib import Path

import pytest

from index.documents import Document
from retrieval.sources.items import Notes
from retrieval.sources.options import SourceOptions
from tests.retrieval.sources.reads import read

TREC = """
<DOC>
<DOCNO> FT911-1 </DOCNO><PROFILE>x</PROFILE>
<HEADLINE>Keys &amp;
 locks</HEADLINE>
<DATE>910514</DATE>
<TEXT>
Rotate <F P=105>them</F>.<P>
Caf\xe9 &lt;daily&gt;
</TEXT>
<TEXT>More.</TEXT>
</DOC>
<DOC><DOCNO>2</DOCNO>Words outside.<LP>Lead.</LP></DOC> <doc>
<docno>3</docno><DOCHDR>200 OK</DOCHDR>
<html><title>Page</title><script>no</script><p>Seen.</html>
</doc>
"""
SMART = """.I 1
.T
A title
on two lines
.A
Salton, G.
.W
The text.
.X
1\t5\t1
.I 2
.W
.5 of it is no field.
"""


@pytest.mark.parametrize("name", ["ft911_1", "a.xml", "a.sgml", "a.txt", "a.gz"])
def test_trec_documents_by_hand(tmp_path: Path, name: str) -> None:
    raw = TREC.encode("latin-1")
    raw = gzip.compress(raw) if name == "a.gz" else raw
    documents, skipped = read(tmp_path / name, raw)
    assert not skipped
    facts = {"profile": "x", "date": "910514"}
    text = "Rotate  them . \nCaf\xe9 <daily>\nMore."
    assert [(one.id, one.title) for one in documents] == [
        ("FT911-1", "Keys & locks"),
        ("2", ""),
        ("3", "Page"),
    ]
    assert documents[0].text.split() == text.split()
    assert documents[0].metadata == facts
    assert documents[1].text == "Lead.\nWords outside."
    assert documents[2].text.strip() == "Seen."


def test_broken_trec_documents_are_named(tmp_path: Path) -> None:
    data = "<DOC>\n<DOCNO>1</DOCNO>cut\n<DOC><DOCNO>2</DOCNO>whole</DOC>\n<DOC>no id</DOC>\n<DOC>"
    documents, skipped = read(tmp_path / "a", data)
    assert documents == [Document("2", "", "whole")]
    assert [(each.name.rpartition(":")[2], each.reason[:22]) for each in skipped] == [
        ("1", "a <DOC> without its en"),
        ("4", "expected <DOCNO> with "),
        ("5", "a <DOC> without its en"),
    ]
    long = f"<DOC><DOCNO>1</DOCNO>{'x' * 1_000_001}</DOC><DOC><DOCNO>2</DOCNO>short</DOC>"
    documents, skipped = read(tmp_path / "b", long, SourceOptions(max_megabytes=1))
    assert [one.id for one in documents] == ["2"] and len(skipped) == 1


@pytest.mark.parametrize("name", ["CISI.ALL", "cran.all.1400", "a.txt"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_smart_documents_by_hand(tmp_path: Path, name: str, end: str) -> None:
    documents, skipped = read(tmp_path / name, SMART.replace("\n", end))
    assert not skipped
    assert documents == [
        Document("1", "A title\non two lines", "The text.", {"author": "Salton, G."}),
        Document("2", "", ".5 of it is no field."),
    ]


def test_tables_of_ms_marco_have_no_header(tmp_path: Path) -> None:
    """The first line of collection.tsv is a passage; D0 and Yes. looked like names of columns."""
    documents, _ = read(tmp_path / "collection.tsv", '0\tOne "said.\n1\tTwo.\n')
    assert documents == [Document("0", "", 'One "said.'), Document("1", "", "Two.")]
    documents, _ = read(tmp_path / "a.tsv", "D0\tYes.\nD1\tNo.\n")
    assert [one.id for one in documents] == ["D0", "D1"]
    documents, _ = read(tmp_path / "docs.tsv", "D1\thttp://a\tTitle\tText\n")
    assert documents == [Document("D1", "Title", "Text", {"url": "http://a"})]
    documents, _ = read(tmp_path / "numbers.tsv", "1\t5\n2\t7\n")
    assert [one.id for one in documents] != ["1", "2"]
    notes = Notes()
    documents, _ = read(tmp_path / "b.tsv", "city\tmayor\nBerlin\tX\nRom\tY\n", notes=notes)
    assert len(documents) == 2 and notes.counts["numbered"] == 2
