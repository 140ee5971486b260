"""Made queries: any language, any channels, every document accounted for, topics in proportion."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.encoders.bm25 import BM25Encoder
from embedder.inputs.conversation import Turn
from embedder.types import Encoder
from eval.synthesis.devset import DevsetOptions, EmptyDevsetError, Maker, Style, _evenly
from index.documents import Document
from index.folder import Index
from lastword.main import main
from retrieval.build import build_index
from retrieval.options import BuildOptions
from tests.synthetic import SignEncoder, documents

GERMAN = [
    Document("a", "Rote Äpfel", "Sie reifen langsam. Die Bäume tragen im Herbst viele Früchte."),
    Document(
        "b", "Alte Brücken",
        "Die Brücken wurden von den Römern gebaut, welche den Bogen und den Mörtel kannten.",
    ),
]  # fmt: skip


def built(held: Sequence[Document], encoders: dict[str, Encoder], path: Path) -> Path:
    build_index(held, encoders, path)
    return path


def test_the_round_trip_analyses_text_as_the_index_does(tmp_path: Path) -> None:
    german = BM25Encoder("german")
    path = built(GERMAN, {"bm25": german}, tmp_path / "x.index")
    with Index.open(path) as index:
        made = Maker(index, DevsetOptions(queries=9), words=german).devset()
        assert sorted(made.queries.values()) == ["Alte Brücken", "Rote Äpfel"]
        with pytest.raises(ValueError, match="analyses text otherwise"):
            Maker(index, DevsetOptions())


def test_the_command_takes_the_language_of_the_index(tmp_path: Path) -> None:
    lines = [f'{{"_id": "{one.id}", "title": "{one.title}", "text": "{one.text}"}}\n'
             for one in GERMAN]  # fmt: skip
    source = tmp_path / "texts.jsonl"
    source.write_text("".join(lines), encoding="utf-8")
    path, out = tmp_path / "x.index", tmp_path / "dev"
    making = ["index", str(source), "--out", str(path), "--channels", "bm25"]
    assert main([*making, "--language", "german", "--quiet"]) == 0
    assert main(["devset", str(path), "--out", str(out), "--quiet"]) == 0
    assert "Rote \\u00c4pfel" in (out / "queries.jsonl").read_text()


def test_documents_without_text_are_passed_over(tmp_path: Path) -> None:
    """Rows that another program wrote have no texts; a command ended in advice for `index`."""
    held = [*GERMAN, Document("empty", "", "")]
    path, keep = tmp_path / "d.index", BuildOptions(on_empty="keep")
    build_index(held, {"dense": SignEncoder()}, path, keep)
    with Index.open(path) as index:
        made = Maker(index, DevsetOptions(queries=9)).devset()
    assert sorted(made.queries.values()) == ["Alte Brücken", "Rote Äpfel"]
    bare = tmp_path / "bare.index"
    build_index([Document("empty", "", "")], {"dense": SignEncoder()}, bare, keep)
    with Index.open(bare) as index, pytest.raises(EmptyDevsetError, match="documents tried 1, no"):
        Maker(index, DevsetOptions(queries=9)).devset()


def test_an_index_without_bm25_is_checked_all_the_same(tmp_path: Path) -> None:
    held = list(documents(60))
    dense = built(held, {"dense": SignEncoder()}, tmp_path / "d.index")
    both = built(held, {"dense": SignEncoder(), "bm25": BM25Encoder()}, tmp_path / "b.index")
    with Index.open(dense) as one, Index.open(both) as other:
        options = DevsetOptions(queries=15)
        made, same = Maker(one, options).devset(), Maker(other, options).devset()
    assert made == same and made.counts["kept"] == 15


class Sometimes:
    """Answers two times of three."""

    name = "sometimes"

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Say what no document answers, or nothing."""
        return "\n" if seed % 3 == 0 else "strange kind garden"


@pytest.mark.parametrize("style", ["title", "cloze", "chat"])
def test_every_document_that_was_tried_is_accounted_for(style: Style, tmp_path: Path) -> None:
    long = Document("long", "", " ".join(f"word{at}" for at in range(14)))
    held = [*documents(30), *GERMAN, long, Document("same", "A title", "A title and more of it")]
    said = "There was nothing of this strange kind in the garden, but there was one of another."
    held.append(Document("find", "Other", said))
    path = built(held, {"bm25": BM25Encoder()}, tmp_path / "x.index")
    with Index.open(path) as index:
        chat = Sometimes() if style == "chat" else None
        made = Maker(index, DevsetOptions(queries=99, style=style), chat).devset()
    counts = dict(made.counts)
    assert counts.pop("documents tried") == len(held) == sum(counts.values())


def test_topics_come_up_in_proportion(tmp_path: Path) -> None:
    """One document in four is about dough, and so is about one in four of any beginning."""
    held = [
        Document(f"d{at}", "", "lava ash crater magma" if at % 4 else "dough oven yeast salt")
        for at in range(64)
    ]
    path = built(held, {"dense": SignEncoder(), "bm25": BM25Encoder()}, tmp_path / "x.index")
    options = DevsetOptions(queries=16)
    with Index.open(path) as index:
        drawn = [*Maker(index, options)._drawn()]
        assert drawn == [*Maker(index, options)._drawn()]
    assert sorted(one.id for one in drawn) == sorted(one.id for one in held)
    for n in range(8, 65, 8):
        dough = sum("dough" in one.text for one in drawn[:n])
        assert abs(dough - n / 4) <= 1


@given(st.lists(st.integers(0, 4), max_size=60), st.integers(0, 99))
def test_every_beginning_holds_topics_by_their_share(topics: list[int], seed: int) -> None:
    order = _evenly(topics, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(topics)))
    sizes, met = Counter(topics), Counter[int]()
    for number, at in enumerate(order, start=1):
        met[topics[at]] += 1
        for topic, size in sizes.items():
            assert abs(met[topic] - number * size / len(topics)) <= len(sizes)


def test_small_topics_are_in_a_beginning_as_often_as_others() -> None:
    topics = [0] * 20 + list(range(1, 21))  # half are alone in their topic
    drawn = [_evenly(topics, np.random.default_rng(seed))[:10] for seed in range(200)]
    alone = sum(topics[at] > 0 for first in drawn for at in first)
    assert abs(alone / 2000 - 0.5) < 0.05


def test_a_broken_line_of_examples_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = built(GERMAN, {"bm25": BM25Encoder()}, tmp_path / "x.index")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"query": "q", "positive": "p"}\n{"query": "q"\n')
    asked = ["devset", str(path), "--out", str(tmp_path / "dev"), "--examples", str(pairs)]
    assert main(asked) == 2
    assert "pairs.jsonl:2: expected one JSON object" in capsys.readouterr().err
