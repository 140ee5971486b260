"""lastword: turn any language model into a search engine, with no training.

>>> import lastword as lw
>>> index = lw.build(None, ["green tea is steeped for three minutes", "rotate the key at night"])
>>> index.search("how do I rotate a key", k=1)[0].id
'1'
"""

from importlib import import_module
from typing import TYPE_CHECKING

from lastword.shadowing import load_own_packages

load_own_packages()

if TYPE_CHECKING:
    from embedder.checkpoints.variant import ModelVariant
    from embedder.cluster.options import RayOptions
    from embedder.encoders.bm25 import BM25Encoder
    from embedder.encoders.load import load_encoder
    from embedder.models.loading import LLMOptions
    from embedder.prompts.files import load_prompt
    from embedder.rerank.load import load_reranker
    from eval.data.sources import open_sources as read_sources
    from eval.measures.measures import evaluate as evaluate_run
    from eval.robustness.measure import RobustnessOptions
    from eval.robustness.report import RobustnessReport
    from eval.synthesis.devset import DevsetOptions
    from index.documents import Document
    from lastword.engine import SearchEngine
    from lastword.hits import Hit, SearchHits
    from lastword.judging import Evaluation, compare, evaluate, measure_robustness
    from lastword.opening import build_engine as build
    from lastword.opening import open_engine as open  # noqa: A004  (as lastword.open)
    from lastword.planning import PlanOptions, plan
    from lastword.prompt_tuning import estimate_tuning, tune
    from lastword.syncing import sync_folder as sync
    from retrieval.exchange.formats import export_index, import_index
    from retrieval.exchange.options import ExportOptions, ImportOptions
    from retrieval.milvus.push import PushOptions, PushReport
    from retrieval.milvus.push import push_index as push
    from retrieval.open import open_retriever
    from retrieval.options import BuildOptions
    from retrieval.rerank.reranking import Reranking
    from retrieval.sources.options import SourceOptions
    from retrieval.sync.options import SyncOptions
    from retrieval.sync.report import SyncReport
    from tuning.options import TuningOptions

    __version__: str

_PLACES = {
    "BM25Encoder": "embedder.encoders.bm25:BM25Encoder",
    "BuildOptions": "retrieval.options:BuildOptions",
    "DevsetOptions": "eval.synthesis.devset:DevsetOptions",
    "Document": "index.documents:Document",
    "Evaluation": "lastword.judging:Evaluation",
    "ExportOptions": "retrieval.exchange.options:ExportOptions",
    "Hit": "lastword.hits:Hit",
    "ImportOptions": "retrieval.exchange.options:ImportOptions",
    "LLMOptions": "embedder.models.loading:LLMOptions",
    "ModelVariant": "embedder.checkpoints.variant:ModelVariant",
    "PlanOptions": "lastword.planning:PlanOptions",
    "PushOptions": "retrieval.milvus.push:PushOptions",
    "PushReport": "retrieval.milvus.push:PushReport",
    "RayOptions": "embedder.cluster.options:RayOptions",
    "Reranking": "retrieval.rerank.reranking:Reranking",
    "RobustnessOptions": "eval.robustness.measure:RobustnessOptions",
    "RobustnessReport": "eval.robustness.report:RobustnessReport",
    "SearchHits": "lastword.hits:SearchHits",
    "SearchEngine": "lastword.engine:SearchEngine",
    "SourceOptions": "retrieval.sources.options:SourceOptions",
    "SyncOptions": "retrieval.sync.options:SyncOptions",
    "SyncReport": "retrieval.sync.report:SyncReport",
    "TuningOptions": "tuning.options:TuningOptions",
    "build": "lastword.opening:build_engine",
    "compare": "lastword.judging:compare",
    "estimate_tuning": "lastword.prompt_tuning:estimate_tuning",
    "evaluate": "lastword.judging:evaluate",
    "evaluate_run": "eval.measures.measures:evaluate",
    "export_index": "retrieval.exchange.formats:export_index",
    "import_index": "retrieval.exchange.formats:import_index",
    "load_encoder": "embedder.encoders.load:load_encoder",
    "load_prompt": "embedder.prompts.files:load_prompt",
    "load_reranker": "embedder.rerank.load:load_reranker",
    "measure_robustness": "lastword.judging:measure_robustness",
    "open": "lastword.opening:open_engine",
    "open_retriever": "retrieval.open:open_retriever",
    "push": "retrieval.milvus.push:push_index",
    "plan": "lastword.planning:plan",
    "read_sources": "eval.data.sources:open_sources",
    "sync": "lastword.syncing:sync_folder",
    "tune": "lastword.prompt_tuning:tune",
}

__all__ = [
    "BM25Encoder",
    "BuildOptions",
    "DevsetOptions",
    "Document",
    "Evaluation",
    "ExportOptions",
    "Hit",
    "ImportOptions",
    "LLMOptions",
    "ModelVariant",
    "PlanOptions",
    "PushOptions",
    "PushReport",
    "RayOptions",
    "Reranking",
    "RobustnessOptions",
    "RobustnessReport",
    "SearchEngine",
    "SearchHits",
    "SourceOptions",
    "SyncOptions",
    "SyncReport",
    "TuningOptions",
    "build",
    "compare",
    "estimate_tuning",
    "evaluate",
    "evaluate_run",
    "export_index",
    "import_index",
    "load_encoder",
    "load_prompt",
    "load_reranker",
    "measure_robustness",
    "open",
    "open_retriever",
    "plan",
    "push",
    "read_sources",
    "sync",
    "tune",
]


if not TYPE_CHECKING:  # else every misspelt name would be an object

    def __getattr__(name: str) -> object:
        """Import a name when it is first used: `lastword --help` stays light."""
        if name == "__version__":
            from importlib.metadata import version

            return version("lastword")
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, _, attribute = _PLACES[name].partition(":")
        value = getattr(import_module(module), attribute)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
