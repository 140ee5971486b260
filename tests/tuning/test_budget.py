"""A budget covers everything: scores, failures that are read, and a chat model's tokens."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from embedder.encoders.reader import PromptReader
from embedder.inputs.conversation import Turn
from embedder.inputs.tokenized import ModelInput
from embedder.models.chat_client import ChatAnswer, GeneratorChat, token_bound
from embedder.models.generation import GenerationOptions, Generator
from embedder.prompts.prompt import Prompt
from embedder.types import Role
from tests.arithmetic import SPACE, Arithmetic, task
from tests.killed_tuning import LIBRARY
from tests.models import load_llm
from tuning.objectives.judge import Judge
from tuning.objectives.prompt_encoder import QueryLengths
from tuning.proposers.evolve import Evolve
from tuning.proposers.llm import Llm
from tuning.search.budget import Budget, Cost, Meter, SpentError
from tuning.search.journal import Journal, Settled
from tuning.search.pipeline import tune
from tuning.search.result import TuningOutcome
from tuning.search.scorer import Scorer
from tuning.search.space import Around
from tuning.search.split import three_parts
from tuning.search.types import Failure, MakeProposer, Proposal, ProposerContext

WORDS = ("good", "fine", "bad", "late", "early", "deep")


@dataclass
class Failing(Arithmetic):
    """Arithmetic whose failures are read as scores are, and counted with them."""

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return a failure for each query, read again."""
        self([prompt], query_ids)
        return [Failure(f"what of {query}", f"answer {query}", "no", 3) for query in query_ids]


@dataclass
class Talker:
    """A chat model that takes a token for each word, and promises no more than it may write."""

    name: str = "talker"
    calls: int = 0
    tokens: int = 0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Answer with four wordings."""
        return self.counted_answer(turns, seed, most_tokens).text

    def token_bound(self, turns: Sequence[Turn], most_tokens: int) -> int:
        """Count the words of the question."""
        return sum(len(turn.text.split()) for turn in turns) + most_tokens

    def counted_answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> ChatAnswer:
        """Answer with four wordings, and count."""
        text = "\n".join(f"{' '.join(self.rng.choice(WORDS, 3))} {{text}} :" for _ in range(4))
        used = self.token_bound(turns, 0) + len(text.split())
        self.calls += 1
        self.tokens += used
        return ChatAnswer(text, used)


def run(
    objective: Arithmetic, budget: Budget, chat: Talker, journal: Journal | None = None
) -> TuningOutcome:
    makers: dict[str, MakeProposer] = {
        "llm": partial(Llm, chat=chat),
        "evolve": partial(Evolve, library=LIBRARY),
    }
    return tune(task(objective, makers), budget, journal or Journal(None, {}))


@pytest.mark.parametrize(("queries", "runs"), [(24, 60), (84, 140)])
def test_no_budget_is_exceeded_by_one_unit_with_failures_and_chat(queries: int, runs: int) -> None:
    """200 random budgets. Failures were read for nothing, and a chat model's tokens too."""
    rng = np.random.default_rng(queries)
    talked = 0
    for _ in range(runs):
        objective, chat = Failing({"good": 0.1}, queries=queries), Talker()
        limits = rng.integers([300, 0, 50, 0], [4_000, 8, 600, 3_000]).tolist()
        tokens, calls, evaluations, chat_tokens = limits
        budget = Budget(tokens, calls, evaluations, None, chat_tokens)
        try:
            outcome = run(objective, budget, chat)
        except SpentError:
            spent = None
        else:
            spent = outcome.spent
        asked = sum(len(ids) for _, ids in objective.asked)
        assert asked <= limits[2] and 5 * asked <= limits[0]
        assert chat.calls <= limits[1] and chat.tokens <= limits[3]
        if spent is not None:
            assert (spent.evaluations, spent.calls, spent.chat_tokens) == (
                asked, chat.calls, chat.tokens,
            )  # fmt: skip
        talked += chat.calls > 0
    assert talked > 20


