"""The slow reference itself: against the original programs' outputs, and against plain facts."""

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests import oracle
from tests.golden import cases, model_folder, read
from tests.oracle import Contrast, Copying, from_last
from tests.shapes import DEPTH, SHAPES, WINDOW, save_shape

GOLDEN_TOLERANCE = 2e-5  # of a vector's largest entry; the data's README
TOLERANCE = 1e-5
NO_RUN = {"key": "none"}
META_SENTENCES = 3  # of 20: their 8 prompts are long, and one sentence would do
# Longer than the sliding window, unequal, and one of a single token. No id twice in a row.
ROWS = [[*range(40, 63)], [7, 300, 5], [9], [*range(200, 240, 2)]]


def far(got: Tensor, want: Tensor) -> float:
    """Give the largest difference of two (n, dim), relative to each vector's largest entry."""
    return float(((got - want).abs().amax(-1) / want.abs().amax(-1)).max())


def lasts(rows: list[Tensor]) -> Tensor:
    return torch.stack([row[-1] for row in rows])


@cache
def golden_model(model: Path) -> Any:  # noqa: ANN401  # transformers is untyped
    return oracle.load(model_folder(model))


@cache
def arrays(case: Path) -> dict[str, NDArray[np.float32]]:
    with np.load(case / "expected.npz") as file:
        return dict(file)


def runs(method: str) -> list[Any]:
    return [
        pytest.param(case.values[0], run, id=f"{case.id}-{run['key']}", marks=case.marks)
        for case in cases(method)
        for run in (read(case.values[0], "expected.json")["runs"] if not case.marks else [NO_RUN])
    ]


def wanted(case: Path, key: str) -> Tensor:
    return torch.from_numpy(arrays(case)[key])


def fed(case: Path, name: str) -> list[list[int]]:
    rows: list[list[int]] = read(case, "expected.json")["input_ids"][name]
    return rows[: 8 * META_SENTENCES] if "metaeol" in name else rows


def agrees(got: Tensor, want: Tensor, meta: bool = False) -> None:
    if meta:  # 8 prompts in a row per sentence
        got, want = got.reshape(META_SENTENCES, 8, -1).mean(1), want[:META_SENTENCES]
    assert far(got, want) <= GOLDEN_TOLERANCE


@pytest.mark.parametrize(
    ("case", "run"), [*runs("prompteol"), *runs("metaeol"), *runs("pretcot_ke")]
)
def test_prompts_read_as_the_original_programs_do(case: Path, run: dict[str, Any]) -> None:
    model = golden_model(read(case)["model"])
    got = oracle.states(model, fed(case, run["fed"]), run.get("output_layer", -1))
    agrees(lasts(got), wanted(case, run["key"]), "metaeol" in run["fed"])


@pytest.mark.parametrize(("case", "run"), runs("tp"))
def test_tokens_are_prepended_as_in_the_original_program(case: Path, run: dict[str, Any]) -> None:
    settings, layer, meta = read(case), run["output_layer"], run["prompt"] == "metaeol"
    model = golden_model(settings["model"])
    rows = fed(case, f"{run['prompt']}__{run['plan']}")
    if run["plan"] == "vanilla":
        agrees(lasts(oracle.states(model, rows, layer)), wanted(case, run["key"]), meta)
        return
    plan = copying(case, run, rows)
    agrees(lasts(oracle.prepended(model, rows, layer, plan)), wanted(case, run["key"]), meta)


def copying(case: Path, run: dict[str, Any], rows: list[list[int]]) -> Copying:
    places = [[row.index(read(case)["pst_id"])] for row in rows]
    return Copying(from_last(rows, places), run["start"], run["exit"], wanted(case, "pst_row"))


@pytest.mark.parametrize("case", cases("tp"))
def test_a_placeholder_holds_in_each_layer_what_it_held_there(case: Path) -> None:
    run = next(run for run in read(case, "expected.json")["runs"] if run["plan"] == "tp")
    rows = fed(case, f"{run['prompt']}__tp")[:3]
    plan, model = copying(case, run, rows), golden_model(read(case)["model"])
    for layer in range(9):
        got = oracle.prepended(model, rows, layer, plan)
        placeholders = torch.stack(
            [row[target] for row, ((_, target),) in zip(got, plan.pairs, strict=True)]
        )
        agrees(placeholders, wanted(case, f"{run['key']}__hidden_pst")[:, layer])
        agrees(lasts(got), wanted(case, f"{run['key']}__hidden_last")[:, layer])


