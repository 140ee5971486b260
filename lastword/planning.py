"""`lw.plan`: what an index of a source, or of so many documents, will cost."""

from collections.abc import Iterable, Sequence

from embedder.checkpoints.bundled import BUNDLED_NAME
from embedder.inspect.model_flops import ModelShape
from embedder.inspect.probe import probe_speed
from index.documents import Document
from retrieval.planning.figures import GPU, IndexPlan
from retrieval.planning.plan import Machines, PlannedTexts, plan_index
from retrieval.planning.sample import measure_source

_TERMS = 0.45  # different words for each token, where no text is at hand


def plan(
    source: Iterable[Document] | None = None,
    *,
    documents: int | None = None,
    tokens: int | None = None,
    model: str = BUNDLED_NAME,
    gpus: Sequence[str] = (),
    utilisation: float = 0.4,
    node_memory: float = 64e9,
    probe: bool = True,
) -> IndexPlan:
    """Foresee disk, hours, memory and nodes of an index; every figure has its formula.

    Args:
        source: documents that are counted and whose beginning is measured; or give the next two.
        documents: how many there are.
        tokens: of a text, in the mean.
        model: that reads them: its config is enough.
        gpus: such as "h100:8"; each is an answer of its own.
        utilisation: part of their peak that reading texts reaches.
        node_memory: bytes of a node that serves.
        probe: measure for at most half a minute how fast this machine reads.

    Raises:
        ValueError: neither a source nor documents and tokens are given, a value is out of its
            range, or the model has no config here.

    >>> figures = lw.plan(documents=1000, tokens=100, probe=False).index
    >>> [(each.name, each.value) for each in figures][0]
    ('texts and ids', 510000.0)
    """
    terms = None
    if source is not None:
        size = measure_source(source)
        documents, tokens, terms = documents or size.documents, size.tokens, size.terms
    if documents is None or tokens is None:
        raise ValueError("a plan needs a source, or documents and tokens (--documents, --tokens)")
    shape = ModelShape.of_model(model)
    texts = PlannedTexts(documents, tokens, round(_TERMS * tokens) if terms is None else terms)
    kinds = [GPU.parse(each) for each in gpus]
    speed = probe_speed(model) if probe else None
    return plan_index(texts, shape, Machines(kinds, utilisation, node_memory, speed))
