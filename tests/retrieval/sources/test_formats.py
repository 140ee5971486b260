"""Documents of one file: titles, metadata, visible text, pages; and what is broken or locked."""

from pathlib import Path

import pytest

from benchmarks.sources import WANTED, in_order, words
from benchmarks.sources_files import docx, epub, mail, pdf, zipped
from benchmarks.sources_folder import FIXTURES
from index.documents import Document
from retrieval.sources.items import Notes
from tests.retrieval.sources.reads import read


@pytest.mark.parametrize(
    ("text", "title", "body", "metadata"),
    [
        ("# One #\n\nbody", "One", "body", {}),
        ("intro\n\n# One\nbody", "One", "intro\n\n# One\nbody", {}),
        ("One\n===\n\nbody", "One", "body", {}),
        ("```\n# code\n```\n# One\n", "One", "```\n# code\n```\n# One\n", {}),
        ("---\ntitle: T\nday: 2020-01-02\ntags: [a]\n---\n# One\nx", "T", "# One\nx",
         {"day": "2020-01-02", "tags": ["a"]}),
        ("---\ntitle: One\n---\n# One\nx", "One", "x", {}),
        ("+++\nn = 1\n+++\nx", "", "x", {"n": 1}),
        ("---\n: : [\n---\n# One\n", "One", "---\n: : [\n---\n# One\n", {}),
        ("---\na: &a [x]\nb: *a\n---\nx", "", "---\na: &a [x]\nb: *a\n---\nx", {}),
        ("text\n---\nmore", "text", "more", {}),
    ],
)  # fmt: skip
def test_markdown(
    tmp_path: Path, text: str, title: str, body: str, metadata: dict[str, object]
) -> None:
    assert read(tmp_path / "a.md", text)[0] == [Document("a.md", title, body, metadata)]


def test_restructured_text(tmp_path: Path) -> None:
    text = "=====\nTitle\n=====\n\nSome text\n"
    assert read(tmp_path / "a.rst", text)[0] == [Document("a.rst", "Title", "Some text\n")]
    documents, _ = read(tmp_path / "b.rst", "Intro.\n\nPart\n----\nx")
    assert documents == [Document("b.rst", "Part", "Intro.\n\nPart\n----\nx")]


def test_html_is_what_a_reader_sees(tmp_path: Path) -> None:
    page = (
        "<!doctype html><html lang=en><head><title>My\n page</title>"
        "<meta name=Author content=Bob></head><body>"
        "<!-- no --><style>no</style><p>He<b>llo</b> &amp; br<br>ave<script>no</script>"
        "<p hidden>no<p style='display: none'>no<table><tr><td>a<td>b</table>"
        "<pre>x  y</pre>co&shy;op 5&nbsp;km<noscript>no</noscript>"
    )
    (document,) = read(tmp_path / "a.html", page)[0]
    assert (document.title, document.metadata) == ("My page", {"lang": "en", "author": "Bob"})
    assert document.text.split() == "Hello & br ave a b x y coop 5 km".split()
    assert "x  y" in document.text


@pytest.mark.parametrize("name", sorted(p.name for p in FIXTURES.iterdir() if p.suffix != ".txt"))
def test_words_of_pdfs_and_pages_in_order(tmp_path: Path, name: str) -> None:
    """Of programs that justify, divide words, set columns, and move words without a space."""
    documents, skipped = read(tmp_path / name, (FIXTURES / name).read_bytes())
    known = (FIXTURES / name).with_suffix(".txt")
    if not known.exists():
        assert {"locked.pdf": "password", "scan.pdf": "images"}[name] in skipped[0].reason
        return
    (document,) = documents
    assert in_order(words(known.read_text(encoding="utf-8")), words(document.text)) >= WANTED
    pages = document.metadata.get("pages", [0])
    assert pages[0] == 0 and pages == sorted(pages) and pages[-1] < len(document.text)
    assert all(document.text[at - 2 : at] == "\n\n" for at in pages[1:])


