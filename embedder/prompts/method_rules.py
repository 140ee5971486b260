"""The rules of published methods that a prompt may hold: what is done to texts, states and rows."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from embedder.prompts.readout_rules import MAX_TERMS, check_depth, check_range
from embedder.prompts.template import Template

MAX_FACTOR = 1000.0
MAX_SHOWN = 10_000  # documents that are drawn, rewritings and demonstrations of one text
MAX_SEED = 2**63 - 1
MIN_SAMPLE = 16  # texts from which means and variances are taken
MIN_SHRINKAGE = 1e-4


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
        check_depth("prepend.exit", self.exit)
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
        check_depth("contrast.block", self.block)
        if not (isfinite(self.strength) and abs(self.strength) <= MAX_FACTOR):
            raise ValueError(
                f"contrast.strength lies between {-MAX_FACTOR:g} and {MAX_FACTOR:g}; "
                f"got {self.strength}"
            )
        if self.template.has_placeholder:
            raise ValueError("the auxiliary prompt of contrast takes no placeholder")


@dataclass(frozen=True, slots=True)
class SelectionRules:
    """How the tokens of a text are selected.

    Attributes:
        ask: what follows each chunk, a prompt for a summary.
        chunk_tokens: tokens that a chunk of whole sentences holds at most; the paper takes 256 for
            texts of 512 tokens and 512 for texts of 8192.
        alpha: a token is kept where its importance is above alpha times the chunk's mean; the
            paper takes 1 to 2 for texts of 512 tokens and 1.5 to 2.5 for texts of 8192.
    """

    ask: str = 'Brief summary: "'
    chunk_tokens: int = 256
    alpha: float = 1.5

    def __post_init__(self) -> None:
        if not self.ask.strip():
            raise ValueError("ask must hold a prompt for a summary, it is blank")
        if self.chunk_tokens < 1:
            raise ValueError(f"chunk_tokens must be at least 1, got {self.chunk_tokens}")
        if not (isfinite(self.alpha) and self.alpha > 0):
            raise ValueError(f"alpha must be a finite number above 0, got {self.alpha}")


@dataclass(frozen=True, slots=True)
class FilterRules:
    """Which directions are kept, counted from the strongest.

    An int is a number of directions, a float a fraction of the model's width. To drop as many of
    the weakest as of the strongest, let skip be (1 - dim) / 2.

    Attributes:
        skip: leading directions that are dropped; an int from 0, or a float from 0.0 to below 1.0.
        dim: directions after them that are kept; an int from 1, or a float above 0.0 to 1.0.
    """

    skip: int | float
    dim: int | float

    def __post_init__(self) -> None:
        _check_share("skip", self.skip)
        _check_share("dim", self.dim)
        if self.dim == 0:
            raise ValueError("dim must be above 0: it is what is kept of the model's width")
        if self.skip == 1.0 and isinstance(self.skip, float):
            raise ValueError("skip must be below 1.0, or nothing is kept; the whole number 1 is 1")

    def span(self, width: int) -> tuple[int, int]:
        """Find the [start, end) of the directions that are kept of a model of this width.

        Raises:
            ValueError: the model has fewer directions than are skipped and kept, or none is kept.
        """
        skip, dim = (
            share * width if isinstance(share, float) else share for share in (self.skip, self.dim)
        )
        # The end is rounded as a whole: 0.3 and 0.7 of 5 would else be 2 and 4.
        start, end = round(skip), round(skip + dim)
        if end > width:
            raise ValueError(
                f"filter.skip {self.skip} and filter.dim {self.dim} ask for {end} directions, "
                f"but the model has {width}; lower one of them"
            )
        if start == end:
            raise ValueError(
                f"filter.dim {self.dim} keeps none of the model's {width} directions; raise it"
            )
        return start, end


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
        check_range("sample.count", self.count, 1, MAX_SHOWN)
        check_range("sample.max_tokens", self.max_tokens, 1, MAX_TERMS)
        check_range("sample.seed", self.seed, 0, MAX_SEED)


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
        check_range("rewrite.per_instruction", self.per_instruction, 1, MAX_SHOWN)
        check_range("rewrite.shots", self.shots, 0, MAX_SHOWN)
        check_range("rewrite.seed", self.seed, 0, MAX_SEED)


@dataclass(frozen=True, slots=True)
class PostRules:
    """What is done to dense rows by what a sample of the collection says of them.

    Centring per role; all-but-the-top (Mu and Viswanath, ICLR 2018); whitening (Su et al.,
    arXiv 2103.15316), shrunk towards no change. See `retrieval.post_fitting`.

    Attributes:
        center: whether documents lose the mean of documents, and queries that of queries.
        remove: leading principal components that are taken away.
        whiten: whether rows are stretched to like variance along the other components.
        shrinkage: what is added to each variance before, as a share of the largest: little
            whitens strongly, 1 and more hardly. "auto" is what finds documents of the sample by
            pseudo-queries of them that it was not fitted to.
        dim: components that are kept, which makes the index smaller; 0 keeps all.
        count: documents of the sample; as many pseudo-queries are cut from them.
        seed: which ones.
    """

    center: bool = True
    remove: int = 0
    whiten: bool = True
    shrinkage: float | Literal["auto"] = "auto"
    dim: int = 0
    count: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("post.remove", self.remove, 0, MAX_SHOWN)
        check_range("post.dim", self.dim, 0, MAX_SHOWN)
        check_range("post.count", self.count, MIN_SAMPLE, MAX_SHOWN)
        check_range("post.seed", self.seed, 0, MAX_SEED)
        if self.shrinkage != "auto" and not MIN_SHRINKAGE <= self.shrinkage <= MAX_FACTOR:
            raise ValueError(
                f"post.shrinkage lies between {MIN_SHRINKAGE:g} and {MAX_FACTOR:g}, or is auto; "
                f"got {self.shrinkage}"
            )
        if not (self.center or self.remove or self.whiten or self.dim):
            raise ValueError("post does nothing: leave it out, or center, remove, whiten or cut")


def _check_share(name: str, share: int | float) -> None:
    limit = 1.0 if isinstance(share, float) else float("inf")
    if isinstance(share, bool) or not isfinite(share) or not 0 <= share <= limit:
        raise ValueError(
            f"{name} must be a whole number of directions, or a fraction of the model's width from "
            f"0.0 to 1.0, got {share!r}"
        )
