"""The rules of reading: which answers, at which positions and layer, and what is done on the way.

Depths may be given as numbers of blocks or as fractions of a model's depth, since a prompt is
used with models of many depths.
"""

from dataclasses import dataclass
from typing import Literal

from embedder.files.typed_values import fill_value
from embedder.text.stop_words import STOP_WORDS, Segmentation

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

MAX_TERMS = 1_000_000  # more than any vocabulary has
MAX_SCALE = 1_000_000  # beyond it, products of weights leave the range of float32
MAX_GENERATED = 1000  # tokens; a pass each


def check_range(name: str, value: int, least: int, most: int) -> None:
    """Refuse a number outside a range; `name` is named in the error."""
    if not least <= value <= most:
        raise ValueError(f"{name} lies between {least} and {most}; got {value}")


@dataclass(frozen=True, slots=True)
class SparseRules:
    """How next-token logits become weighted words (PromptReps, Zhuang et al., EMNLP 2024).

    Attributes:
        top: most terms of the text itself kept per row.
        words: "unicode" needs no data; "nltk" is the paper's exact form and needs punkt_tab data.
        stop_words: a list in embedder/text/stop_words, or "" for none.
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
        fill_value(Segmentation, self.words, "sparse.words")
        known = ("", *sorted(path.stem for path in STOP_WORDS.glob("*.txt")))
        if self.stop_words not in known:
            listed = ", ".join(f'"{name}"' for name in known)
            raise ValueError(f"sparse.stop_words must be one of {listed}; got {self.stop_words!r}")
        check_range("sparse.top", self.top, 1, MAX_TERMS)
        check_range("sparse.expansion", self.expansion, 0, MAX_TERMS)
        check_range("sparse.fallback", self.fallback, 0, MAX_TERMS)
        check_range("sparse.scale", self.scale, 0, MAX_SCALE)


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
        for name, kind in _CHOICES.items():
            fill_value(kind, getattr(self, name), f"read.{name}")
        if not self.dense and self.sparse is None:
            raise ValueError("a prompt must read dense rows, sparse rows or both; got neither")
        check_range("read.generated_tokens", self.generated_tokens, 1, MAX_GENERATED)
        check_range("read.last_generated", self.last_generated, 0, MAX_GENERATED)
        check_depth("read.layer", self.layer)

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


_CHOICES = {"mode": Mode, "span": ReadSpan, "pool": Pooling, "norm": Norm, "attention": Attention}


def at_depth(value: int | float, depth: int) -> int:
    """Turn a number or a fraction of depth into a number of blocks, 0..depth."""
    if isinstance(value, float):
        return round(value * depth)
    return value if value >= 0 else depth + 1 + value


def check_depth(name: str, value: int | float) -> None:
    """Refuse a fraction of depth that is none; `name` is named in the error."""
    if isinstance(value, float) and not 0 <= value <= 1:
        raise ValueError(f"{name} as a fraction of depth lies between 0.0 and 1.0; got {value}")