def test_word_books_and_mail(tmp_path: Path) -> None:
    assert read(tmp_path / "a.docx", docx("hello"))[0] == [Document("a.docx", "", "hello")]
    assert read(tmp_path / "a.bin", docx("hello"))[0] == [Document("a.bin", "", "hello")]
    book = Document("a.epub", "Book", "One\n\nhello")
    assert read(tmp_path / "a.epub", epub("hello"))[0] == [book]
    message, note = read(tmp_path / "a.eml", mail("hello", "attached"))[0]
    facts = {"from": "a@example.org", "date": "2024-01-01T10:00:00+01:00"}
    assert message == Document("a.eml", "Grüße", "hello", facts)
    assert note == Document("a.eml/note.txt", "", "attached")


def test_deleted_text_and_fields_of_word_are_no_text(tmp_path: Path) -> None:
    body = (
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
        '<w:p><w:pPr><w:pStyle w:val="Title"/></w:pPr><w:r><w:t>Report</w:t></w:r></w:p>'
        '<w:p><w:r><w:t xml:space="preserve">a </w:t><w:tab/><w:t>b</w:t></w:r>'
        "<w:del><w:r><w:delText>no</w:delText></w:r></w:del><w:r><w:instrText>no</w:instrText>"
        "</w:r></w:p></w:body></w:document>"
    )
    (document,) = read(tmp_path / "a.docx", zipped({"word/document.xml": body.encode()}))[0]
    assert (document.title, document.text) == ("Report", "Report\na \tb")


def test_a_mailbox_keeps_its_messages_apart(tmp_path: Path) -> None:
    box = "From x Mon\nSubject: one\n\nbody\n>From here\n\nFrom y Tue\nSubject: two\n\nmore\n"
    documents, _ = read(tmp_path / "a.mbox", box)
    assert [(one.id, one.title, one.text) for one in documents] == [
        ("a.mbox#1", "one", "body\nFrom here"),
        ("a.mbox#2", "two", "more"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.pdf", b"%PDF-1.4\n1 0 obj", "no PDF, or damaged"),
        ("a.pdf", b"", "empty"),
        ("a.docx", b"PK\x03\x04", "damaged"),
        ("a.docx", zipped({"[Content_Types].xml": b""}), "lacks word/document.xml"),
        ("a.docx", docx("&a;", '<!DOCTYPE x [<!ENTITY a "b">]>'), "declares entities"),
        ("a.epub", zipped({"mimetype": b""}), "lacks META-INF"),
        ("a.jsonl", b"\n \n", "no documents"),
        ("a.csv", b"id,text\n", "no documents"),
        ("a.mbox", b"no message", "no documents"),
        ("a.zip", zipped({}), "no documents"),
        ("a.xlsx", zipped({"xl/x": b""}), "Excel"),
        ("a.txt", b"\x89PNG\r\n", "a PNG image"),
        ("a.parquet", b"PAR1 no", "Parquet"),
        ("a.txt.gz", b"\x1f\x8b\x08no", "damaged"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    documents, skipped = read(tmp_path / name, data)
    assert not documents and len(skipped) == 1
    assert reason in skipped[0].reason and skipped[0].name == str(tmp_path / name)


def test_a_file_that_is_too_long_is_no_document(tmp_path: Path) -> None:
    from retrieval.sources.options import SourceOptions

    short = SourceOptions(max_megabytes=1)
    for name in ("a.txt", "a.html", "a.eml"):
        _, skipped = read(tmp_path / name, b"x" * 1_000_001, short)
        assert "longer than 1 MB" in skipped[0].reason
    lines = b'{"text": "%s"}\n' % (b"x" * 9_999) * 101
    assert len(read(tmp_path / "a.jsonl", lines, short)[0]) == 101


def test_a_page_without_a_suffix_is_known_by_its_beginning(tmp_path: Path) -> None:
    notes = Notes()
    assert read(tmp_path / "a", "<!DOCTYPE html><p>x", notes=notes)[0] == [Document("a", "", "x")]
    assert read(tmp_path / "b.txt", pdf("hello"))[0][0].text == "hello"
    for text in ("BZhang wrote", "PAR1 is a mark", "GIF89a, a format", "ID3 tags"):
        assert read(tmp_path / "c.txt", text)[0][0].text == text
