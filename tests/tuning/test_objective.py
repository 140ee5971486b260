"""What tuning scores is what a search ranks, with passages and without a measured fusion too."""

from pathlib import Path

from embedder.encoders.adapted import AdaptedEncoder, encoder_of
from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.llm import LLMEncoder
from embedder.prompts.prompt import Prompt
from embedder.types import Encoder
from index.folder import Index
from index.manifest import Passages
from retrieval.build import BuildOptions, build_index
from retrieval.retriever import Retriever
from tests.synthetic import documents, queries
from tuning.objectives.index_objective import IndexObjective, JudgedQueries

DEPTH = 5


def test_channels_are_cut_to_the_depth_that_a_search_fuses(tmp_path: Path) -> None:
    """Of documents in several rows more came, so that scores were normalised over longer lists."""
    dense = LLMEncoder.load("bundled", channels=["dense"])
    encoders: dict[str, Encoder] = {"dense": dense, "bm25": BM25Encoder()}
    build_index(documents(40), encoders, tmp_path / "i", BuildOptions(passages=Passages(4)))
    asked = queries(4)
    data = JudgedQueries(asked, {query: {"d1": 1} for query in asked})

    def remade(prompt: Prompt) -> LLMEncoder | AdaptedEncoder:
        return encoder_of(dense.backbone, prompt, dense.options)

    with Index.open(tmp_path / "i") as index:
        objective = IndexObjective(index, encoders, data, remade, DEPTH)
        retriever = Retriever(index, encoders, depth=DEPTH)
        runs = [*retriever.channel_runs(asked, DEPTH).values()]
        assert objective.run(dense.prompt, list(asked)) == retriever.fuse(runs)
        assert all(len(found) == DEPTH for run in runs for found in run.values())
