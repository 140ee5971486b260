"""A hit names the passage that it was found by, with its page and the words that match."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import lastword as lw
from index.documents import Passages
from lastword.hit_passages import HitPassage, WordMatcher, find_page, show_passage
from lastword.main import main

PARTS = [f"Part {name} is about {name}. It goes on." for name in ("tea", "keys", "lava", "stones")]
TEXT = "\n\n".join(PARTS)
STARTS = [TEXT.index(part) for part in PARTS]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lw.SearchEngine]:
    documents: list[dict[str, object]] = [
        {"id": "long", "title": "All", "text": TEXT, "pages": STARTS},
        {"id": "short", "text": "a river of stones"},
    ]
    options = lw.BuildOptions(passages="words:9", overlap=0)
    with lw.build(tmp_path_factory.mktemp("i") / "i", documents, "bm25", options=options) as made:
        yield made


@pytest.mark.parametrize(("query", "part"), [("tea", 0), ("key", 1), ("stone", 3)])
def test_a_hit_names_its_passage(index: lw.SearchEngine, query: str, part: int) -> None:
    hit = next(hit for hit in index.search(query) if hit.id == "long")
    passage = hit.passage
    assert hit.text[passage.start : passage.end] == passage.text == PARTS[part]
    assert passage.page == part + 1
    assert {hit.text[start:end] for start, end in passage.matches} == {PARTS[part].split()[1]}
    assert not passage.whole
    assert hit.snippet.startswith(f"p. {part + 1}: {'… ' * (part > 0)}Part ")


def test_an_explanation_shows_the_passage(
    index: lw.SearchEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """It showed the beginning of the document, whichever passage the words stood in."""
    assert main(["explain", str(index.path), "stone", "long"]) == 0
    assert f"All {PARTS[3]}" in capsys.readouterr().out
    assert f"All {PARTS[3]}" in str(index.explain("stone", "long"))
    assert main(["explain", str(index.path), "nothing", "long"]) == 0
    assert f"All {PARTS[0]}" in capsys.readouterr().out


def test_a_document_that_was_not_cut_is_its_own_passage(index: lw.SearchEngine) -> None:
    hit = next(hit for hit in index.search("river") if hit.id == "short")
    assert (hit.passage.start, hit.passage.end, hit.passage.page) == (0, 17, None)
    assert hit.passage.whole and hit.snippet == "a river of stones"
    assert hit.passage.matches == [(2, 7)]


def test_the_passage_is_that_to_which_most_of_the_score_is_due(tmp_path: Path) -> None:
    options = lw.BuildOptions(passages=Passages(9, at="sentences"))
    with lw.build(tmp_path / "i", [TEXT, "black rock"], options=options) as made:
        hit = made.search("what is said of lava?")[0]
        assert hit.id == "0" and "lava" in hit.passage.text
        explained = made.explain("what is said of lava?", "0")
        best = max(explained.channels, key=lambda part: part.share)
        assert best.passage == (hit.passage.start, hit.passage.end)
        assert made.search("of lava", rerank="maxsim")[0].passage.text == hit.passage.text


def test_pages_that_are_none_are_left_out() -> None:
    def page(pages: object, place: int = 5) -> int | None:
        return find_page(lw.Document("d", "", "x" * 20, {"pages": pages}), place)

    assert [page([0, 5, 9], at) for at in (0, 4, 5, 8, 9, 19)] == [1, 1, 2, 2, 3, 3]
    assert page([2, 9], 0) == 1
    for wrong in (None, "12", [], [0, "5"], [5, 2], [0.0], {"a": 1}, [True]):
        assert page(wrong) is None


def test_words_match_as_bm25_compares_them() -> None:
    matcher = WordMatcher("The keys of 東京", {})
    text = "A key to the Keyhole, 東京都 keys"
    assert [text[start:end] for start, end in matcher.find(text)] == ["key", "東京", "keys"]
    assert WordMatcher("", {}).find(text) == []


def test_a_passage_is_shown_from_where_most_matches_stand() -> None:
    far = "key " + "word " * 60 + "a key and a key and more of it"
    document, matcher = lw.Document("d", "Title", far), WordMatcher("key", {})

    def shown(passage: HitPassage) -> str:
        return show_passage(document, passage)

    passage = HitPassage(0, len(far), None, far, False, matcher)
    assert shown(passage) == "… word word a key and a key and more of it"
    assert shown(HitPassage(9, 14, 7, "a key", False, matcher)) == "p. 7: … a key"
    assert shown(HitPassage(0, len(far), 7, far, True, matcher)) == "Title " + far