def test_a_run_that_is_taken_up_costs_the_same(tmp_path: Path) -> None:
    """What was settled is read from the journal, and nobody is asked again."""
    path, budget = tmp_path / "journal.jsonl", Budget(evaluations=3_000, calls=5, chat_tokens=5_000)
    chat = Talker()
    with Journal(path, {}) as journal:
        whole = run(Failing(queries=84), budget, chat, journal)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    assert chat.calls == 5 and whole.spent.chat_tokens == chat.tokens > 0
    path.write_bytes(b"".join(lines[: len(lines) // 2]))
    again = Talker()
    asked = sum(b'"kind": "chat"' in line for line in lines[: len(lines) // 2])
    again.rng = np.random.default_rng(0)
    for _ in range(asked):
        again.rng.choice(WORDS, (4, 3))
    with Journal(path, {}) as journal:
        taken_up = run(Failing(queries=84), budget, again, journal)
    assert taken_up.spent == whole.spent and again.calls == 5 - asked


def test_what_was_charged_and_not_used_is_given_back() -> None:
    meter = Meter(Budget(chat_tokens=100))
    most = Cost(calls=1, chat_tokens=80)
    work = lambda: Settled("said", Cost(calls=1, chat_tokens=30))  # noqa: E731
    assert Journal(None, {}).once("chat", "key", meter, most, work) == "said"
    assert meter.spent == Cost(calls=1, chat_tokens=30)
    with pytest.raises(
        SpentError, match=r"1 calls, 80 chat-tokens, and of 100 chat-tokens 1 calls"
    ):
        Journal(None, {}).once("chat", "key", meter, most, work)
    meter.settle(Cost(), Cost(chat_tokens=50))  # more than was charged is not believed
    assert meter.spent == Cost(calls=1, chat_tokens=30)


def test_the_bundled_model_keeps_within_its_bound() -> None:
    """The tokens of question and answer by its own tokenizer, counted by hand."""
    from embedder.checkpoints.bundled import BUNDLED_MODEL

    generator = Generator.load(BUNDLED_MODEL)
    chat, turns = GeneratorChat(generator, "bundled"), [Turn("user", "Say a word about tea.")]
    answer = chat.counted_answer(turns, 0, 12)
    read = generator.count_tokens(turns)
    written = generator.answers([turns], GenerationOptions(12, 1.0, seed=0))[0]
    assert answer.text == written.text == chat.answer(turns, 0, 12)
    assert answer.tokens == read + written.tokens <= token_bound(chat, turns, 12) == read + 12


def test_a_judge_is_charged_before_and_settled_after() -> None:
    """It was charged calls, and no tokens; the bound holds for texts of any script."""
    queries = {f"q{at}": "what is it?" for at in range(3)}
    lists = lambda prompt, ids: {  # noqa: E731
        query: ["\U0001f375" * 900, f"text {prompt.name} {query}" * (query != "q0")]
        for query in ids
    }
    chat = Talker()
    judge = Judge(chat, queries, lists, SPACE.default)
    scorer = Scorer(judge, Journal(None, {}), Meter(Budget()))
    other = SPACE.empty()
    bound = judge.cost(other, list(queries))
    scorer.scores(other, list(queries))
    spent = scorer.meter.spent
    assert spent == Cost(calls=chat.calls, evaluations=3, chat_tokens=chat.tokens)
    assert all(asdict(bound)[unit] >= amount for unit, amount in asdict(spent).items())


class Thief:
    """A proposer that takes what it is given to pieces."""

    name = "thief"

    def __init__(self, context: ProposerContext, forbidden: str) -> None:
        self.context, self.forbidden = context, forbidden

    def ask(self, n: int) -> list[Proposal]:
        """Look for the scores of a query outside SEARCH behind `once`."""
        owner = getattr(self.context.once, "__self__", None)
        assert owner is None, "what knows all scores hangs on a method of the context"
        inside = [cell.cell_contents for cell in self.context.once.__closure__ or ()]
        assert not any(hasattr(each, "scores") or hasattr(each, "objective") for each in inside)
        with pytest.raises(ValueError, match="queries of SEARCH only"):
            self.context.failures(SPACE.default, [self.forbidden])
        return []

    def tell(self, results: object) -> None:
        """Learn nothing."""


@pytest.mark.parametrize("part", ["select", "confirm"])
def test_confirm_is_not_reached_through_once(part: str) -> None:
    """`context.once` was a method of what scores all queries: `once.__self__.objective`."""
    objective = Failing()
    forbidden = getattr(three_parts(objective.relevant, 0), part)[0]
    makers: dict[str, MakeProposer] = {"thief": partial(Thief, forbidden=forbidden)}
    tune(task(objective, makers), Budget(), Journal(None, {}))


def test_chat_tokens_are_a_unit_of_a_budget() -> None:
    budget = Budget.parse("2M-tokens,30k-chat-tokens,5-calls")
    assert budget == Budget(tokens=2_000_000, calls=5, chat_tokens=30_000)
    assert str(budget) == "2,000,000 tokens, 5 calls, 30,000 chat-tokens"
    assert str(Cost(3, chat_tokens=4)) == "3 tokens, 4 chat-tokens" and str(Cost()) == "nothing"


@pytest.mark.parametrize("queries", [160, 40])
def test_a_long_first_prompt_leaves_a_small_budget_its_search(queries: int) -> None:
    """What it would take at the end was kept, so that at most the default was paid for.

    Of 160 queries 560 tokens for the default on SEARCH, and at the end 4,120 with prompts as long
    as the long one, or 1,960 with ones like the default.
    """
    around = Around("a b c d e f g h i j ", " :")
    long = Proposal(SPACE.reworded(SPACE.default, {Role.QUERY: around}), "pool", "long")
    asked = task(
        Arithmetic({"good": 0.3}, queries=queries), {"evolve": partial(Evolve, library=LIBRARY)}
    )
    asked = replace(asked, first_prompts=(*asked.first_prompts, long))
    budget = Budget(tokens=4_500 if queries == 160 else 900)
    outcome = tune(asked, budget, Journal(None, {}))
    assert sum(each.finished for each in outcome.last_search) > 1
    assert outcome.spent.tokens <= (budget.tokens or 0)


def test_a_query_is_cut_into_tokens_once_for_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question of a budget cut it again, also of a finished run before it was shown."""
    encoder = load_llm("bundled")
    texts = {"q0": "tea", "q1": "a cup of green tea", "q2": "which tea?"}
    inputs = encoder.reader.feed([*texts.values()], Role.QUERY, 512)
    tokens = dict(zip(texts, (one.tokens for one in inputs), strict=True))
    cut, feed = list[str](), PromptReader.feed

    def count(
        reader: PromptReader, some: Sequence[str], role: Role, limit: int
    ) -> list[ModelInput]:
        cut.extend(some)
        return feed(reader, some, role, limit)

    monkeypatch.setattr(PromptReader, "feed", count)
    lengths = QueryLengths(texts, lambda prompt: encoder)
    for asked in (["q1"], ["q0", "q1", "q2"], ["q2", "q0"], []):
        total = lengths.total(encoder.prompt, asked)
        assert total == sum(tokens[query] for query in asked)
    assert cut == [texts["q1"], texts["q0"], texts["q2"]]
