"""A plan: from a number of documents and a model to disk, hours, memory and nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from embedder.inspect.model_flops import FORMULA, ModelShape
from retrieval.planning.factories import factory_figures, vector_bytes
from retrieval.planning.figures import GPU, IndexPlan, PlanFigure

ASSUMED = "assumed: no tokenizer is at hand"
_LARGER = ((10**7, "10 M"), (10**8, "100 M"), (10**9, "1 G"))
_IMPACT = 6  # bytes of a posting: two of its row, four of a weight that no other has
_COUNT = 3  # two of its row, one of a count
_GATHERED = 8  # before a segment is written: column and weight, four each
_BESIDE = 60  # bytes of a document beside its text: id, its index, places of passages
_TEXT_BYTES = 4.5  # of a token
_USED = 0.7  # of a node's memory
_SHARD = 50_000  # documents of a segment


@dataclass(frozen=True, slots=True)
class PlannedTexts:
    """What is to be indexed, and how it is read.

    Attributes:
        documents: how many texts.
        tokens: of a text, in the mean.
        terms: different words of a text, in the mean: BM25 has a posting for each.
        prefix: tokens that the prompt puts before every text, which are read once.
        suffix: tokens that it puts behind each.
        readings: how many times the model reads a text.
        sparse: words that the model weighs for a text; 0 for none.
        prompt: where the numbers of its tokens are from.
    """

    documents: int
    tokens: int
    terms: int
    prefix: int = 20
    suffix: int = 20
    readings: int = 1
    sparse: int = 128
    prompt: str = ASSUMED

    def __post_init__(self) -> None:
        least = dict.fromkeys(("terms", "prefix", "suffix", "sparse"), 0)
        least |= dict.fromkeys(("documents", "tokens", "readings"), 1)
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"a plan needs {name} >= {value}; got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Machines:
    """Where it is to run.

    Attributes:
        gpus: each is an answer of its own.
        utilisation: part of their peak that reading texts reaches.
        node_memory: bytes of a node that serves.
        tokens_per_second: measured on this machine; None where it was not.
    """

    gpus: Sequence[GPU] = ()
    utilisation: float = 0.4
    node_memory: float = 64e9
    tokens_per_second: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.utilisation <= 1:
            raise ValueError(f"utilisation is above 0 and at most 1; got {self.utilisation}")
        if self.node_memory <= 0:
            raise ValueError(f"a node needs memory above 0 bytes; got {self.node_memory}")


def plan_index(collection: PlannedTexts, model: ModelShape, machines: Machines) -> IndexPlan:
    """Foresee what an index of a collection costs; nothing is read or loaded.

    Args:
        collection: its documents.
        model: that reads them.
        machines: that encode and serve.
    """
    flops = model.flops(collection.tokens + collection.suffix, collection.prefix)
    flops *= collection.readings
    facts = (
        PlanFigure("documents", collection.documents, "documents", "given or counted"),
        PlanFigure("tokens of a text", collection.tokens, "tokens", "given or measured"),
        PlanFigure("words of a text", collection.terms, "words", "given or measured; else .45 T"),
        PlanFigure("tokens before a text", collection.prefix, "tokens", collection.prompt),
        PlanFigure("tokens behind a text", collection.suffix, "tokens", collection.prompt),
        PlanFigure("readings of a text", collection.readings, "readings", collection.prompt),
        PlanFigure("width of a vector", model.hidden, "numbers", "hidden_size of the model"),
        PlanFigure(
            "weights of the model", model.parameters, "weights", "blocks x matrices + words"
        ),
        PlanFigure("operations a text", flops, "FLOP", _flops_formula(collection)),
    )
    return IndexPlan(
        collection=facts,
        index=_index_bytes(collection, model.hidden),
        memory=_memory(collection, model),
        encoding=_encoding_hours(collection, flops, machines),
        factories=factory_figures(model.hidden, collection.documents),
        scale=_scale(collection, model.hidden, machines.node_memory),
    )


def _flops_formula(collection: PlannedTexts) -> str:
    return (
        f"{collection.readings} x ({FORMULA}); "
        f"T = {collection.tokens} of the text, S = {collection.suffix} behind it, "
        f"P = {collection.prefix} before it, read once; n = T + S, "
        "sum of positions = n P + n (n + 1) / 2"
    )


def _index_bytes(collection: PlannedTexts, dim: int) -> tuple[PlanFigure, ...]:
    n, text = collection.documents, _TEXT_BYTES * collection.tokens + _BESIDE
    parts = [
        PlanFigure("texts and ids", n * text, "bytes", f"N (4.5 T + {_BESIDE})"),
        PlanFigure(
            "dense, float32", 4.0 * dim * n, "bytes", "4 d N; float16 2 d N, int8 5 d N + 8 N"
        ),
        PlanFigure(
            "sparse", _posting_bytes(n, collection.sparse, _IMPACT), "bytes",
            f"({_IMPACT} words + 4 + 4) N: a posting, the length and owner of a row",
        ),
        PlanFigure(
            "bm25", _posting_bytes(n, collection.terms, _COUNT), "bytes",
            f"({_COUNT} words + 4 + 4) N: a posting, the length and owner of a row",
        ),
    ]  # fmt: skip
    total = sum(part.value for part in parts)
    return (*parts, PlanFigure("together", total, "bytes", "the sum of these"))


def _memory(collection: PlannedTexts, model: ModelShape) -> tuple[PlanFigure, ...]:
    n = collection.documents
    words = collection.sparse + collection.terms
    segment = _posting_bytes(min(n, _SHARD), words, _GATHERED)
    served = 4.0 * model.hidden * n + _postings_of(collection, n)
    return (
        PlanFigure("weights, float32", 4.0 * model.parameters, "bytes", "4 x weights of the model"),
        PlanFigure(
            "rows of a segment", segment, "bytes",
            f"postings of min(N, {_SHARD:,}) documents; dense rows go to disk at once",
        ),
        PlanFigure(
            "index in memory, Flat", served, "bytes",
            "4 d N + postings: what searches read is mapped, and fast where it stays in memory",
        ),
    )  # fmt: skip


def _postings_of(collection: PlannedTexts, rows: int) -> float:
    impacts = _posting_bytes(rows, collection.sparse, _IMPACT)
    return impacts + _posting_bytes(rows, collection.terms, _COUNT)


def _posting_bytes(rows: int, words: int, each: int) -> float:
    return float(rows * (each * words + 8)) if words else 0.0  # no words, no channel


def _encoding_hours(
    collection: PlannedTexts, flops: int, machines: Machines
) -> tuple[PlanFigure, ...]:
    figures = []
    if machines.tokens_per_second is not None:
        rate = machines.tokens_per_second
        hours = collection.documents * collection.tokens / rate / 3600
        formula = f"N T / {rate:,.0f} tokens a second, measured here, / 3600"
        figures.append(PlanFigure("this machine", hours, "hours", formula))
    for gpu in machines.gpus:
        rate = gpu.flops * machines.utilisation
        hours = collection.documents * flops / rate / 3600
        formula = (
            f"N x operations a text / ({gpu.count} x {gpu.flops / gpu.count / 1e12:g} TFLOP/s at "
            f"the peak x {machines.utilisation:g}) / 3600"
        )
        figures.append(PlanFigure(f"{gpu.name}:{gpu.count}", hours, "hours", formula))
    return tuple(figures)


def _scale(collection: PlannedTexts, dim: int, memory: float) -> tuple[PlanFigure, ...]:
    figures = []
    postings = _postings_of(collection, 1)
    for vectors, name in _LARGER:
        shards = ceil(vectors / _SHARD)
        figures.append(
            PlanFigure(f"{name}: shards to encode", shards, "shards", f"N / {_SHARD:,} documents")
        )
        for factory, (each, _) in vector_bytes(dim, vectors).items():
            if factory.partition(",")[2] == "RaBitQ" or "PQ" in factory:
                continue  # of no use without a refinement, which the last one has
            short = "IVF,RaBitQ,Refine(SQ8)" if "RaBitQ" in factory else factory
            nodes = ceil(vectors * (each + postings) / (_USED * memory))
            formula = (
                f"N x ({each:,.0f} bytes of a vector + {postings:,.0f} of postings) / "
                f"({_USED:g} x {memory / 1e9:,.0f} GB)"
            )
            figures.append(PlanFigure(f"{name}: {short}", nodes, "nodes", formula))
    return tuple(figures)
