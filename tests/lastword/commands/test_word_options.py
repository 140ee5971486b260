"""--language of several, --language-field, --fields and --stop-words: what is made and refused."""

import json
from pathlib import Path

import pytest

from lastword.main import main

LINES = [
    {"_id": "de", "title": "Häuser", "text": "Der alte Hund am Fluss", "lang": "de"},
    {"_id": "en", "title": "Houses", "text": "The old dogs by the river", "tags": ["Hund", "pet"]},
]
WORDS = ("--channels", "bm25")


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    lines = "".join(json.dumps(line) + "\n" for line in LINES)
    (tmp_path / "corpus.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "stops.txt").write_text("# own\nHund\nder\n", encoding="utf-8")
    return "corpus.jsonl"


def test_languages_and_fields_are_told_kept_and_explained(
    corpus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = ("--language", "de,en", "--language-field", "lang", "--fields", "title^2,tags,tgas")
    assert main(["index", corpus, "-o", "i", *WORDS, *reading]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "bm25: of 2 texts, 1 in german, 1 in english." in told
    assert "bm25: 1 text had no language of the index in its field; the text told it." in told
    assert "bm25: no document has the field 'tgas'." in told
    assert "field 'tags'" not in told
    described = "german and english words, told by the field lang, fields title^2 + tags + tgas"
    assert described in told
    assert main(["info", "i"]) == 0
    assert described in " ".join(capsys.readouterr().out.split())
    assert main(["search", "i", "Hunde", "--json"]) == 0
    assert [hit["id"] for hit in json.loads(capsys.readouterr().out)["hits"]] == ["en"]
    for language, found in (("en", []), ("de", ["de"])):
        assert main(["search", "i", "Häusern", "--query-language", language, "--json"]) == 0
        assert [hit["id"] for hit in json.loads(capsys.readouterr().out)["hits"]] == found
    assert main(["search", "i", "Hunde", "--query-language", "fr"]) == 2
    assert "reads german, english; got the query language 'fr'" in capsys.readouterr().err
    assert main(["explain", "i", "Haus Hund", "en", "--json"]) == 0
    (channel,) = json.loads(capsys.readouterr().out)["channels"]
    assert channel["fields"] == [["tags", pytest.approx(channel["score"])]]


def test_stop_words_of_a_file_go_into_the_index(
    corpus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = ("--language", "de", "--stop-words", "stops.txt", "-q")
    assert main(["index", corpus, "-o", "i", *WORDS, *reading]) == 0
    Path("stops.txt").unlink()
    for query, found in (("Hund", []), ("am", ["de"])):
        assert main(["search", "i", query, "--json"]) == 0
        assert [hit["id"] for hit in json.loads(capsys.readouterr().out)["hits"]] == found
    assert main(["info", "i"]) == 0
    assert "german words, 2 stop words of your own" in " ".join(capsys.readouterr().out.split())


def test_an_evaluation_tells_what_was_read(
    corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "river"}\n', encoding="utf-8")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq\ten\t1\n", encoding="utf-8"
    )
    reading = ("--language", "de,en", "--fields", "text,tgas")
    assert main(["eval", "retrieval", str(tmp_path), *WORDS, *reading]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "bm25: of 2 texts, 1 in german, 1 in english." in told
    assert "bm25: no document has the field 'tgas'." in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bm25", "lucene", "--fields", "title"), "--fields is of the native engine"),
        (("--bm25", "lucene", "--stop-words", "none"), "--stop-words is of the native engine"),
        (("--bm25", "lucene", "--language", "de,en"), "no analyzer for 'de,en'"),
        (("--language-field", "lang"), "chooses among several languages; got 'english'"),
        (("--stop-words", "nothing.txt"), "nothing.txt"),
        (("--stop-words", "."), "not a regular file"),
        (("--fields", "title^"), "got 'title^' in 'title^'"),
        (("--channels", "", "--model", "bm25"), "--channels bm25 indexes by words alone"),
        (("--channels", "", "--model", "bm25:de"), "bm25:de is no language model"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(
    corpus: str, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert main(["index", corpus, "-o", "i", *WORDS, *options]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert len([line for line in error.splitlines() if line.startswith("lastword: ")]) == 1
    assert not Path("i").exists()
