"""A chat model proposes; what it says is read with care, and asked for once."""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from embedder.inputs.conversation import Turn
from embedder.models.chat_client import AddressChat, Chat, GeneratorChat, open_chat
from embedder.models.generation import Generator
from tests.planted import PlantedObjective, plain_prompt
from tuning.proposers import llm
from tuning.search.budget import Budget, Meter
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.result import CHANGE, TuningOutcome
from tuning.search.space import Space
from tuning.search.types import Failure, ProposerContext, Rules, TuningTask


class Reader:
    """Answers with the words that most wanted texts share: it has to read what it is shown."""

    name = "reader"

    def __init__(self) -> None:
        self.questions: list[str] = []

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Suggest one, two, three and four of the commonest words of the wanted texts."""
        self.questions.append(turns[-1].text)
        lines = turns[-1].text.splitlines()
        texts = [line for line in lines if line.startswith(("text: ", "wanted: "))]
        counts = Counter(word for line in texts for word in set(line.split()[1:]))
        common = [word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
        lines_of_answer = [f"{at}. {' '.join(common[:at])} {{text}} :" for at in range(1, 5)]
        return "\n".join([*lines_of_answer, texts[0] if texts else "", "say {text} and {text}", ""])


def tuned(
    objective: PlantedObjective, chat: Chat, seed: int, journal: Journal, calls: int = 12
) -> TuningOutcome:
    task = TuningTask(
        objective,
        objective.relevant,
        objective.space,
        objective.pool(),
        {"llm": partial(llm.Llm, chat=chat)},
        Rules(seed=seed),
    )
    return tune(task, Budget(evaluations=8_000, calls=calls), journal)


@pytest.mark.parametrize("seed", range(2))
def test_it_finds_what_failures_have_in_common(seed: int) -> None:
    objective = PlantedObjective(seed)
    outcome = tuned(objective, Reader(), seed, Journal(None, {}))
    prompts = [objective.space.default, outcome.prompt, objective.best()]
    default, score, best = objective(prompts, list(objective.texts)).mean(axis=1).tolist()
    assert outcome.verdict == CHANGE and (score - default) / (best - default) >= 0.9
    assert outcome.spent.calls <= 12


def test_nothing_is_asked_twice_when_a_run_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first, second = Reader(), Reader()
    with Journal(path, {}) as journal:
        whole = tuned(PlantedObjective(0), first, 0, journal)
    with Journal(path, {}) as journal:
        again = tuned(PlantedObjective(0), second, 0, journal)
    assert first.questions and not second.questions
    assert again.prompt == whole.prompt and again.spent == whole.spent


def test_poor_answers_of_a_small_model_do_no_harm() -> None:
    """The bundled model cannot follow instructions; the run ends all the same."""
    from embedder.checkpoints.bundled import BUNDLED_MODEL

    chat = GeneratorChat(Generator.load(BUNDLED_MODEL), "bundled")
    outcome = tuned(PlantedObjective(0, queries=84), chat, 0, Journal(None, {}), calls=3)
    assert outcome.spent.calls == 3


class Mute:
    """Says nothing that could be tried."""

    name = "mute"

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Return an empty wording."""
        return "1. {text}"


def test_who_has_nothing_to_say_is_not_asked_for_ever() -> None:
    outcome = tuned(PlantedObjective(0, queries=84), Mute(), 0, Journal(None, {}), calls=50)
    assert outcome.spent.calls == llm.IN_VAIN


def read_answer(answer: str, seen: Sequence[Failure] = ()) -> list[tuple[str, str]]:
    """Read an answer as the proposer does that was shown failures."""
    space = Space(plain_prompt(), most_words=12)
    unused = ProposerContext(
        space,
        0,
        ("q",),
        Journal(None, {}).once,  # type: ignore[arg-type]
        PlantedObjective(),  # type: ignore[arg-type]
        lambda *_: seen,
    )
    proposer = llm.Llm(unused, Reader())
    proposer._failures(space.default)
    return [(words.before, words.after) for words in proposer._usable(answer)]


@pytest.mark.parametrize(
    ("said", "before", "after"),
    [
        ('Passage: "{text}"', 'Passage: "', '"'),
        ('"find {text}"', "find ", ""),
        ("3D models of {text}", "3D models of ", ""),
        ("1. 2024 news {text}", "2024 news ", ""),
        ("- 2) news {text}", "news ", ""),
        ("news about", "news about ", " :"),
    ],
)
def test_a_line_is_read_as_it_was_meant(said: str, before: str, after: str) -> None:
    assert read_answer(said) == [(before, after)]


def test_lines_that_say_nothing_and_too_many_are_dropped() -> None:
    assert read_answer("```\n---\n{text}\n\n1.") == []
    assert len(read_answer("\n".join(f"word{at} {{text}}" for at in range(30)))) == 4


@pytest.mark.parametrize(
    "said",
    [
        "what is asked of the sea {text}",
        "The river which flows north {text}",
        "the wrong one was found {text} here",
    ],
)
def test_nothing_that_was_shown_is_repeated(said: str) -> None:
    """Neither queries, nor what was wanted or found; punctuation does not hide it."""
    long = " ".join(["word"] * 50)  # more words than are shown
    failure = Failure(
        "What is asked of the sea?", f"{long} The river, which flows north.",
        "The wrong one was found.", 2,
    )  # fmt: skip
    assert read_answer(said, [failure]) == []


def test_no_text_of_the_search_is_repeated_though_it_was_not_shown() -> None:
    """Only failures that were shown were looked at, and a model may know the collection."""
    hidden = "a boundary layer on a slender wing"
    journal, meter = Journal(None, {}), Meter(Budget())
    context = ProposerContext(
        Space(plain_prompt(), most_words=12),
        0,
        ("q",),
        lambda kind, key, cost, work: journal.once(kind, key, meter, cost, work),
        PlantedObjective(),  # type: ignore[arg-type]
        lambda *_: [],
        texts=lambda: [hidden],
        card=lambda: ["flow of air", "heat of a plate"],
    )
    reader = Reader()
    asked = llm.Llm(context, reader)
    asked._induced()
    assert "- flow of air\n- heat of a plate" in reader.questions[0]
    assert asked._usable("layer on a slender wing {text}") == []
    assert len(asked._usable("layer on slender wing {text}")) == 1


class Served(BaseHTTPRequestHandler):
    """Answers as an OpenAI-compatible server does, with what it was asked."""

    def do_POST(self) -> None:
        """Answer one request."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if request["messages"][0]["content"] == "fail":
            self.send_error(503)
            return
        content = f"{request['messages'][0]['content']} {self.headers['Authorization']} {self.path}"
        body = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def test_an_address_is_asked(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTWORD_API_KEY", "secret")
    chat = open_chat(address)
    answer = chat.answer([Turn("user", "hello")], seed=0, most_tokens=5)
    assert answer == "hello Bearer secret /v1/chat/completions"
    assert "secret" not in chat.name


def test_an_address_that_fails_says_so_in_one_line(address: str) -> None:
    with pytest.raises(ValueError, match="answered 503"):
        AddressChat(address).answer([Turn("user", "fail")], 0, 5)
    with pytest.raises(ValueError, match="cannot be asked"):
        AddressChat("http://127.0.0.1:9/v1").answer([Turn("user", "x")], 0, 5)


@pytest.mark.parametrize("named", ["ftp://example.com/v1", "http://example.com/v1", "http://"])
def test_addresses_that_are_open_to_all_are_refused(named: str) -> None:
    with pytest.raises(ValueError, match=r"an address is like|for all to read"):
        AddressChat(named)
