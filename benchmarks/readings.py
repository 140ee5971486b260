"""What ways of reading cost beside a plain prompt, on the shape of a 135M Llama, in the same run.

    python -m benchmarks.readings [--only NAME...] [--rounds 5]

Both sides of a pair run in turns, in float32 on the same threads and texts, which are random words
of the tokenizer, cut to an exact number of tokens. The floor is what the tokens alone say: those
that go through blocks on one side, divided by those on the other.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.encode import random_135m
from benchmarks.random_texts import random_texts
from benchmarks.record import append
from embedder.encoders.llm import LLMEncoder
from embedder.models.backbone import Backbone
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template
from embedder.types import Role

Rows = NDArray[np.float32]
DENSE = ReadoutRules(sparse=None)


@dataclass(frozen=True)
class Side:
    """One side of a comparison: what is run, and what it is called."""

    says: str
    run: Callable[[], Rows]


@dataclass(frozen=True)
class Pair:
    """Two ways of reading the same texts.

    Attributes:
        name: of the record.
        goal: bound of the ratio, "<= 1.06" or ">= 5", or "" where it is only told.
        ours: the side whose cost is asked for.
        other: what it is compared with.
        equal: whether both sides must give the same states.
    """

    name: str
    goal: str
    ours: Side
    other: Side
    equal: bool = False


def main() -> None:
    """Measure every pair, or those that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(PAIRS), default=list(PAIRS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="print only, record nothing")
    args = parser.parse_args()
    table = Table("pair", "ours s", "other s", "ratio", "lowest-highest", "tokens", "goal")
    with tempfile.TemporaryDirectory() as folder:
        backbone, options = load_backbone(
            random_135m(folder), LLMOptions(dtype="float32", device="cpu")
        )
        for name in args.only:
            record = _measure(PAIRS[name](backbone, options), backbone, args.rounds)
            if not args.dry:
                append(record)
            table.add_row(*_cells(record))
    Console().print(table)


def _measure(pair: Pair, backbone: Backbone, rounds: int) -> dict[str, object]:
    """Run both sides in turns, after a warm-up and a run that counts tokens."""
    ours, other = pair.ours.run(), pair.other.run()
    with _counted(backbone.layers) as mine_tokens:
        pair.ours.run()
    with _counted(backbone.layers) as other_tokens:
        pair.other.run()
    difference = float(np.abs(ours - other).max() / np.abs(other).max()) if pair.equal else None
    if difference is not None and difference > 1e-5:
        raise SystemExit(f"{pair.name}: states differ by {difference}")
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(_seconds(pair.ours.run))
        theirs.append(_seconds(pair.other.run))
    faster = pair.goal.startswith(">=")
    ratios = [b / a if faster else a / b for a, b in zip(mine, theirs, strict=True)]
    floor = mine_tokens[0] / other_tokens[0]
    return {
        "name": f"readings/{pair.name}",
        "ours": pair.ours.says,
        "baseline": pair.other.says,
        "seconds_median": statistics.median(mine),
        "baseline_seconds_median": statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "ratio_min_max": [min(ratios), max(ratios)],
        "goal": pair.goal,
        "floor_ratio_of_tokens": 1 / floor if faster else floor,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "difference": difference,
    }


@contextmanager
def _counted(layers: nn.ModuleList) -> Iterator[list[float]]:
    """Count tokens that go through blocks, all blocks being 1."""
    tokens = [0.0]

    def enter(_: nn.Module, args: tuple[torch.Tensor, ...], kwargs: Mapping[str, object]) -> None:
        states = args[0] if args else kwargs["hidden_states"]
        assert isinstance(states, torch.Tensor)
        tokens[0] += states.shape[0] * states.shape[1] / len(layers)

    # The attention, not the block: a pass that stops at a block calls its hooks all the same.
    hooks = [
        block.self_attn.register_forward_pre_hook(enter, with_kwargs=True)  # type: ignore[union-attr]
        for block in layers
    ]
    try:
        yield tokens
    finally:
        for hook in hooks:
            hook.remove()


