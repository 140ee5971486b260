"""`lw.plan`: what an index of a source, or of so many documents, will cost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from embedder.checkpoints.bundled import BUNDLED_NAME
from embedder.encoders.load import own_prompt
from embedder.inspect.model_flops import ModelShape, find_config_folder
from embedder.inspect.probe import probe_speed
from embedder.inspect.prompt_tokens import count_prompt_tokens
from embedder.prompts.files import load_prompt
from index.documents import Document
from retrieval.planning.figures import GPU, IndexPlan
from retrieval.planning.plan import Machines, PlannedTexts, plan_index
from retrieval.planning.sample import measure_source

_TERMS = 0.45  # different words for each token, where no text is at hand


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """By what documents are read, and where.

    Attributes:
        model: that reads them: its config is enough.
        prompt: that it reads by, a name or a file; "" is the model's own.
        gpus: such as "h100:8"; each is an answer of its own.
        utilisation: part of their peak that reading texts reaches.
        node_memory: bytes of a node that serves.
        probe: measure for at most half a minute how fast this machine reads.

    >>> options = lw.PlanOptions(gpus=["h100:8"], probe=False)
    >>> [hours.name for hours in lw.plan(documents=10, tokens=5, options=options).encoding]
    ['h100:8']
    """

    model: str = BUNDLED_NAME
    prompt: str = ""
    gpus: Sequence[str] = ()
    utilisation: float = 0.4
    node_memory: float = 64e9
    probe: bool = True


def plan(
    source: Iterable[Document] | None = None,
    *,
    documents: int | None = None,
    tokens: int | None = None,
    options: PlanOptions | None = None,
) -> IndexPlan:
    """Foresee disk, hours, memory and nodes of an index; every figure has its formula.

    Args:
        source: documents that are counted and whose beginning is measured; or give the next two.
        documents: how many there are.
        tokens: of a text, in the mean.
        options: model, prompt and machines.

    Raises:
        ValueError: neither a source nor documents and tokens are given, a value is out of its
            range, the model has no config here, or the prompt cannot be read.

    >>> options = lw.PlanOptions(probe=False)
    >>> figures = lw.plan(documents=1000, tokens=100, options=options).index
    >>> [(each.name, each.value) for each in figures][0]
    ('texts and ids', 510000.0)
    """
    options = options or PlanOptions()
    terms = None
    if source is not None:
        size = measure_source(source)
        documents, tokens, terms = documents or size.documents, size.tokens, size.terms
    if documents is None or tokens is None:
        raise ValueError("a plan needs a source, or documents and tokens (--documents, --tokens)")
    shape = ModelShape.of_model(options.model)
    texts = PlannedTexts(documents, tokens, round(_TERMS * tokens) if terms is None else terms)
    texts = _read_by(texts, options)
    kinds = [GPU.parse(each) for each in options.gpus]
    speed = probe_speed(options.model) if options.probe else None
    machines = Machines(kinds, options.utilisation, options.node_memory, speed)
    return plan_index(texts, shape, machines)


def _read_by(texts: PlannedTexts, options: PlanOptions) -> PlannedTexts:
    """Return texts with what the prompt puts around them and reads, as far as that is known."""
    prompt = load_prompt(options.prompt) if options.prompt else own_prompt(options.model)
    texts = replace(texts, sparse=prompt.reading.sparse.top if prompt.reading.sparse else 0)
    around = count_prompt_tokens(prompt, find_config_folder(options.model))
    if around is None:
        return texts
    return replace(
        texts,
        prefix=around.before,
        suffix=around.behind,
        readings=around.readings,
        prompt=f"prompt {prompt.name}, by the tokenizer of {options.model}",
    )
