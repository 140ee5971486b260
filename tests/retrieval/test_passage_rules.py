"""The rule of an index: what fits is left alone, what does not is read to its end in passages."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import load_encoder
from embedder.models.loading import LLMOptions
from embedder.types import Encoder, Role
from index.documents import Document, Passages
from index.folder import Index
from index.manifest import Manifest
from index.manifest_file import read_manifest
from retrieval.build import add_documents, build_index
from retrieval.options import BuildOptions
from retrieval.passages.cutting import Cutter, passage_text
from retrieval.passages.held import held_texts
from retrieval.passages.rule import WORDS, choose_passages, measures_of
from tests.synthetic import SignEncoder, documents

Encoders = dict[str, Encoder]
LIMIT = 40
SENTENCES = [f"Sentence {number} is about {number * 7} stones in a river." for number in range(20)]
LONG = Document("long", "A title of it", " ".join(SENTENCES), {"pages": [0]})
SHORT = Document("short", "Tea", "Green tea is steeped.")
PIECES = st.sampled_from(["word ", "Two ", "end. ", "\n\n", "東京。", "é", "# Head\n", "x" * 90])


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    encoder = load_encoder("bundled", options=LLMOptions(max_text_tokens=LIMIT, dtype="float32"))
    return {"dense": encoder, "sparse": encoder, "bm25": load_encoder("bm25")}


def test_what_a_rule_is_called(encoders: Encoders) -> None:
    def chosen(
        asked: Passages | str | None, overlap: int | None = None, of: Encoders = encoders
    ) -> Passages | None:
        return choose_passages(asked, overlap, of)

    words = {"bm25": encoders["bm25"]}
    assert chosen("auto") == Passages(0, LIMIT // 8, LIMIT, "sentences")
    assert chosen("headings", 0) == Passages(0, 0, LIMIT, "headings")
    assert chosen("tokens:20", 4) == Passages(0, 4, 20, "sentences")
    assert chosen("words:80") == Passages(80, 10, 0, "sentences")
    assert chosen("auto", of=words) == Passages(WORDS, WORDS // 8, 0, "sentences")
    assert chosen("auto", of={"dense": SignEncoder()}) is None  # it does not say what it reads
    assert chosen("off") is None and chosen(None) is None
    assert chosen(Passages(4)) == Passages(4)
    for asked, overlap, said in (
        ("tokens:41", None, "the model reads 40 tokens"),
        ("words:0", None, "at least 1 of its words"),
        ("words:", None, "passages are auto, off"),
        ("pages", None, "passages are auto, off"),
        ("off", 3, "an overlap goes with"),
        ("words:4", 4, "an overlap smaller"),
    ):
        with pytest.raises(ValueError, match=said):
            chosen(asked, overlap)
    with pytest.raises(ValueError, match="tokenizer is at hand"):
        build_index(documents(2), {"dense": SignEncoder()}, "x", BuildOptions(passages="tokens:9"))


def test_manifests_of_old_rules_are_the_bytes_they_were(tmp_path: Path) -> None:
    options = BuildOptions(passages=Passages(10, 2))
    build_index(documents(3), {"dense": SignEncoder()}, tmp_path / "i", options)
    written = read_manifest(tmp_path / "i").to_json()
    assert written["passages"] == {"words": 10, "overlap": 2}
    for rule in (Passages(10, 2), Passages(0, 2, 30, "headings"), None):
        data = written | {"passages": rule and rule.to_json()}
        assert Manifest.from_json(data).passages == rule


def test_long_documents_are_read_to_their_end(encoders: Encoders, tmp_path: Path) -> None:
    report = build_index([LONG, SHORT], encoders, tmp_path / "i")
    assert (report.documents, report.cut) == (2, 1)
    assert "truncated" not in report.counts["dense"]
    assert report.rule == Passages(0, 5, LIMIT, "sentences")
    with Index.open(tmp_path / "i") as index:
        texts = list(held_texts(index))
        assert len(texts) == report.passages > 5
        assert texts[-1] == SHORT.content
        assert all(text.startswith("A title of it Sentence") for text in texts[:-1])
        assert all(text.endswith("river.") for text in texts[:-1])
        assert list(held_texts(index, {"short"})) == [SHORT.content]
        assert index.passages == report.rule
    whole = build_index([LONG, SHORT], encoders, tmp_path / "w", BuildOptions(passages="off"))
    assert (whole.passages, whole.cut, whole.counts["dense"]["truncated"]) == (2, 0, 1)


def test_what_fits_gives_the_bytes_of_old(encoders: Encoders, tmp_path: Path) -> None:
    for name, passages in (("auto", "auto"), ("off", None)):
        options = BuildOptions(passages=passages)
        assert build_index(documents(30), encoders, tmp_path / name, options).cut == 0
    files = sorted(path for path in (tmp_path / "off" / "segments").rglob("*") if path.is_file())
    assert len(files) > 5
    for path in files:
        other = tmp_path / "auto" / path.relative_to(tmp_path / "off")
        assert other.read_bytes() == path.read_bytes()


def test_what_is_added_is_cut_by_the_same_rule(encoders: Encoders, tmp_path: Path) -> None:
    build_index([SHORT], encoders, tmp_path / "i")
    report = add_documents([LONG], encoders, tmp_path / "i")
    build_index([SHORT, LONG], encoders, tmp_path / "at once")
    with Index.open(tmp_path / "i") as index, Index.open(tmp_path / "at once") as other:
        assert list(held_texts(index)) == list(held_texts(other))
    assert report.cut == 1
    with pytest.raises(ValueError, match="got passages of at most 9 words, which share at most 1"):
        add_documents([LONG], encoders, tmp_path / "i", BuildOptions(passages="words:9"))
    more = [Document("more", "", LONG.text)]
    same = BuildOptions(passages=f"tokens:{LIMIT}")
    assert add_documents(more, encoders, tmp_path / "i", same).cut == 1


@pytest.mark.parametrize("asked", ["auto", "headings", "words:6", "tokens:10"])
@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(PIECES, max_size=60), title=st.sampled_from(["", "A title"]))
def test_passages_are_read_to_their_end_and_hold_all_text(
    encoders: Encoders, asked: str, pieces: list[str], title: str
) -> None:
    document = Document("d", title, "".join(pieces))
    rule = choose_passages(asked, None, encoders)
    assert rule is not None
    cutter = Cutter(rule, measures_of(encoders))
    found = cutter.spans(document)
    covered = {at for start, end in found for at in range(start, end)}
    text = document.text
    assert all(at in covered for at, character in enumerate(text) if not character.isspace())
    assert all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(found))
    assert found == cutter.spans(document)
    if rule.tokens:
        dense = encoders["dense"]
        assert isinstance(dense, LLMEncoder)
        read = dense.reader.feed(
            [passage_text(document, span) for span in found], Role.DOCUMENT, rule.tokens
        )
        assert not any(row.truncated for row in read)


def test_a_title_that_takes_all_room_is_counted(encoders: Encoders, tmp_path: Path) -> None:
    document = Document("d", " ".join(SENTENCES[:4]), LONG.text)
    report = build_index([document], encoders, tmp_path / "i")
    assert report.counts["dense"]["truncated"] == report.passages > 1
