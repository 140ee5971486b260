"""What finalists find outside a pool is told from rows that are held, and ranks them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from embedder.prompts.prompt import Prompt
from embedder.types import Role
from index.folder import Index
from tests.arithmetic import SPACE, Arithmetic, task
from tests.synthetic import queries
from tests.tuning.test_objective import PLAIN, build, objective_of, read_prompt
from tuning.objectives.document_indexes import PooledDocuments
from tuning.objectives.pool_refresh import RowMap
from tuning.objectives.pooled_objective import PooledObjective, pool_documents
from tuning.search.budget import Budget, Cost, Meter
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.refresh import Refreshes, room_for_finalists
from tuning.search.result import TuningOutcome
from tuning.search.space import Around
from tuning.search.split import three_parts
from tuning.search.types import FIRST_PROMPTS, Proposal, Scores


def test_rows_that_hang_together_by_a_map_are_told() -> None:
    """A rotation and a shift, by arithmetic; what was not seen is told as what was."""
    rng = np.random.default_rng(0)
    known = rng.standard_normal((300, 12)).astype(np.float32)
    turn, _ = np.linalg.qr(rng.standard_normal((12, 12)))
    wanted = (known @ turn + 0.5).astype(np.float32)
    told = RowMap(known[:100], wanted[:100])(known)
    truth = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    assert float((told * truth).sum(axis=1).min()) > 0.999
    assert not RowMap(known, wanted)(np.zeros((1, 12), np.float32)).any()


@pytest.fixture
def pool(tmp_path: Path) -> tuple[Index, PooledObjective, Prompt]:
    encoder = read_prompt(PLAIN)
    encoders = build(encoder, tmp_path / "i", None)
    index = Index.open(tmp_path / "i")
    inner = objective_of(index, encoders, encoder, depth=40)
    some = PooledDocuments(frozenset(index.ids()[:20]), False, 16)
    return index, PooledObjective(inner, some, 512), encoder.prompt


def test_what_prompts_find_outside_a_pool_is_added(
    pool: tuple[Index, PooledObjective, Prompt],
) -> None:
    """Of the index's own prompt the nearest documents, as its rows say; charged, and once."""
    index, objective, prompt = pool
    ids = list(queries(4))
    found = objective.missed([prompt], ids)
    encoder = objective.inner.encoder(prompt)
    asked = encoder.encode(list(queries(4).values()), Role.QUERY)
    rows = index.search("dense", asked, 10).rows
    nearest = {index.row_ids("dense")[int(row)] for row in rows.ravel()}
    assert len({*found} & nearest) > 0.6 * len(nearest - objective.documents.ids) > 0
    assert not objective.documents.ids & {*found}
    cost = objective.refreshing([prompt, prompt], ids)
    assert cost == Cost(tokens=2 * objective.cost(prompt, ids).tokens)
    larger = objective.enlarged(found)
    assert larger.documents.ids == objective.documents.ids | {*found}
    assert larger.documents.tokens == 512 and not larger.documents.whole
    assert objective.full_cost(prompt).tokens > objective.documents_cost(prompt).tokens
    index.close()


def test_a_pool_tells_what_choosing_it_took(pool: tuple[Index, PooledObjective, Prompt]) -> None:
    """All queries were read for it, and nobody paid."""
    index, objective, prompt = pool
    chosen = PooledObjective(objective.inner, pool_documents(objective.inner, prompt, seed=0))
    assert chosen.filling() == Cost(tokens=objective.cost(prompt, list(queries(4))).tokens)
    assert isinstance(chosen, Refreshes) and chosen.missed([prompt], list(queries(4))) == []
    index.close()


def test_layers_and_terms_share_a_reading_of_documents_and_token_prepending_does_not(
    tmp_path: Path,
) -> None:
    """It changes what each block computes, from the first one on, for each of its ranges."""
    text = PLAIN.replace("{text}", "{placeholder}{text}")
    encoder = read_prompt(PLAIN)
    encoders = build(encoder, tmp_path / "i", None)
    with Index.open(tmp_path / "i") as index:
        objective = PooledObjective(
            objective_of(index, encoders, encoder),
            PooledDocuments(frozenset(index.ids()), False, 64),
        )
        reading = encoder.prompt.reading
        layers = [
            replace(encoder.prompt, reading=replace(reading, layer=layer)) for layer in (-1, -2)
        ]
        keys, together = objective.joint_preparation(layers)
        apart = sum(objective.documents_cost(prompt).tokens for prompt in layers)
        assert len(keys) == 2 and together.tokens < 0.7 * apart
        prepended = [
            read_prompt(f"{text}[prepend]\nstart = 1\nexit = {end}\n").prompt for end in (2, 3)
        ]
        keys, together = objective.joint_preparation(prepended)
        apart = sum(objective.documents_cost(prompt).tokens for prompt in prepended)
        assert len(keys) == 2 and together.tokens == apart


