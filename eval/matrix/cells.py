"""The request of a matrix, the encoders of each model, and one cell."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import own_prompt
from embedder.encoders.rice import draw_examples, show_examples
from embedder.encoders.shared_prefix import role_fingerprint
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import format_prompt
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import PromptVariant
from embedder.types import Encoder, Role, fingerprint_differences
from eval.data.collections import Collection
from eval.matrix.ledger import Decision
from eval.measures.measures import STANDARD
from eval.runs.record import Record
from retrieval.fusion import DEFAULT

if TYPE_CHECKING:
    from embedder.models.backbone import Backbone
    from eval.tasks.retrieval import JudgeOptions

PromptSide = Literal["both", "query", "document"]
OWN = "own"
"""Stands for the prompt that a model carries, else promptreps."""


@dataclass(frozen=True)
class MatrixRequest:
    """Prompts, models, and how they are judged.

    Attributes:
        prompts: name -> prompt; None is the model's own.
        models: name -> hub name, folder or "bundled".
        channels: some of dense, sparse, bm25, fused in this order for collections; pairs are
            judged by dense rows.
        side: which wording of a prompt counts; the other is that of `base`. Where documents are
            read as by `base` under every prompt, they are read once.
        base: name of one of the prompts.
        budget: tokens that all runs into one folder may cost; None for no limit.
        options: how models run.
        fusion: as `fusion_by_name` reads it.
        depth: documents searched per channel and query.
    """

    prompts: Mapping[str, Prompt | None]
    models: Mapping[str, str]
    channels: tuple[str, ...] = ("dense",)
    side: PromptSide = "both"
    base: str = ""
    budget: int | None = None
    options: LLMOptions = field(default_factory=LLMOptions)
    fusion: str = DEFAULT
    depth: int = 1000

    def __post_init__(self) -> None:
        if self.side not in get_args(PromptSide):
            known = ", ".join(get_args(PromptSide))
            raise ValueError(f"a side is one of {known}; got {self.side!r}")
        if (self.side == "both") != (not self.base) or (
            self.base and self.base not in self.prompts
        ):
            raise ValueError(
                "where only one side of the prompts is judged, one of the prompts is the base, "
                f"which has the other; got side {self.side}, base {self.base or 'none'!r}, "
                f"prompts {', '.join(self.prompts)}"
            )
        if not {"dense", "sparse"} & set(self.channels):
            raise ValueError("prompts are judged by dense or sparse rows; bm25 reads none")
        if self.budget is not None and self.budget < 0:
            raise ValueError(f"a budget is a number of tokens; got {self.budget}")

    @property
    def default(self) -> str:
        """The prompt that others are measured against: the base, the models' own, or the first."""
        return self.base or (OWN if OWN in self.prompts else next(iter(self.prompts)))

    def own_or(self, prompt: str, model: str) -> Prompt:
        """Return a prompt by its name here, for a model by its name here."""
        return self.prompts[prompt] or own_prompt(self.models[model])

    def encoders(self, encoder: Encoder) -> dict[str, Encoder]:
        """Return channel -> its encoder."""
        return {name: BM25Encoder() if name == "bm25" else encoder for name in self.channels}

    def judge_options(self, out: Path) -> "JudgeOptions":
        """Return how a collection is judged: no query is read twice to be timed."""
        from eval.tasks.retrieval import JudgeOptions
        from retrieval.options import DEFAULT_CHANNELS

        build = JudgeOptions().build
        free = {
            name: replace(DEFAULT_CHANNELS[name], query_prompt_free=name != "bm25")
            for name in self.channels
        }
        return JudgeOptions(
            fusion=self.fusion,
            depth=self.depth,
            out=out,
            build=replace(build, channels=free),
            latencies=0,
        )

    def index_facts(self, fingerprint: str) -> str:
        """Return the part of a fingerprint that an index depends on: all but queries' wording."""
        facts = json.loads(fingerprint).items()
        return json.dumps({name: value for name, value in facts if not name.startswith("query_")})


@dataclass(frozen=True)
class ModelPrompts:
    """A loaded model with every prompt.

    Attributes:
        label: name of the model.
        encoders: benchmark -> prompt -> its encoder, or why the model cannot be read so.
    """

    label: str
    encoders: Mapping[str, Mapping[str, LLMEncoder | str]]

    def settings(self, request: MatrixRequest, prompt: str) -> dict[str, Any] | None:
        """Return everything that changes a figure of a run folder; None where none can be."""
        encoders = {name: by_prompt[prompt] for name, by_prompt in self.encoders.items()}
        readable = [encoder for encoder in encoders.values() if not isinstance(encoder, str)]
        if not readable:
            return None
        return {
            "benchmark": "prompts",
            "model": request.models[self.label],
            "prompt": format_prompt(request.own_or(prompt, self.label)),
            "side": request.side,
            "base": request.base or None,
            "channels": list(request.channels),
            "fusion": request.fusion if len(request.channels) > 1 else None,
            "depth": request.depth,
            "measures": list(STANDARD),
            "fingerprint": {
                name: value
                for name, value in json.loads(readable[0].fingerprint).items()
                if name not in ("dense", "sparse")  # collections and pairs may want other rows
            },
        }


