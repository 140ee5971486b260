"""What decides a fine-tuned model: its base, pairs, prompts, loss and how long it learns."""

import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

Precision = Literal["auto", "bfloat16", "float32"]
OWN = "own"
ALL_LINEAR = "all-linear"


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters (Hu et al., ICLR 2022); the defaults are PromptReps'.

    Attributes:
        r: rank.
        alpha: the adapter's output is scaled by alpha / r.
        dropout: share of the adapter's inputs that is dropped.
        targets: names of the linear layers that get an adapter; "all-linear" is all but the head.
    """

    r: int = 16
    alpha: int = 64
    dropout: float = 0.1
    targets: tuple[str, ...] = (ALL_LINEAR,)

    def __post_init__(self) -> None:
        if self.r < 1 or self.alpha < 1 or not 0 <= self.dropout < 1 or not self.targets:
            raise ValueError(f"lora needs r and alpha >= 1, 0 <= dropout < 1, targets; got {self}")


@dataclass(frozen=True, slots=True)
class FineTuneSettings:
    """Settings of `lastword train contrast`; the defaults are PromptReps' supervised variant.

    Attributes:
        model: Hugging Face name, folder, or "bundled".
        pairs: JSON lines files with query, positive and perhaps negatives; plain, .gz or .xz.
        prompts: library names, .toml files, or "own", the model's own; the finished model is
            read with the first.
        first_share: of batches that are worded in the first prompt; the others share the rest.
        batch: queries per step.
        group_size: passages per query: its positive and group_size - 1 of its negatives.
        query_tokens: tokens of a query that are read.
        passage_tokens: tokens of a passage that are read.
        epochs: passes over the pairs; need not be whole.
        rate: highest learning rate of Adam; it falls to 0 over the steps.
        warm_up: steps over which it rises.
        temperature: cosines are divided by it.
        hybrid: whether the sparse loss is added.
        margin: a candidate whose cosine is more than this above the positive's is taken for a
            false negative and left out; None leaves none out.
        precision: bfloat16 products, float32, or auto: bfloat16 where the processor has it.
        compile: compile the model's blocks.
        recompute: compute blocks again on the way back instead of keeping what they gave.
        checkpoint_every: steps between two checkpoints.
        seed: of batches, prompts, negatives, adapters and dropout.
        lora: adapters; None trains all weights.
    """

    model: str
    pairs: tuple[str, ...]
    prompts: tuple[str, ...] = (OWN,)
    first_share: float = 0.5
    batch: int = 8
    group_size: int = 16
    query_tokens: int = 32
    passage_tokens: int = 156
    epochs: float = 1.0
    rate: float = 1e-4
    warm_up: int = 50
    temperature: float = 0.01
    hybrid: bool = False
    margin: float | None = None
    precision: str = "auto"
    compile: bool = False
    recompute: bool = False
    checkpoint_every: int = 100
    seed: int = 0
    lora: Lora | None = None

    def __post_init__(self) -> None:
        if not self.pairs or not self.prompts:
            raise ValueError("pairs and prompts must each name one at least")
        least = {"batch": 2} | dict.fromkeys(
            ("group_size", "query_tokens", "passage_tokens", "warm_up", "checkpoint_every"), 1
        )
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ValueError(f"{name} must be {smallest} or more; got {getattr(self, name)}")
        if min(self.epochs, self.rate, self.temperature) <= 0:
            raise ValueError("epochs, rate and temperature must be more than 0")
        if not 0 < self.first_share <= 1:
            raise ValueError(f"first_share must be in (0, 1]; got {self.first_share}")
        if self.margin is not None and self.margin < 0:
            raise ValueError(f"margin must be 0 or more; got {self.margin}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more; got {self.seed}")
        if self.precision not in get_args(Precision):
            known = ", ".join(get_args(Precision))
            raise ValueError(f"precision must be one of {known}; got {self.precision!r}")

    def steps(self, pairs: int) -> int:
        """Return the optimizer steps over a number of pairs, 1 at least."""
        if pairs < self.batch:
            raise ValueError(f"{pairs} pairs are fewer than a batch of {self.batch}")
        return max(1, round(self.epochs * (pairs // self.batch)))

    def deciding(self, **facts: object) -> str:
        """Write what decides the weights, so that a run resumes no other run's checkpoint.

        Args:
            facts: what the settings only name: digests of the model, of the pairs, of prompts.
        """
        own = asdict(self)
        for name in ("model", "pairs", "prompts", "checkpoint_every", "compile", "recompute"):
            del own[name]
        return json.dumps(own | facts, sort_keys=True)