def _prepending(backbone: Backbone, options: LLMOptions, tokens: int = 20) -> Pair:
    prompt = load_prompt("prompteol-tp")
    plain = replace(load_prompt("prompteol"), reading=prompt.reading)
    texts = random_texts(backbone, 1280 // tokens, tokens)
    return Pair(
        f"token-prepending-{tokens}",
        "<= 1.06",
        _states("prompteol-tp", LLMEncoder(backbone, prompt, options), texts),
        _states("prompteol at the same layer", LLMEncoder(backbone, plain, options), texts),
    )


def _metaeol(backbone: Backbone, options: LLMOptions) -> Pair:
    """Beside one PromptEOL pass over the whole prompt."""
    pair = _metaeol_shared(backbone, options)
    return replace(
        pair,
        name="metaeol",
        goal="<= 8.5",
        other=Side("prompteol, the whole prompt in one pass", _unshared(backbone, pair.other)),
    )


def _metaeol_shared(backbone: Backbone, options: LLMOptions) -> Pair:
    texts = random_texts(backbone, 64, 20)
    return Pair(
        "metaeol-beside-shared-prefix",
        "",
        _states("metaeol", LLMEncoder(backbone, load_prompt("metaeol"), options), texts),
        _states("prompteol", LLMEncoder(backbone, load_prompt("prompteol"), options), texts),
    )


def _metaeol_unshared(backbone: Backbone, options: LLMOptions) -> Pair:
    pair = _metaeol(backbone, options)
    ours = Side("metaeol, nothing shared", _unshared(backbone, pair.ours))
    return replace(pair, name="metaeol-nothing-shared", goal="", ours=ours)


def _unshared(backbone: Backbone, side: Side) -> Callable[[], Rows]:
    def run() -> Rows:
        backbone.shares_prefix = False
        try:
            return side.run()
        finally:
            backbone.shares_prefix = True

    return run


def _depth(backbone: Backbone, options: LLMOptions) -> Pair:
    texts = random_texts(backbone, 32, 60)
    prompt = replace(load_prompt("prompteol"), reading=DENSE)
    lower = replace(prompt, reading=replace(DENSE, layer=20))
    return Pair(
        "layer-20-of-30",
        "<= 0.72",
        _states("layer 20", LLMEncoder(backbone, lower, options), texts),
        _states("the top", LLMEncoder(backbone, prompt, options), texts),
    )


def _fan_out(backbone: Backbone, options: LLMOptions) -> Pair:
    texts = random_texts(backbone, 6, 180)
    endings = random_texts(backbone, 16, 20, seed=1)
    prompts = [_plain([f"{{text}} {ending}"]) for ending in endings]
    apart = [LLMEncoder(backbone, prompt, options) for prompt in prompts]
    together = LLMEncoder(backbone, _plain([f"{{text}} {ending}" for ending in endings]), options)
    return Pair(
        "fan-out-of-16",
        ">= 5",
        Side("16 endings after one text", lambda: together.states_each(texts, Role.QUERY)),
        Side(
            "16 encoders",
            lambda: np.concatenate([ending.states_each(texts, Role.QUERY) for ending in apart]),
        ),
        equal=True,
    )


def _contrast(backbone: Backbone, options: LLMOptions) -> Pair:
    prompt = load_prompt("prompteol-cp")
    plain = replace(prompt, contrast=None)
    texts = random_texts(backbone, 64, 20)
    return Pair(
        "contrastive-prompting",
        "",
        _states("prompteol-cp", LLMEncoder(backbone, prompt, options), texts),
        _states("prompteol at the same layer", LLMEncoder(backbone, plain, options), texts),
    )


def _echo(backbone: Backbone, options: LLMOptions) -> Pair:
    texts = random_texts(backbone, 4, 500)
    return Pair(
        "echo",
        "",
        _states("echo", LLMEncoder(backbone, load_prompt("echo"), options), texts),
        _states("mean", LLMEncoder(backbone, load_prompt("mean"), options), texts),
    )


PAIRS: Mapping[str, Callable[[Backbone, LLMOptions], Pair]] = {
    "token-prepending-20": _prepending,
    "token-prepending-60": partial(_prepending, tokens=60),
    "metaeol": _metaeol,
    "metaeol-beside-shared-prefix": _metaeol_shared,
    "metaeol-nothing-shared": _metaeol_unshared,
    "layer-20-of-30": _depth,
    "fan-out-of-16": _fan_out,
    "contrastive-prompting": _contrast,
    "echo": _echo,
}


def _plain(wordings: Sequence[str]) -> Prompt:
    templates = tuple(Template(wording) for wording in wordings)
    return Prompt("endings", (PromptVariant("plain", templates, templates),), DENSE)


def _states(says: str, encoder: LLMEncoder, texts: Sequence[str]) -> Side:
    return Side(says, lambda: encoder.states(texts, Role.QUERY))


def _seconds(run: Callable[[], Rows]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _cells(record: dict[str, object]) -> list[str]:
    spread = record["ratio_min_max"]
    assert isinstance(spread, list)
    numbers = [
        f"{record[key]:.3g}" for key in ("seconds_median", "baseline_seconds_median", "ratio")
    ]
    low_high = f"{spread[0]:.3g}-{spread[1]:.3g}"
    tokens = f"{record['floor_ratio_of_tokens']:.3g}"
    return [str(record["name"]), *numbers, low_high, tokens, str(record["goal"])]


if __name__ == "__main__":
    main()
