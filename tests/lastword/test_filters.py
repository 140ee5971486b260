"""Filters, facets, list, get and delete, by the commands and from Python."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

import lastword as lw
from eval.data.collections import open_collection
from eval.tasks.retrieval import JudgeOptions, judge
from index.filters.facets import FacetValue
from lastword.main import FAILED, FINISHED, main

DOCUMENTS: list[dict[str, Any]] = [
    {"id": "a", "title": "Keys", "text": "rotate the key", "year": 2020, "lang": "de"},
    {"id": "b", "text": "turn the key", "year": 2024, "lang": "en", "tags": ["tax", "law"]},
    {"id": "c", "text": "hide the key", "year": 2024, "lang": "de", "tags": ["tax"]},
    {"id": "d", "text": "green tea", "author": {"name": "Ann"}, "tags": []},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    lw.build(tmp_path / "i", DOCUMENTS, "bm25").close()
    return tmp_path / "i"


def run(
    capsys: pytest.CaptureFixture[str], *words: object, code: int = FINISHED
) -> tuple[str, str]:
    assert main([str(word) for word in words]) == code
    said = capsys.readouterr()
    return said.out, said.err


def answer(capsys: pytest.CaptureFixture[str], *words: object) -> Any:  # noqa: ANN401
    return json.loads(run(capsys, *words, "--json")[0])


def test_a_search_is_filtered_from_python_and_by_the_command(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = 'year >= 2020 and lang == "de" and "tax" in tags'
    with lw.open(path) as index:
        assert [hit.id for hit in index.search("key", filter=text)] == ["c"]
        assert list(index.search_many({"q": "key"}, filter='lang == "de"')["q"]) == ["a", "c"]
        whole = index.search_many({"q": "key"})["q"]
        assert index.search_many({"q": "key"}, filter='lang == "de"')["q"]["c"] == whole["c"]
        assert index.explain("key", "a", filter=text).score == 0
        assert [document.id for document in index.documents("tags != null")] == ["b", "c", "d"]
        with pytest.raises(ValueError, match="filter, at character 6, '= 1'"):
            index.search("key", filter="year = 1")
        with pytest.raises(ValueError, match="filter, at character 6"):
            index.documents("year = 1")
        with pytest.raises(TypeError, match="a filter is a str"):
            index.search("key", filter={"year": 2020})  # type: ignore[arg-type]
        with pytest.warns(UserWarning, match="filter: no document has a field yaer; there is year"):
            assert not index.search("key", filter="yaer == 1")
        with pytest.warns(UserWarning, match="year is a text in no document; it is a number"):
            assert not index.search("key", filter='year == "2024"')
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert not index.search("key", filter="year == 1")
    said = answer(capsys, "search", path, "key", "--filter", text)
    assert [hit["id"] for hit in said["hits"]] == ["c"]
    assert said["filter"] == {"text": text, "documents": 1}
    assert said["hits"][0]["metadata"]["tags"] == ["tax"]
    out, err = run(capsys, "search", path, "key", "--filter", "yaer == 1")
    assert out == "Nothing found.\n"
    assert "no document has a field yaer; there is year" in err and "0 of 4 documents" in err
    said = answer(capsys, "explain", path, "key", "a", "--filter", text)
    assert said["meets_filter"] is False and said["channels"][0]["rank"] is None
    err = run(capsys, "search", path, "key", "--filter", "year = 1", code=FAILED)[1]
    assert err.startswith("lastword: filter, at character 6, '= 1': ") and err.count("\n") == 1
    assert "meets_filter" not in answer(capsys, "explain", path, "key", "a")


def test_a_file_of_queries_is_filtered(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queries, out = path.parent / "q.tsv", path.parent / "out.trec"
    queries.write_text("q1\tkey\n")
    said = answer(
        capsys, "search", path, "--queries", queries, "--run", out, "--filter", "year < 2024"
    )
    assert said["filter"]["documents"] == 1 and out.read_text().split()[2] == "a"
    refused = ("search", path, "--queries", queries, "--run", out, "--facet", "year")
    assert "go with one query" in run(capsys, *refused, code=FAILED)[1]


def test_facets_count_what_the_filter_keeps_and_beside_it_the_hits(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with lw.open(path) as index:
        hits = index.search("rotate", k=1)
        lang, tags = index.facets(["lang", "tags"], hits=hits)
        assert lang.values == (
            FacetValue("de", 2, 1), FacetValue(None, 1, 0), FacetValue("en", 1, 0),
        )  # fmt: skip
        # An empty list counts as none, and a document counts for each of its items.
        assert {each.value: each.documents for each in tags.values} == {"tax": 2, None: 2, "law": 1}
        (year,) = index.facets("year", filter='"tax" in tags')
        assert year.values == (FacetValue(2024, 2),) and year.remark == ""
        (author,) = index.facets("author")
        assert author.nested == 1 and author.values == (FacetValue(None, 3),)
        assert index.facets("lnag")[0].remark == "no document has a field lnag; there is lang"
    out, err = run(capsys, "search", path, "rotate", "--facet", "lang,author", "--show", "year")
    assert "documents  hits" in out and "2020" in out
    assert "author: 1 object or lists in lists not counted." in err
    said = answer(capsys, "list", path, "--facet", "lang", "--filter", "year == 2024")
    assert said["documents"] == 2
    assert [each["documents"] for each in said["facets"][0]["values"]] == [1, 1]
    assert "name of a field" in run(capsys, "list", path, "--facet", "1", code=FAILED)[1]


def test_documents_are_listed_and_got(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(capsys, "list", path, "--show", "year,author.name,tags", "--limit", "2")
    assert "tax, law" in out and "Keys" in out and "2 more documents" in err
    for command in (["list", path], ["search", path, "rotate"]):
        err = run(capsys, *command, "--show", "year,lnag")[1]
        assert err.count("Show: ") == 1
        assert "Show: no document has a field lnag; there is lang." in err
    lines = run(capsys, "list", path, "--json", "--filter", 'lang == "de"')[0].splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "c"]
    assert json.loads(lines[0])["metadata"] == {"lang": "de", "year": 2020}
    assert "year: 2020\n\nrotate the key" in run(capsys, "get", path, "a", "d")[0]
    said = answer(capsys, "get", path, "d")["documents"]
    assert said == [
        {
            "id": "d",
            "title": "",
            "text": "green tea",
            "metadata": dict(list(DOCUMENTS[3].items())[2:]),
        }
    ]
    assert "has no document 'x'" in run(capsys, "get", path, "x", code=FAILED)[1]


def test_documents_are_deleted_by_a_filter(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = answer(capsys, "delete", path, "--filter", "year == 2024", "--dry-run")
    assert said == {"deleted": [], "would_delete": ["b", "c"]}
    assert answer(capsys, "delete", path, "--filter", "year == 2024") == {"deleted": ["b", "c"]}
    for words in ((), ("a", "--filter", "year == 1")):
        assert "either ids" in run(capsys, "delete", path, *words, code=FAILED)[1]
    with lw.open(path) as index:
        assert index.ids() == ["a", "d"]
        with pytest.raises(ValueError, match="not both"):
            index.delete("a", filter="year == 2020")
        assert index.delete(filter="year == 2020") == 1
        assert index.ids() == ["d"]
        assert index.delete(filter="author.name == 'Ben'") == 0
        with pytest.raises(ValueError, match=r"a field yaer; .* nothing was"):
            index.delete(filter="yaer != 2020")  # which would be all
        with pytest.warns(UserWarning, match="no document has a field year"):  # of live ones
            index.search("tea", filter="year == 2020")


def test_a_judged_run_finds_documents_of_the_filter_alone(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    lines = [
        json.dumps(
            {"_id": each["id"], "text": each["text"], "metadata": {"year": each.get("year")}}
        )
        for each in DOCUMENTS
    ]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "the key"}))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t1\nq\tb\t1\n")
    encoders = {"bm25": lw.load_encoder("bm25")}
    options = JudgeOptions(measures=("R@10",), filter="year == 2024")
    record = judge(open_collection(folder), encoders, tmp_path / "i", options)
    assert record.details["filter"] == {"text": "year == 2024", "documents": 2, "remarks": []}
    assert record.measures["R@10"] == 0.5  # the other relevant document cannot be found
    with pytest.raises(ValueError, match="filter, at"):
        judge(open_collection(folder), encoders, tmp_path / "i", JudgeOptions(filter="year"))
