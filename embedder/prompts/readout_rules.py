"""The rules of reading: which answers, at which positions and layer, and what is done on the way.

Depths may be given as numbers of blocks or as fractions of a model's depth, since a prompt is
used with models of many depths.
"""

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal, get_args

from embedder.prompts.template import Template

Segmentation = Literal["unicode", "nltk"]
Mode = Literal[
    "first-token",
    "first-word-single",
    "multi-token-single",
    "multi-token-multi",
    "multi-word-multi",
]
ReadSpan = Literal["prompt", "text", "copy"]
Pooling = Literal["last", "mean", "max"]
Norm = Literal["top", "always", "never"]
Attention = Literal["causal", "bidirectional"]

STOP_WORDS = Path(__file__).parent.parent / "text" / "stop_words"
MAX_TERMS = 1_000_000  # more than any vocabulary has
MAX_SCALE = 1_000_000  # beyond it, products of weights leave the range of float32
MAX_GENERATED = 1000  # tokens; a pass each
MAX_FACTOR = 1000.0
MAX_SHOWN = 10_000  # documents that are drawn, rewritings and demonstrations of one text
MAX_SEED = 2**63 - 1


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} lies between {least} and {most}; got {value}")


@dataclass(frozen=True, slots=True)
class SparseRules:
    """How next-token logits become weighted words (PromptReps, Zhuang et al., EMNLP 2024).

    Attributes:
        top: most terms of the text itself kept per row.
        words: "unicode" needs no data; "nltk" is the paper's exact form and needs punkt_tab data.
        stop_words: a list in embedder/stopwords, or "" for none.
        scale: weights become rint(scale * weight) as in the paper (100); 0 keeps them as they are.
        merge_forms: "what", "What" and " what" share one column, which takes the largest weight.
        expansion: terms from outside the text that are added, strongest first.
        fallback: terms taken from the whole vocabulary when a text has no content word.
    """

    top: int = 128
    words: Segmentation = "unicode"
    stop_words: str = "english"
    scale: int = 0
    merge_forms: bool = False
    expansion: int = 0
    fallback: int = 10

    def __post_init__(self) -> None:
        if self.words not in get_args(Segmentation):
            raise ValueError(f"sparse.words must be unicode or nltk; got {self.words!r}")
        known = ("", *sorted(path.stem for path in STOP_WORDS.glob("*.txt")))
        if self.stop_words not in known:
            listed = ", ".join(f'"{name}"' for name in known)
            raise ValueError(f"sparse.stop_words must be one of {listed}; got {self.stop_words!r}")
        _check_range("sparse.top", self.top, 1, MAX_TERMS)
        _check_range("sparse.expansion", self.expansion, 0, MAX_TERMS)
        _check_range("sparse.fallback", self.fallback, 0, MAX_TERMS)
        _check_range("sparse.scale", self.scale, 0, MAX_SCALE)


@dataclass(frozen=True, slots=True)
class ReadoutRules:
    """Which answers are read off the model, and where.

    Attributes:
        mode: "first-token" reads what the prompt itself gives; the others generate greedily first
            (PromptReps, section "alternative representations").
        generated_tokens: most tokens that a generating mode reads.
        last_generated: of these, only the last so many are read; 0 reads all.
        span: which tokens are read: those of the whole "prompt", of the "text", or of its second
            "copy" (Echo).
        pool: the "last" token of the span, the "mean" of its states, or the "max" of its
            log-saturated logits (LENS).
        layer: hidden state read: -1 is the top, 0 the embeddings, i the output of block i, -i
            counted from the end; a fraction is rounded to a block of the model's depth.
        norm: whether a state passes the final norm: at the "top" only, as transformers gives
            hidden states; "always"; or "never".
        unit: whether each wording's row has unit length before rows are averaged.
        attention: "causal", or "bidirectional" for embedders that were trained so.
        dense: whether dense rows are wanted.
        sparse: rules for sparse rows, or None for no sparse rows; read at the last token.
    """

    mode: Mode = "first-token"
    generated_tokens: int = 10
    last_generated: int = 0
    span: ReadSpan = "prompt"
    pool: Pooling = "last"
    layer: int | float = -1
    norm: Norm = "top"
    unit: bool = False
    attention: Attention = "causal"
    dense: bool = True
    sparse: SparseRules | None = SparseRules()

    def __post_init__(self) -> None:
        for name, kind in _CLOSED.items():
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise ValueError(f"read.{name} must be one of {known}; got {getattr(self, name)!r}")
        if not self.dense and self.sparse is None:
            raise ValueError("a prompt must read dense rows, sparse rows or both; got neither")
        _check_range("read.generated_tokens", self.generated_tokens, 1, MAX_GENERATED)
        _check_range("read.last_generated", self.last_generated, 0, MAX_GENERATED)
        _check_depth("read.layer", self.layer)

    @property
    def at_last_token(self) -> bool:
        """Whether the answer is the prompt's last token's, which is about to say the next word."""
        return self.span == "prompt" and self.pool == "last"

    @property
    def prefix_apart(self) -> bool:
        """Whether what texts begin with may be computed apart, once for all of them.

        Not where what comes after changes it, nor where its own states are read, as those of its
        last token are where the largest logits of a text are taken.
        """
        mean = self.pool == "mean" and self.span != "prompt"
        return self.attention == "causal" and (self.pool == "last" or mean)


