"""Tuning without judgements: made queries, a pairwise judge, and what signals are worth."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.inputs.conversation import Turn
from embedder.prompts.prompt import Prompt
from eval.synthesis.devset import DevsetOptions, Maker
from index.documents import Document
from index.folder import Index
from lastword.main import main
from retrieval.build import build_index
from tests.planted import plain_prompt
from tuning.objectives.judge import Judge
from tuning.objectives.validity import rows, validity

TEXTS = {
    "d1": (
        "Volcanoes",
        "Volcanoes erupt when magma rises under pressure and breaks through the crust of the "
        "earth above it.",
    ),
    "d2": (
        "Old bridges",
        "Bridges of stone were built by Roman engineers who knew the arch and a mortar that "
        "hardens under water.",
    ),
    "d3": (
        "Bread and yeast",
        "Yeast turns sugar into gas, so that dough rises before bread is baked in an oven for an "
        "hour.",
    ),
    "d4": (
        "Volcanoes",
        "Lava cools into black rock that later weathers into a fertile soil on which wine and "
        "coffee grow well.",
    ),
}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    documents = (Document(one, title, text) for one, (title, text) in TEXTS.items())
    path = tmp_path / "some.index"
    build_index(documents, {"bm25": BM25Encoder()}, path)
    return path


def test_titles_become_queries_once(index: Path) -> None:
    with Index.open(index) as opened:
        devset = Maker(opened, DevsetOptions(queries=9)).devset()
    assert sorted(devset.queries.values()) == ["Bread and yeast", "Old bridges"]
    assert devset.counts["too short"] == 1  # "Volcanoes" is one word
    assert devset.counts["text begins with its title"] == 1  # as a text about them does
    answers = {devset.queries[query]: next(iter(grades)) for query, grades in devset.qrels.items()}
    assert answers == {"Bread and yeast": "d3", "Old bridges": "d2"}


def test_cloze_takes_content_words_and_finds_its_document(index: Path) -> None:
    with Index.open(index) as opened:
        devset = Maker(opened, DevsetOptions(queries=4, style="cloze")).devset()
        again = Maker(opened, DevsetOptions(queries=4, style="cloze")).devset()
    assert devset == again and len(devset.queries) == 4
    for query, text in devset.queries.items():
        (document,) = devset.qrels[query]
        words = TEXTS[document][1].replace(",", "").replace(".", "").split()
        assert set(text.split()) <= set(words) and "the" not in text.split()


class Echo:
    """Answers with what the round trip must find, or must not."""

    name = "echo"

    def __init__(self, said: str) -> None:
        self.said, self.asked = said, list[str]()

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Say always the same."""
        self.asked.append(turns[-1].text)
        return self.said


def test_what_a_chat_model_writes_is_filtered(index: Path) -> None:
    chat = Echo("Query: molten magma pressure\nand more")
    options = DevsetOptions(queries=4, style="chat", examples=(("a text", "a query"),))
    with Index.open(index) as opened:
        devset = Maker(opened, options, chat).devset()
    assert list(devset.queries.values()) == ["molten magma pressure"]
    assert devset.qrels == {"made-1": {"d1": 1}}
    assert all("a query" in asked for asked in chat.asked)


def test_a_copy_is_dropped_and_nothing_left_is_an_error(index: Path) -> None:
    copied = Echo("bridges of stone were built by roman engineers who knew")
    with Index.open(index) as opened, pytest.raises(ValueError, match="no query was kept"):
        Maker(opened, DevsetOptions(style="chat"), copied).devset()


def test_the_command_writes_a_folder_that_tune_reads(index: Path, tmp_path: Path) -> None:
    out = tmp_path / "dev"
    assert main(["devset", str(index), "--out", str(out), "--style", "cloze", "--quiet"]) == 0
    queries = [json.loads(line) for line in (out / "queries.jsonl").read_text().splitlines()]
    assert len(queries) == 4 and (out / "qrels" / "devset.tsv").read_text().count("\n") >= 4
    assert json.loads((out / "devset.json").read_text())["kept"] == 4


class Fond:
    """A judge that prefers the list which holds the right text, or always the first one."""

    name = "fond"

    def __init__(self, right: str) -> None:
        self.right, self.calls = right, 0

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Say A or B."""
        self.calls += 1
        first, second = turns[-1].text.split("List A:")[1].split("List B:")
        if not self.right:
            return "A"
        return "A" if self.right in first else "B" if self.right in second else "tie"


def lists(prompt: Prompt, query_ids: Sequence[str]) -> dict[str, list[str]]:
    good = "good" in prompt.forms[0].query[0].text
    return {query: ["right text" if good else "wrong text", "another"] for query in query_ids}


def test_a_judge_that_prefers_better_lists_raises_better_prompts() -> None:
    chat = Fond("right text")
    judge = Judge(chat, {"q": "a query"}, lists, plain_prompt())
    scores = judge([plain_prompt("good "), plain_prompt("bad ")], ["q"])
    assert scores.tolist() == [[1.0], [0.5]]
    assert chat.calls == 2  # equal lists are not asked about
    turned = Judge(chat, {"q": "a query"}, lists, plain_prompt("good "))
    assert turned([plain_prompt()], ["q"]).tolist() == [[0.0]]


def test_a_judge_that_likes_what_comes_first_says_nothing() -> None:
    judge = Judge(Fond(""), {"q": "a query"}, lists, plain_prompt())
    assert judge([plain_prompt("good ")], ["q"]).tolist() == [[0.5]]
    assert judge.cost(plain_prompt("good "), ["q"]).calls == 2
    assert judge.cost(plain_prompt(), ["q"]).calls == 0  # nobody is asked about the incumbent


@pytest.mark.parametrize(
    ("answer", "preferred"),
    [("B", 1), ("b.", 1), ("List B", 1), ("**B**", 1), ("Answer: B", 1), ("The answer is A", 0.5),
     ("A", 0), (" List A.", 0), ("tie", 0.5), ("", 0.5), ("A or B", 0.5), ("Both", 0.5)],
)  # fmt: skip
def test_a_judge_is_understood_however_it_names_a_list(answer: str, preferred: float) -> None:
    """The same word for both orders is no preference, so it is read of one order."""
    judge = Judge(Echo(answer), {"q": "a query"}, lists, plain_prompt())
    assert judge._compare("q", ["one"], ["two"]) == preferred


def test_signals_are_held_against_the_truth() -> None:
    truth = [0.1, 0.2, 0.3, 0.4, 0.5]
    signals = {"same": [1, 2, 3, 4, 5], "turned": [5, 4, 3, 2, 1], "flat": [1] * 5}
    validities = validity(signals, truth)
    assert [result.tau for result in validities] == [pytest.approx(1), pytest.approx(-1), None]
    assert [result.usable for result in validities] == [True, False, False]
    validities[0].check()
    assert [row[2] for row in rows(validities)] == ["+1.00", "-1.00", "no order"]
    assert [row[4] for row in rows(validities)] == ["yes", "refused", "refused"]
    with pytest.raises(ValueError, match="unlike judgements"):
        validities[1].check()
    one_swap = validity({"swapped": [2, 1, 3, 4, 5]}, truth)[0]
    assert one_swap.tau == pytest.approx(0.8)  # nine pairs of ten agree, one does not
    assert one_swap.interval is not None and np.isfinite(one_swap.interval.low)
