"""Small run folders as evaluations write them, with an index but without a model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder
from eval.data.qrels import Qrels
from eval.runs.record import Record, RunCost, file_stem
from eval.runs.run_config import open_run
from eval.tasks.retrieval import JudgeOptions, judge
from index.documents import Document

DOCUMENTS = {
    "d1": ("Keys <script>alert(1)</script>", "Rotate the key every month & keep the old keys."),
    "d2": ("Locks", "key key lock door " + "filler words around it " * 30 + " the door is locked"),
    "d3": ("", "A door, and nothing else."),
    "d4": ("", ""),
    "d5": ("Windows", "A window is no door; it has no key."),
}
QUERIES = {"q1": "rotating <b>keys</b>", "q2": "lock <b>the</b> door", "q3": "unheard xyzzy"}
QRELS: Qrels = {"q1": {"d1": 2, "d5": 0}, "q2": {"d2": 1, "d3": 1}, "q3": {"d4": 1}}

# Two ways of reading words: the second stands for a model's sparse channel.
ENCODERS: Mapping[str, Encoder] = {"bm25": BM25Encoder(), "sparse": BM25Encoder("none", "")}


@dataclass(frozen=True)
class Made:
    """A collection in memory."""

    name: str = "tiny/one"
    held: Mapping[str, str] = field(default_factory=lambda: QUERIES)

    def documents(self) -> Iterator[Document]:
        for doc_id, (title, text) in DOCUMENTS.items():
            yield Document(doc_id, title, text)

    def queries(self) -> dict[str, str]:
        return dict(self.held)

    def qrels(self) -> Qrels:
        return QRELS


def retrieval_folder(
    path: Path, channels: tuple[str, ...] = ("bm25", "sparse"), names: tuple[str, ...] = ("tiny",)
) -> Path:
    """Judge collections for real, with words for channels."""
    prompt = 'name = "plain"\ntemplate = "{text} </pre><script>"\n'
    recipe = {"kind": "llm", "model": "some/model", "prompt": prompt}
    open_run(path, {"recipes": {"sparse": recipe}, "fusion": "promptreps"}, resume=False)
    options = JudgeOptions(fusion="promptreps", out=path)
    encoders = {name: ENCODERS[name] for name in channels}
    for name in names:
        index = path.with_name(f"{path.name}-{file_stem(name)}.index")
        judge(Made(name), encoders, index, options)
    return path


def sts_folder(path: Path, shift: float = 0.0) -> Path:
    """Write two sets of sentence pairs, the second with subsets."""
    open_run(path, {"benchmark": "sts"}, resume=False)
    for dataset in ("pairs", "more-pairs"):
        values = {str(at): 0.1 * at + shift for at in range(1, 9)}
        details = {"subsets": {"forum": {"measures": {"spearman": 0.5}, "pairs": 4}}}
        Record(
            benchmark="sts",
            dataset=dataset,
            values={"dense": {"spearman": values, "pearson": values}},
            counted="dense",
            fingerprints={"dense": '{"kind":"llm"}'},
            cost=RunCost(
                {"encode": 1.0}, {"dense": {"texts": 16, "tokens": 99, "truncated": 1}}, 10
            ),
            details=details if dataset == "more-pairs" else {},
        ).write(path)
    return path
