"""The parts of the study: which prompts are judged on which data sets, by which channels."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.smollm2 import prompts as made
from embedder.prompts.prompt import Prompt

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
        ("sts/sickr-test.tsv", *(f"sts/sts{year}.tsv" for year in range(12, 17))),
        library=(*_PAIRED, "mean", "echo", "prompteol-shot-opt-1.3b"),
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
    "modes": Part(
        "PromptReps' generating modes: nDCG@10",
        _TWO,
        _ALL,
        ("promptreps",),
        made.generating_prompts,
    ),
    "sparse-rules": Part(
        "Rules of sparse rows: nDCG@10",
        _TWO,
        "sparse,bm25",
        ("promptreps",),
        made.sparse_prompts,
    ),
}  # fmt: skip