@dataclass
class Small(Arithmetic):
    """Some documents: a prompt that is good there and bad among all, and the other way round."""

    larger: Arithmetic | None = None

    def filling(self) -> Cost:
        """A token."""
        return Cost(tokens=1)

    def full_cost(self, prompt: Prompt) -> Cost:
        """A thousand tokens a prompt."""
        return Cost(tokens=1000)

    def refreshing(self, prompts: list[Prompt], query_ids: list[str]) -> Cost:
        """Ten tokens."""
        return Cost(tokens=10)

    def missed(self, prompts: list[Prompt], query_ids: list[str]) -> list[str]:
        """Two documents."""
        return ["d1", "d2"]

    def enlarged(self, document_ids: list[str]) -> "Small":
        """Return what finalists are ranked by."""
        assert document_ids == ["d1", "d2"] and isinstance(self.larger, Small)
        return self.larger

    def preparation(self, prompt: Prompt) -> tuple[str, Cost]:
        """Documents of each prompt."""
        return prompt.hash, Cost(tokens=1000)

    def joint_preparation(self, prompts: list[Prompt]) -> tuple[list[str], Cost]:
        """A little less together."""
        return [each.hash for each in prompts], Cost(tokens=900 * len(prompts))

    def read_together(self, prompts: list[Prompt]) -> None:
        """Read nothing."""


def run(tokens: int) -> tuple[TuningOutcome, float]:
    larger = Small({"good": 0.05, "fine": 0.3}, spread=0.05)
    small = Small({"good": 0.2, "fine": 0.2}, seed=1, larger=larger)
    words = [Around(f"{word} ", "") for word in ("good", "fine")]
    prompts = [SPACE.reworded(SPACE.default, {Role.QUERY: each}) for each in words]
    first = tuple(Proposal(each, FIRST_PROMPTS) for each in (SPACE.default, *prompts))
    asked = replace(task(small, {}), first_prompts=first, final=larger)
    outcome = tune(asked, Budget(tokens=tokens), Journal(None, {}))
    select = three_parts(small.relevant, 0).select
    means = [each([SPACE.default, *prompts], select).mean(axis=1) for each in (small, larger)]
    return outcome, _tau(*means)


def test_finalists_are_ranked_with_what_they_find() -> None:
    """By the search's documents both words are as good; by all one is much better."""
    outcome, tau = run(100_000)
    assert outcome.refresh is not None and outcome.refresh.added == 2
    assert outcome.refresh.tau == pytest.approx(tau)
    assert outcome.prompt == _of_word(outcome, "fine") and outcome.confirmed is not None
    assert "2 documents that finalists would find" in str(outcome)
    assert outcome.to_json()["refresh"] == {"added": 2, "prompts": 3, "tau": pytest.approx(tau)}
    documents = 3 * 900 + 3 * 900 + 2 * 1000  # two of three first prompts, finalists, the judge
    queries_read = outcome.spent.tokens - 1 - 10
    assert queries_read > documents


def test_without_the_budget_they_are_ranked_as_the_search_did() -> None:
    outcome, _ = run(9_000)
    assert outcome.refresh is None
    assert any("finalists were ranked on the documents" in each for each in outcome.remarks)
    assert outcome.spent.tokens <= 9_000


def _tau(first: Scores, second: Scores) -> float:
    """Kendall's tau of three prompts by hand: pairs in the same order, less the others."""
    pairs = [(0, 1), (0, 2), (1, 2)]
    signs = [np.sign((first[a] - first[b]) * (second[a] - second[b])) for a, b in pairs]
    return float(sum(signs)) / 3


def _of_word(outcome: TuningOutcome, word: str) -> Prompt:
    [found] = {
        each.proposal.prompt
        for each in outcome.scored
        if SPACE.around(each.proposal.prompt, Role.QUERY).before.startswith(word)
    }
    return found


def test_room_is_kept_for_finalists_where_it_is_a_quarter_at_most() -> None:
    count = 5
    assert room_for_finalists(Small(), SPACE.default, count, Meter(Budget(tokens=20_000))) == Cost(
        tokens=5_000
    )
    assert room_for_finalists(Small(), SPACE.default, count, Meter(Budget(tokens=19_999))) == Cost()
    assert room_for_finalists(Arithmetic(), SPACE.default, count, Meter(Budget())) == Cost()