_CLOSED = {"mode": Mode, "span": ReadSpan, "pool": Pooling, "norm": Norm, "attention": Attention}


@dataclass(frozen=True, slots=True)
class PrependingRules:
    """Token Prepending (Fu et al., ACL 2025) and its hierarchical form (HTP, ACL 2026).

    Before every block i, start <= i < exit, counted from 0, the state at a placeholder becomes a
    copy of the state at the last token; at a sentence's placeholders, of its own last token.

    Attributes:
        start: first block that is fed the copy.
        exit: first block that is not fed it any more; a fraction is one of the model's depth, and
            a number beyond the last block feeds all of them.
    """

    start: int = 1
    exit: int | float = 7

    def __post_init__(self) -> None:
        _check_depth("prepend.exit", self.exit)
        if self.start < 0 or (not isinstance(self.exit, float) and self.exit <= self.start):
            raise ValueError(
                f"prepend needs 0 <= start < exit; got start {self.start}, exit {self.exit}"
            )


@dataclass(frozen=True, slots=True)
class ContrastRules:
    """Contrastive Prompting (Cheng et al., ACL 2025).

    The last token's attention output v (before its projection) becomes strength * (v - v_aux),
    v_aux being that of an auxiliary prompt which asks for what does not matter.

    Attributes:
        template: the auxiliary prompt.
        block: block whose attention output is changed, counted from 0; or a fraction of depth.
        strength: factor on the difference.
        restore: whether the difference is first brought to the length of v.
    """

    template: Template
    block: int | float = 4
    strength: float = 0.5
    restore: bool = False

    def __post_init__(self) -> None:
        _check_depth("contrast.block", self.block)
        if not (isfinite(self.strength) and abs(self.strength) <= MAX_FACTOR):
            raise ValueError(
                f"contrast.strength lies between {-MAX_FACTOR:g} and {MAX_FACTOR:g}; "
                f"got {self.strength}"
            )
        if self.template.has_placeholder:
            raise ValueError("the auxiliary prompt of contrast takes no placeholder")


@dataclass(frozen=True, slots=True)
class Example:
    """A text and the word that stands for it, shown to the model before it is asked."""

    text: str
    word: str


@dataclass(frozen=True, slots=True)
class ExampleRules:
    """Examples drawn from the collection that is indexed (RICE, 2026).

    Attributes:
        count: documents that are shown.
        seed: which ones; the same seed draws the same documents from the same collection.
        max_tokens: tokens of each that are shown.
    """

    count: int = 10
    seed: int = 0
    max_tokens: int = 64

    def __post_init__(self) -> None:
        _check_range("sample.count", self.count, 1, MAX_SHOWN)
        _check_range("sample.max_tokens", self.max_tokens, 1, MAX_TERMS)
        _check_range("sample.seed", self.seed, 0, MAX_SEED)


@dataclass(frozen=True, slots=True)
class RewritingRules:
    """Rewritings of a text by a generating model, averaged with it (GenEOL, NAACL 2025).

    Attributes:
        writer: the model that writes, by name or folder; "" is the one that reads.
        per_instruction: rewritings of each of the four kinds.
        shots: demonstrations that the writer is shown each time.
        compose: whether every rewriting is then summarised.
        seed: of demonstrations and answers.
        unit: whether states have unit length before they are averaged.
    """

    writer: str = ""
    per_instruction: int = 2
    shots: int = 5
    compose: bool = False
    seed: int = 0
    unit: bool = False

    def __post_init__(self) -> None:
        _check_range("rewrite.per_instruction", self.per_instruction, 1, MAX_SHOWN)
        _check_range("rewrite.shots", self.shots, 0, MAX_SHOWN)
        _check_range("rewrite.seed", self.seed, 0, MAX_SEED)


def at_depth(value: int | float, depth: int) -> int:
    """Turn a number or a fraction of depth into a number of blocks, 0..depth."""
    if isinstance(value, float):
        return round(value * depth)
    return value if value >= 0 else depth + 1 + value


def _check_depth(name: str, value: int | float) -> None:
    if isinstance(value, float) and not 0 <= value <= 1:
        raise ValueError(f"{name} as a fraction of depth lies between 0.0 and 1.0; got {value}")