@pytest.mark.parametrize(("case", "run"), runs("cp"))
def test_prompts_are_contrasted_as_in_the_original_program(case: Path, run: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    settings, found = read(case), read(case, "expected.json")
    prefix, suffix = settings["aux_prompt"].split("*sent 0*")
    tokenizer = AutoTokenizer.from_pretrained(model_folder(settings["model"]))
    # The auxiliary prompt frames the same text, after the same text rules, as the prompt itself.
    filled = found["fed"][run["fed"]]
    texts = [prompt.split(' : "', 1)[1].rsplit('" means', 1)[0] for prompt in filled]
    others = [tokenizer(f"{prefix}{text}{suffix}")["input_ids"] for text in texts]
    plan = Contrast(others, run["act_layer"], run["coeff"], run["strategy"] == "norm")
    model = golden_model(settings["model"])
    got = oracle.contrasted(model, fed(case, run["fed"]), run["output_layer"], plan)
    agrees(lasts(got), wanted(case, run["key"]))


@cache
def echoed(case: Path, name: str) -> list[Tensor]:
    return oracle.states(golden_model(read(case)["model"]), fed(case, name), -1, "right")


@pytest.mark.parametrize(("case", "run"), runs("echo"))
def test_echoes_are_pooled_as_in_the_original_program(case: Path, run: dict[str, Any]) -> None:
    template, pooling, length = run["key"].split("__")
    masks = read(case, "expected.json")["embed_mask"][f"{template}__{length}"]
    second = [
        row[torch.tensor(mask) == 1]
        for row, mask in zip(echoed(case, f"{template}__{length}"), masks, strict=True)
    ]
    pooled = lasts(second) if pooling == "last" else torch.stack([row.mean(0) for row in second])
    agrees(pooled, wanted(case, run["key"]))


@pytest.fixture(scope="module", params=SHAPES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401
    return oracle.load(save_shape(request.param, tmp_path_factory.mktemp(request.param)))


def vector(model: Any, seed: int = 1) -> Tensor:  # noqa: ANN401
    size = model.get_input_embeddings().weight.shape[1]
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


PAIRS = [[(22, 0), (10, 3), (10, 1)], [(2, 0)], [(0, 0)], [(19, 5)]]


def passes(model: Any, chosen: slice, padding: oracle.Padding, layer: int) -> list[list[Tensor]]:  # noqa: ANN401
    """Run every kind of reading over some of the rows."""
    rows = ROWS[chosen]
    copying = Copying(PAIRS[chosen], 1, 4, vector(model))
    others = [[3, *row, 4] for row in rows]
    return [
        oracle.states(model, rows, layer, padding),
        oracle.bidirectional(model, rows, layer, padding),
        oracle.prepended(model, rows, layer, copying, padding),
        oracle.contrasted(model, rows, layer, Contrast(others, 2, 1.5), padding),
        oracle.contrasted(model, rows, layer, Contrast(others, 2, restore=True), padding),
    ]


@pytest.mark.parametrize("layer", [4, -1])
def test_padding_changes_nothing(model: Any, layer: int) -> None:  # noqa: ANN401
    left = passes(model, slice(None), "left", layer)
    right = passes(model, slice(None), "right", layer)
    for i in range(len(ROWS)):
        for kind, (alone,) in enumerate(passes(model, slice(i, i + 1), "left", layer)):
            assert alone.shape[0] == len(ROWS[i])
            assert far(left[kind][i], alone) <= TOLERANCE
            assert far(right[kind][i], alone) <= TOLERANCE


def test_a_row_reads_as_in_a_plain_call_of_transformers(model: Any) -> None:  # noqa: ANN401
    for row, got in zip(ROWS, oracle.states(model, ROWS, -1), strict=True):
        with torch.no_grad():
            plain = model(torch.tensor([row]), output_hidden_states=True)
        assert far(got, plain.hidden_states[-1][0]) <= TOLERANCE


def test_every_block_moves_the_state(model: Any) -> None:  # noqa: ANN401
    layers = [lasts(oracle.states(model, ROWS, i)) for i in range(DEPTH)]
    for before, after in pairwise(layers):
        moved = (after - before).norm(dim=1) / before.norm(dim=1)
        assert moved.min() > 0.05


def test_a_placeholder_is_embedded_as_any_row_of_the_table(model: Any) -> None:  # noqa: ANN401
    table = model.get_input_embeddings().weight
    plan = Copying([[(22, 3)], [], [], []], 3, 3, table[60].detach().clone())
    same = [[*ROWS[0][:3], 60, *ROWS[0][4:]], *ROWS[1:]]
    for got, want in zip(
        oracle.prepended(model, ROWS, -1, plan), oracle.states(model, same, -1), strict=True
    ):
        assert torch.equal(got, want)
    assert model.get_input_embeddings().weight is table


def test_a_placeholder_is_fed_the_source_exactly_between_start_and_exit(model: Any) -> None:  # noqa: ANN401
    row, plan = ROWS[:1], Copying([[(22, 3), (10, 1)]], 2, 4, vector(model))
    for layer in range(DEPTH + 1):
        (got,) = oracle.prepended(model, row, layer, plan)
        copied = torch.equal(got[3], got[22]) and torch.equal(got[1], got[10])
        assert copied == (2 <= layer < 4)
    plain = Copying(plan.pairs, 2, 2, plan.vector)
    (before,), (after,) = (oracle.prepended(model, row, -1, p) for p in (plain, plan))
    assert torch.equal(before[0], after[0])  # it stands before every target
    assert far(after[22:], before[22:]) > 0.01


@pytest.mark.parametrize("restore", [False, True])
def test_a_contrast_starts_at_its_block_and_at_the_last_token(model: Any, restore: bool) -> None:  # noqa: ANN401
    plan = Contrast([[3, *row] for row in ROWS], 2, 2.0, restore)
    for layer, same in ((2, True), (3, False)):
        for got, want in zip(
            oracle.contrasted(model, ROWS, layer, plan),
            oracle.states(model, ROWS, layer),
            strict=True,
        ):
            assert torch.equal(got[:-1], want[:-1])
            assert torch.equal(got[-1], want[-1]) == same


def test_contrast_with_itself_leaves_attention_its_bias(model: Any) -> None:  # noqa: ANN401
    # The difference is zero, whatever its scale.
    ends = [
        lasts(oracle.contrasted(model, ROWS, -1, Contrast(ROWS, 2, strength, restore)))
        for strength, restore in ((1.0, False), (9.0, False), (1.0, True))
    ]
    assert far(ends[1], ends[0]) <= TOLERANCE
    assert far(ends[2], ends[0]) <= TOLERANCE


def test_bidirectional_attention_sees_the_whole_row(model: Any) -> None:  # noqa: ANN401
    row, other = [ROWS[0]], [[*ROWS[0][:-1], 5]]
    assert len(ROWS[0]) > 2 * WINDOW
    (causal,), (changed,) = (oracle.states(model, rows, -1) for rows in (row, other))
    assert torch.equal(causal[:-1], changed[:-1])
    for first in (oracle.bidirectional(model, rows, 1)[0][0] for rows in (row, other)):
        assert not torch.equal(first, oracle.states(model, row, 1)[0][0])
    (one,), (two,) = (oracle.bidirectional(model, rows, 1) for rows in (row, other))
    assert ((one - two).abs().amax(1) > 0).all()


def test_bidirectional_attention_is_that_of_transformers(model: Any) -> None:  # noqa: ANN401
    # Transformers drops causality where the config says so; a window would stay, so none is longer.
    short = [row[: WINDOW // 2] for row in ROWS]
    got = oracle.bidirectional(model, short, -1)
    model.config.is_causal = False
    try:
        want = oracle.states(model, short, -1)
    finally:
        del model.config.is_causal
    assert all(far(mine, theirs) <= TOLERANCE for mine, theirs in zip(got, want, strict=True))
