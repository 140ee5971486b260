"""The parts of the study: which prompts are judged on which data sets, by which channels."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.smollm2 import prompts as made
from embedder.prompts.prompt import Prompt

_SIX = ("sts/sickr-test.tsv", *(f"sts/sts{year}.tsv" for year in range(12, 17)))
_FOUR = ("retrieval/cranfield", "retrieval/cisi", "retrieval/vaswani", "retrieval/scifact")
_TWO = _FOUR[:2]
_ALL = "dense,sparse,bm25"
_PAIRED = tuple(
    f"{base}{way}"
    for base in ("prompteol", "knowledge", "pretended-cot", "ck")
    for way in ("", "-tp", "-cp")
)
_SHOTS = tuple(
    f"prompteol-shot-opt-{size}"
    for size in ("125m", "350m", "1.3b", "2.7b", "6.7b", "13b", "30b", "66b")
)
_FROM_FIRST = tuple((1, end) for end in (3, 5, 7, 10, 15, 20))
_TP_SPANS = (*_FROM_FIRST, (2, 7), (3, 7), (5, 10), (8, 15), (10, 20))

_CP_DEPTHS = (
    *((block, 2.0, 25) for block in (2, 4, 6, 8, 12)),
    *((4, strength, 25) for strength in (0.5, 1.0, 3.0)),
    *((4, 2.0, layer) for layer in (28, 30)),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One run of `lastword bench prompts`.

    Attributes:
        title: of its table.
        datasets: below the data folder.
        channels: as of the command.
        library: prompts of the library; the first is the baseline of the table.
        prompts: makes the others; with no library the first of these is the baseline.
        side: of retrieval, the side whose wording varies.
    """

    title: str
    datasets: tuple[str, ...]
    channels: str = "dense"
    library: tuple[str, ...] = ()
    prompts: Callable[[], Iterable[Prompt]] | None = None
    side: str = "both"

    @property
    def baseline(self) -> str:
        """The prompt that the others are compared with."""
        return self.library[0] if self.library else self.made()[0].name

    def made(self) -> list[Prompt]:
        """Make the prompts that are not the library's."""
        return list(self.prompts()) if self.prompts else []


PARTS = {
    "sts-families": Part(
        "Families of the library: Spearman on STS-B",
        ("sts/stsb-dev.tsv", "sts/stsb-test.tsv"),
        library=("prompteol", "mean", *_PAIRED[1:], "prompteol-tp-cp", "prompteol-filter", *_SHOTS,
                 "echo", "echo-filter", "metaeol", "metaeol-tp", "reverseeol", "representative-tp",
                 "summarise-tp", "echo-retrieval", "htp", "scsp", "echo-scsp", "promptreps"),
    ),
    "sts-test-sets": Part(
        "Token Prepending and Contrastive Prompting on SICK-R and STS12-16: Spearman",
        _SIX,
        library=(*_PAIRED, "mean", "echo", "prompteol-shot-opt-1.3b"),
    ),
    "sts-best": Part(
        "Other families that lead on STS-B dev, on SICK-R and STS12-16: Spearman",
        _SIX,
        library=("prompteol", "prompteol-shot-opt-350m", "prompteol-shot-opt-6.7b", "echo-filter",
                 "metaeol"),
    ),
    "sts-layers": Part(
        "Blocks that are read: Spearman on STS-B dev",
        ("sts/stsb-dev.tsv",),
        library=("prompteol", "knowledge", "prompteol-shot-opt-350m", "mean"),
        prompts=lambda: (
            *made.read_at("prompteol", (15, 20, 22, 24, 25, 26, 28, 29)),
            *made.read_at("knowledge", (24, 25, 26, 28, 30)),
            *made.read_at("prompteol-shot-opt-350m", (25, 28)),
            *made.read_at("mean", (15, 20, 22, 24, 26, 28, 29)),
        ),
    ),
    "sts-contrast": Part(
        "Blocks and strengths of Contrastive Prompting: Spearman on STS-B dev",
        ("sts/stsb-dev.tsv",),
        library=("prompteol",),
        prompts=lambda: (
            *made.read_at("prompteol", (25,)),
            *made.contrast_prompts("prompteol-cp", _CP_DEPTHS),
        ),
    ),
    "sts-prepending": Part(
        "Depths of Token Prepending: Spearman on STS-B dev",
        ("sts/stsb-dev.tsv",),
        library=("prompteol", "knowledge"),
        prompts=lambda: (
            prompt
            for name in ("prompteol-tp", "knowledge-tp")
            for prompt in made.prepending_prompts(name, _TP_SPANS, (26, 30))
        ),
    ),
    "query-wordings": Part(
        "Forty-six wordings of the query, documents read by PromptReps: nDCG@10",
        _FOUR,
        _ALL,
        prompts=made.query_wordings,
        side="query",
    ),
    "pair-wordings": Part(
        "Wordings of query and document: nDCG@10",
        _TWO,
        _ALL,
        ("promptreps",),
        made.pair_wordings,
    ),
    "recipe": Part(
        "Steps to the smollm2 prompt, and other endings: nDCG@10",
        _TWO,
        "dense,bm25",
        ("promptreps", "smollm2"),
        made.ending_prompts,
    ),
    "instructions": Part(
        "Dense rows without words: nDCG@10",
        _TWO,
        "dense,bm25",
        ("promptreps", "mean", "echo-retrieval", "qwen3-embedding", "htp", "scsp", "echo-scsp"),
        made.instruction_prompts,
    ),
    "blocks": Part(
        "PromptReps' dense rows at other blocks: nDCG@10",
        _TWO,
        "dense,bm25",
        prompts=lambda: made.layer_prompts((29, 28, 27, 24, 20)),
    ),
    "promptreps-rules": Part(
        "PromptReps with RICE's examples, other sparse rows, generating modes: nDCG@10",
        _TWO,
        _ALL,
        ("promptreps", "rice"),
        lambda: (*made.sparse_prompts(), *made.generating_prompts()),
    ),
}  # fmt: skip
