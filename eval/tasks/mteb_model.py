"""Models for the mteb library: a dense encoder, and with it the engine that fuses channels.

Nothing here derives from a class of mteb: its protocols ask for methods only, and importing it
takes seconds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedder.files.content_hash import content_hash
from embedder.progress import Progress, watching
from embedder.types import Encoder, Role
from eval.measures.ranking import rank_documents
from eval.runs.collection_index import open_or_build
from index.documents import Document
from index.folder import Index
from retrieval.fusion_choice import AUTO
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever
from retrieval.run import Run

if TYPE_CHECKING:
    from datasets import Dataset
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models.model_meta import ModelMeta
    from torch.utils.data import DataLoader

WINDOW = 256  # texts that an encoder gets at once
SEARCHED = ("Retrieval", "InstructionRetrieval")
"""Types of tasks in which a corpus is searched, by all channels; others compare given texts."""

EncodersForTask = Callable[["TaskMetadata"], Mapping[str, Encoder]]
"""Returns the encoders, by channel, of the texts of a task."""


def instruction(task: "TaskMetadata") -> str:
    """Return mteb's instruction of a task, that of queries where documents have another.

    A task without words of its own has those of its kind, e.g. "Retrieve text based on user
    query.".
    """
    from mteb.abstasks.abstask import get_abstask_prompt

    prompt = task.prompt
    if isinstance(prompt, dict):
        prompt = prompt.get("query")
    return str(prompt or get_abstask_prompt(task.name) or task.description)


class DenseModel:
    """An encoder as mteb calls it: one dense row a text, compared by cosine.

    A text is read as a document where the task says that it is one, else as a query: similarity
    is symmetric, and models with an instruction have it in the query prompt.

    Args:
        meta: says whose results these are.
        encoders: those of a task, of which the "dense" one is used.
    """

    def __init__(self, meta: "ModelMeta", encoders: EncodersForTask) -> None:
        self.mteb_model_meta = meta
        self._encoders = encoders
        self._progress: Progress = lambda texts: None
        self._done = 0

    def watch(self, progress: Progress) -> None:
        """Call `progress` from now on with the number of texts encoded since now."""
        self._progress, self._done = progress, 0

    def encode(
        self,
        inputs: "DataLoader[Any]",
        *,
        task_metadata: "TaskMetadata",
        prompt_type: Any = None,  # noqa: ANN401  (mteb's PromptType)
        **_: object,
    ) -> NDArray[np.float32]:
        """Encode texts in their order, (n, dim) of unit length.

        Raises:
            ValueError: the encoder gives no dense row or several for a text.
        """
        encoder = self._encoders(task_metadata).get("dense")
        if encoder is None:
            raise ValueError(
                f"{task_metadata.name} is a task of type {task_metadata.type}, which is judged on "
                "dense rows; take a model that gives them, and leave out --channels"
            )
        is_document = getattr(prompt_type, "value", "") == "document"
        role = Role.DOCUMENT if is_document else Role.QUERY
        texts = [text for batch in inputs for text in batch["text"]]
        unique = list(dict.fromkeys(texts))  # pairs of sentences hold many of them twice
        parts = []
        for start in range(0, max(len(unique), 1), WINDOW):
            window = unique[start : start + WINDOW]
            with watching(self._report, len(window)):
                parts.append(_dense_rows(encoder, window, role))
            self._advance(len(window))
        row_of = {text: row for row, text in enumerate(unique)}
        return np.concatenate(parts)[[row_of[text] for text in texts]]

    def similarity(self, first: Any, second: Any) -> Any:  # noqa: ANN401  (arrays or tensors)
        """Return cosines of all rows with all rows, (n, m)."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(first, second)

    def similarity_pairwise(self, first: Any, second: Any) -> Any:  # noqa: ANN401
        """Return cosines of rows with the rows at their place, (n,)."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(first, second)

    def _advance(self, texts: int) -> None:
        self._done += texts
        self._report(0)

    def _report(self, more: int) -> None:
        self._progress(self._done + more)


@dataclass(frozen=True)
class CorpusSearch:
    """How a corpus is searched.

    Attributes:
        indexes: folder for the indexes; one that is there is used again, an unfinished one is
            finished.
        fusion: as `fusion_by_name` reads it; not used with one channel.
        depth: documents that each channel contributes, at least; BEIR's is 1000.
        build: how indexes are made. A document without text is kept: a corpus is judged whole.
    """

    indexes: Path
    fusion: str = AUTO
    depth: int = 1000
    build: BuildOptions = field(
        default_factory=lambda: BuildOptions(on_empty="keep", passages=None)
    )


class HybridModel(DenseModel):
    """A dense model that mteb also calls a search model: it indexes a corpus and fuses channels.

    Tasks that search a corpus (`SEARCHED`) are answered by the fused run. In all others,
    reranking among them, dense rows are compared.

    Args:
        meta: says whose results these are.
        encoders: those of a task, by channel; one encoder may serve two channels.
        search: see `CorpusSearch`.
    """

    def __init__(self, meta: "ModelMeta", encoders: EncodersForTask, search: CorpusSearch) -> None:
        super().__init__(meta, encoders)
        self._options = search
        self.rebuilt: list[str] = []
        """Tasks whose index was of other documents, and was built again."""
        self._reranker: Any = None

    def index(self, corpus: "Dataset", *, task_metadata: "TaskMetadata", **arguments: Any) -> None:  # noqa: ANN401
        """Index a corpus, unless that was done before.

        Raises:
            ValueError: the index there is of another corpus, or was made by other encoders.
        """
        if task_metadata.type not in SEARCHED:
            from mteb.models import SearchEncoderWrapper

            self._reranker = SearchEncoderWrapper(self)
            self._reranker.index(corpus, task_metadata=task_metadata, **arguments)
            return
        path = self._index_path(task_metadata, arguments["hf_split"], arguments["hf_subset"])
        encoders, build = self._encoders(task_metadata), self._options.build
        indexed = open_or_build(lambda: _documents(corpus), encoders, path, build, self._report)
        indexed.index.close()
        if indexed.state != "reused":
            self._advance(len(corpus))
        if indexed.state == "rebuilt":
            self.rebuilt.append(task_metadata.name)

    def search(
        self,
        queries: "Dataset",
        *,
        task_metadata: "TaskMetadata",
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **arguments: Any,  # noqa: ANN401
    ) -> Run:
        """Return the top_k best documents of every query, and its own where it is among them.

        With `top_ranked`, documents that are not named there for a query are passed over before
        channels are fused.
        """
        if task_metadata.type not in SEARCHED:
            arguments |= {"task_metadata": task_metadata, "top_k": top_k, "top_ranked": top_ranked}
            return dict(self._reranker.search(queries, **arguments))
        texts = _query_texts(queries, task_metadata)
        run: Run = {query_id: {} for query_id, text in texts.items() if not text.strip()}
        path = self._index_path(task_metadata, arguments["hf_split"], arguments["hf_subset"])
        with Index.open(path) as index:
            depth = max(top_k, self._options.depth) if top_ranked is None else index.documents
            encoders = self._encoders(task_metadata)
            retriever = Retriever(index, encoders, self._options.fusion)
            items = [(query_id, text) for query_id, text in texts.items() if text.strip()]
            for start in range(0, len(items), WINDOW):
                window = dict(items[start : start + WINDOW])
                channel_runs = list(retriever.channel_runs(window, depth).values())
                if top_ranked is not None:
                    channel_runs = [_among(channel, top_ranked) for channel in channel_runs]
                for query_id, scores in retriever.fuse(channel_runs).items():
                    run[query_id] = _best(query_id, scores, top_k)
                self._advance(len(window))
        return run

    def _index_path(self, task: "TaskMetadata", split: str, subset: str) -> Path:
        model = self.mteb_model_meta
        name = f"{task.name}-{content_hash([task.revision, split, subset])}.index"
        return self._options.indexes / str(model.model_name_as_path()) / str(model.revision) / name


def _dense_rows(encoder: Encoder, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
    rows = encoder.encode(texts, role)
    if rows.dense is None or not np.array_equal(rows.owner, np.arange(len(texts))):
        kind = "sparse rows" if rows.dense is None else f"{len(rows)} rows for {len(texts)} texts"
        raise ValueError(f"mteb compares one dense row a text; this encoder gives {kind}")
    return rows.dense


def _documents(corpus: "Dataset") -> Iterator[Document]:
    for batch in corpus.iter(batch_size=WINDOW):
        titles = batch.get("title") or [""] * len(batch["id"])
        for doc_id, title, text in zip(batch["id"], titles, batch["text"], strict=True):
            yield Document(doc_id, title or "", text or "")


def _query_texts(queries: "Dataset", task: "TaskMetadata") -> dict[str, str]:
    """Read queries as mteb's own search models do, with instructions or turns in one text."""
    from mteb._create_dataloaders import create_dataloader
    from mteb.types import PromptType

    batches = create_dataloader(queries, task_metadata=task, prompt_type=PromptType.query)
    texts = [text for batch in batches for text in batch["text"]]
    return dict(zip(queries["id"], texts, strict=True))


def _among(run: Run, candidates: Mapping[str, Sequence[str]]) -> Run:
    return {
        query_id: {doc_id: scores[doc_id] for doc_id in candidates[query_id] if doc_id in scores}
        for query_id, scores in run.items()
    }


def _best(query_id: str, scores: Mapping[str, float], k: int) -> dict[str, float]:
    """Cut to k as trec_eval orders, so that the cut falls between equal scores as there.

    The query's own document comes on top of that: mteb drops it later where it does not count.
    """
    best = list(rank_documents(scores, k + 1))
    return {doc_id: scores[doc_id] for doc_id in (best if query_id in best else best[:k])}
