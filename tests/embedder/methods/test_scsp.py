"""The selected tokens against one naive pass over the text with all asks and an explicit mask."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedModel

from embedder.methods.scsp import select_tokens, token_importance
from embedder.prompts.method_rules import SelectionRules
from tests.shapes import SHAPES, WINDOW, save_shape

LENGTH = 40
TEXT = torch.randint(6, 400, (1, LENGTH), generator=torch.Generator().manual_seed(0))
ASK = [17, 230, 99]
# A prompt of 2 tokens, chunks shorter and longer than the sliding windows, a gap, equal lengths.
CHUNKS = [(2, 3), (3, 9), (9, 29), (31, 37), (37, 40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shapes")


def loaded(name: str, folder: Path, attention: str | None = None) -> PreTrainedModel:
    where = folder / name
    if not where.exists():
        where.mkdir()
        save_shape(name, where)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        where, attn_implementation=attention
    )
    return model.eval()


def read(model: PreTrainedModel, ids: Tensor = TEXT) -> DynamicCache:
    cache = DynamicCache()
    with torch.no_grad():
        model.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
    return cache


def visible(chunks: list[tuple[int, int]], positions: list[int]) -> Tensor:
    """Say who sees whom in a text with all asks appended: (tokens, tokens) bool."""
    seen = torch.zeros(len(positions), len(positions), dtype=torch.bool)
    for me in range(len(positions)):
        for other in range(me + 1):
            if me < LENGTH:
                seen[me, other] = True
            else:
                number = (me - LENGTH) // len(ASK)
                start, end = chunks[number]
                same_ask = other >= LENGTH and (other - LENGTH) // len(ASK) == number
                seen[me, other] = start <= other < end or same_ask
    return seen


def naive(model: PreTrainedModel, chunks: list[tuple[int, int]]) -> list[list[float]]:
    """Measure importance in one pass, token by token; the model must be loaded as eager."""
    positions = [*range(LENGTH), *(end + i for _, end in chunks for i in range(len(ASK)))]
    apart = torch.tensor(positions)[:, None] - torch.tensor(positions)
    full = visible(chunks, positions)
    least = torch.finfo(torch.float32).min
    masks = {
        kind: torch.where(seen, 0.0, least)[None, None]
        for kind, seen in {
            "full_attention": full,
            "sliding_attention": full & (apart < WINDOW),
        }.items()
    }
    mask = {"gemma2": masks, "mistral": masks["sliding_attention"]}.get(
        model.config.model_type, masks["full_attention"]
    )
    with torch.no_grad():
        layers = model.base_model(
            input_ids=torch.cat([TEXT, torch.tensor([ASK * len(chunks)])], dim=1),
            position_ids=torch.tensor([positions]),
            attention_mask=mask,
            use_cache=False,
            output_attentions=True,
        ).attentions
    found = []
    for number, (start, end) in enumerate(chunks):
        last = LENGTH + (number + 1) * len(ASK) - 1
        best = [
            max(
                float(layer[0, head, last, token])
                for layer in layers
                for head in range(layer.shape[1])
            )
            for token in range(start, end)
        ]
        found.append([value / sum(best) for value in best])
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_importance_is_that_of_one_pass_over_text_and_asks(name: str, folder: Path) -> None:
    expected = naive(loaded(name, folder, "eager"), CHUNKS)
    model = loaded(name, folder)
    found = token_importance(model, read(model), CHUNKS, ASK)
    for weights, others in zip(found, expected, strict=True):
        assert weights.dtype == torch.float32
        assert torch.allclose(weights, torch.tensor(others), rtol=0, atol=1e-5)
    assert any(weights.std() > 0.01 for weights in found)  # the oracle tells tokens apart


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.5, 1000.0])
def test_tokens_above_the_share_are_kept_and_never_none(alpha: float, folder: Path) -> None:
    expected = [False] * LENGTH
    for (start, end), weights in zip(
        CHUNKS, naive(loaded("llama", folder, "eager"), CHUNKS), strict=True
    ):
        for token, weight in enumerate(weights):
            above = weight > alpha / (end - start)
            expected[start + token] = above or weight == max(weights)
    model = loaded("llama", folder)
    found = select_tokens(model, read(model), CHUNKS, ASK, SelectionRules(alpha=alpha))
    assert found.tolist() == expected
    assert sum(expected) > len(CHUNKS) or alpha == 1000.0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, LENGTH), min_size=2, max_size=8, unique=True).map(sorted))
def test_a_chunk_does_not_care_which_others_are_asked_beside_it(
    folder: Path, cuts: list[int]
) -> None:
    model = loaded("llama", folder)
    cache = read(model)
    chunks = list(pairwise(cuts))
    for chunk, together in zip(chunks, token_importance(model, cache, chunks, ASK), strict=True):
        (alone,) = token_importance(model, cache, [chunk], ASK)
        assert torch.allclose(alone, together, rtol=0, atol=1e-5)  # they add up to 1
        assert float(together.sum()) == pytest.approx(1.0, abs=1e-5)


def test_model_and_cache_stay_as_they_were(folder: Path) -> None:
    model = loaded("qwen3", folder)
    cache = read(model)
    before = [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]
    select_tokens(model, cache, CHUNKS, ASK, SelectionRules())
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(IndexError):  # fails inside the model
        select_tokens(model, cache, CHUNKS, [10**6], SelectionRules())
    assert model.config._attn_implementation == "sdpa"
    for layer, (keys, values) in zip(cache.layers, before, strict=True):
        assert torch.equal(layer.keys, keys) and torch.equal(layer.values, values)


def test_a_text_without_chunks_keeps_nothing(folder: Path) -> None:
    model = loaded("llama", folder)
    assert not select_tokens(model, read(model), [], ASK, SelectionRules()).any()


def test_what_cannot_be_asked_is_refused(folder: Path) -> None:
    model = loaded("mistral", folder)
    cache = read(model)
    with pytest.raises(ValueError, match="no tokens"):
        token_importance(model, cache, CHUNKS, [])
    for chunk in [(3, 3), (-1, 3), (39, 41)]:
        with pytest.raises(ValueError, match="empty or outside the text's 40 tokens"):
            token_importance(model, cache, [chunk], ASK)
    with pytest.raises(ValueError, match="of one text"):
        token_importance(model, read(model, TEXT.expand(2, -1)), CHUNKS, ASK)
    short = DynamicCache(config=model.config)  # keeps a window only
    with torch.no_grad():
        model.base_model(input_ids=TEXT, past_key_values=short, use_cache=True)
    with pytest.raises(ValueError, match="without a config"):
        token_importance(model, short, CHUNKS, ASK)


def test_a_model_that_hides_its_attention_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded("llama", folder)
    monkeypatch.setattr(model, "set_attn_implementation", lambda _: None)  # as remote code may
    with pytest.raises(ValueError, match="does not tell its attention"):
        token_importance(model, read(model), CHUNKS, ASK)


@pytest.mark.parametrize(
    ("ask", "chunk_tokens", "alpha"),
    [(" ", 9, 1.0), ("a", 0, 1.0), ("a", 9, 0.0), ("a", 9, float("nan"))],
)
def test_impossible_selections_are_refused(ask: str, chunk_tokens: int, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"(ask|chunk_tokens|alpha) must"):
        SelectionRules(ask, chunk_tokens, alpha)
