"""Lucene's search against an index's own, on the same whole numbers."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from embedder.encoders.llm import LLMEncoder
from embedder.lucene.anserini import index_collection
from embedder.progress import Progress
from embedder.types import Encoder
from eval.data.collections import Collection
from eval.measures.measures import means
from eval.runs.collection_index import open_or_build
from eval.runs.run_folder import RunFolder
from eval.tasks.published import EQUAL
from eval.tasks.retrieval import JudgeOptions, judge
from index.channels.weighting import Weighting
from retrieval.exchange.formats import export_index
from retrieval.exchange.json_vectors import CORPUS
from retrieval.exchange.options import ExportOptions
from retrieval.options import ChannelOptions

LUCENE = "lucene"
SCALE = 100  # of weights, in PromptReps


def whole_weights(encoder: Encoder) -> Encoder:
    """Return an encoder whose weights of words are whole numbers: those times 100, rounded.

    Raises:
        ValueError: it is no language model's, or has no words.
    """
    if not isinstance(encoder, LLMEncoder) or encoder.prompt.reading.sparse is None:
        raise ValueError("the words of a language model are searched; there are none here")
    rules = encoder.prompt.reading.sparse
    if rules.scale:
        return encoder
    reading = replace(encoder.prompt.reading, sparse=replace(rules, scale=SCALE))
    prompt = replace(encoder.prompt, reading=reading)
    whole = LLMEncoder(encoder.backbone, prompt, encoder.options)
    whole.spec = encoder.spec and replace(encoder.spec, prompt=prompt)
    return whole


def judge_engines(
    collection: Collection,
    encoders: Mapping[str, Encoder],
    folder: Path,
    options: JudgeOptions,
    progress: Progress | None = None,
) -> dict[str, dict[str, float]]:
    """Search by PromptReps' pipeline through Anserini, and by an index of the same weights.

    The weights of documents go into Anserini's JsonVectorCollection, which its IndexCollection
    makes an impact index of (Zhuang et al., EMNLP 2024).

    Args:
        collection: with queries and judgements.
        encoders: the one sparse channel, see `whole_weights`.
        folder: where both indexes go.
        options: with a run folder, which both runs are kept in.
        progress: as for `judge`.

    Returns:
        Run -> measure -> mean; LUCENE has EQUAL, too.

    Raises:
        ValueError: as `judge`; or Java is missing.
    """
    assert options.out is not None
    (channel,) = encoders
    weighting = Weighting("impacts", drop_ubiquitous=True)  # as pyserini's impact search does
    as_pyserini = {channel: ChannelOptions("inverted", weighting=weighting)}
    build = replace(options.build, channels=as_pyserini)
    own, vectors, lucene = folder / "own.index", folder / "vectors", folder / "lucene"
    open_or_build(collection.documents, encoders, own, build, progress).index.close()
    export_index(own, "jsonvector", vectors, ExportOptions(overwrite=True, encoders=encoders))
    index_collection(
        (vectors / CORPUS).parent, lucene, "JsonVectorCollection", "impact", "pretokenized"
    )
    both = replace(options, build=build, also=(f"{LUCENE}:{lucene}?kind=impact",))
    record = judge(collection, encoders, own, both)
    runs = RunFolder(options.out, {}, {record.dataset: record})
    ours, theirs = (runs.run(record.dataset, name) for name in (channel, LUCENE))
    figures = {name: means(values) for name, values in record.values.items()}
    figures[LUCENE][EQUAL] = fmean(ours[query] == theirs[query] for query in ours)
    return figures