@dataclass(frozen=True)
class MatrixCell:
    """One prompt with one model on one data set: judged, refused, or left out for its cost."""

    model: str
    prompt: str
    dataset: str
    record: Record | None = None
    refused: str = ""
    decision: Decision | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the cell's facts, unrounded."""
        facts: dict[str, Any] = {
            "model": self.model,
            "prompt": self.prompt,
            "dataset": self.dataset,
            "refused": self.refused or None,
        }
        if self.decision is not None and self.record is None:
            facts["tokens"] = self.decision.tokens
            facts["tokens_at_most"] = self.decision.at_most
            facts["left_out"] = not self.decision.runs
        if self.record is not None:
            facts |= {
                "measures": self.record.measures,
                "items": self.record.size,
                "seconds": dict(self.record.cost.seconds),
                "tokens_per_text": tokens_per_text(self.record),
            }
        return facts


def tokens_per_text(record: Record) -> dict[str, float]:
    """Return role -> mean tokens that one text is fed as, wording included."""
    built = record.details.get("build") or {}
    sides = {"query": record.cost.counts, "document": built.get("counts", {})}
    means: dict[str, float] = {}
    for role, by_channel in sides.items():
        for name, counts in by_channel.items():
            if name != "bm25" and counts.get("texts"):
                means[role] = counts["tokens"] / counts["texts"]
    return means


def load_model_prompts(request: MatrixRequest, label: str, benchmarks: set[str]) -> ModelPrompts:
    """Load a model once and read every prompt with it.

    Raises:
        ValueError: it cannot be loaded.
    """
    backbone, options = load_backbone(request.models[label], request.options)
    encoders: dict[str, dict[str, LLMEncoder | str]] = {}
    for benchmark in sorted(benchmarks):
        channels = ("dense",) if benchmark == "sts" else request.channels
        load = partial(_encoder, backbone, options, channels, benchmark)
        by_name = {name: _load_prompt(request, label, name, load) for name in request.prompts}
        if benchmark == "sts":
            by_name = {name: _refuse_multi(encoder) for name, encoder in by_name.items()}
        encoders[benchmark] = by_name
    return ModelPrompts(label, encoders)


def show_collection(encoder: LLMEncoder, prompt: Prompt, data: Collection) -> LLMEncoder:
    """Return the encoder of a prompt with the examples that it draws from a collection, if any.

    Raises:
        ValueError: the collection has too few texts, or examples take the model's whole context.
    """
    if not _draws(prompt):
        return encoder
    assert prompt.sample is not None
    drawn = draw_examples((document.content for document in data.documents()), prompt.sample)
    sampling = replace(encoder.prompt, sample=prompt.sample)
    shown = show_examples(sampling, drawn, encoder.backbone, encoder.options)
    return LLMEncoder(encoder.backbone, shown, encoder.options)


def _draws(prompt: Prompt) -> bool:
    return prompt.sample is not None and not prompt.examples


def _load_prompt(
    request: MatrixRequest, label: str, name: str, load: Callable[[Prompt], LLMEncoder]
) -> LLMEncoder | str:
    """Read one prompt, or say why not; with one side only, the other side is the base's."""
    try:
        prompt = request.own_or(name, label)
        encoder = load(prompt)
        if request.side == "both":
            return encoder
        if _draws(prompt):
            raise ValueError("it shows examples before texts of both sides; judge it by side both")
        return _mixed(encoder, load(request.own_or(request.base, label)), request.side)
    except ValueError as error:
        return " ".join(str(error).split())


def _encoder(
    backbone: "Backbone",
    options: LLMOptions,
    channels: Sequence[str],
    benchmark: str,
    prompt: Prompt,
) -> LLMEncoder:
    """Read a prompt for pairs or collections; examples are drawn later, see `show_collection`."""
    if benchmark != "sts" and _draws(prompt):
        prompt = replace(prompt, sample=None)
    if "dense" in channels and not prompt.reading.dense:
        raise ValueError(f"prompt {prompt.name!r} reads no dense rows")
    chosen = prompt.reading_only(dense="dense" in channels, sparse="sparse" in channels)
    return LLMEncoder(backbone, chosen, options)


def _refuse_multi(encoder: LLMEncoder | str) -> LLMEncoder | str:
    if isinstance(encoder, str) or not encoder.prompt.reading.mode.endswith("-multi"):
        return encoder
    return "it reads several rows of a text; pairs are judged by one"


def _mixed(encoder: LLMEncoder, base: LLMEncoder, side: PromptSide) -> LLMEncoder:
    """Put the base's wording of one role beside the prompt's wording of the other.

    Raises:
        ValueError: the two read by different rules, so that their rows cannot be compared.
    """
    own, other = encoder.reader.form, base.reader.form
    if side == "query":
        base_role, form = Role.DOCUMENT, PromptVariant(own.name, own.query, other.document)
    else:
        base_role, form = Role.QUERY, PromptVariant(own.name, other.query, own.document)
    mixed = LLMEncoder(encoder.backbone, replace(encoder.prompt, forms=(form,)), base.options)
    if role_fingerprint(mixed, base_role) != role_fingerprint(base, base_role):
        lines = fingerprint_differences(base.fingerprint, mixed.fingerprint)
        rules = [line.partition(":")[0] for line in lines]
        differing = ", ".join(rule for rule in rules if not rule.endswith("_prompt"))
        raise ValueError(
            f"it reads texts by other rules than {base.prompt.name!r} ({differing or 'examples'}), "
            f"so that {base_role.value}s cannot be read as by that"
        )
    return mixed
