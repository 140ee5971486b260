"""Make of options what a search for prompts needs, from the objective to the budget."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from embedder.encoders.adapted import AdaptedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import own_prompt
from embedder.encoders.sbert import SbertEncoder
from embedder.encoders.specs import LLMSpec, specs_of
from embedder.files.content_hash import content_hash
from embedder.files.typed_values import fill_value
from embedder.models.chat_client import check_chat
from embedder.prompts.files import load_prompt, prompt_library
from embedder.prompts.prompt import Prompt
from embedder.types import Encoder, Role
from eval.runs.collection_index import manifest_digest
from index.folder import Index
from retrieval.fusion_choice import fusion_for
from tuning.choose_proposers import ProposerMaterial, choose_proposers, read_names
from tuning.first_prompts import (
    BOTH,
    DOCUMENT,
    READING,
    first_proposals,
    fusion_settings,
    read_kinds,
    space_of,
)
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.judged_queries import JudgedQueries
from tuning.objectives.pooled_objective import PooledObjective, all_documents, pool_documents
from tuning.objectives.prompt_encoder import (
    PromptEncoder,
    own_prompts,
    tuned_channels,
    with_prompt,
)
from tuning.options import AUTO, TuningOptions
from tuning.proposers.soft_vectors import AdapterForm, SoftOptions, SoftPlace
from tuning.search.budget import Budget
from tuning.search.space import Space, key_of
from tuning.search.split import check_decidable
from tuning.search.types import Rules, TuningTask

OF_INDEX = frozenset({"index", "generation", "holds"})  # of a heading: what the index was


@dataclass(frozen=True, slots=True)
class TuningSetup:
    """A search that is ready to run.

    Attributes:
        task: what is tuned, and how.
        budget: never exceeded.
        heading: everything that decides the run, for its journal.
        objective: as in the task; also searches and counts.
        encoder: of the index's prompt.
        space: as in the task.
    """

    task: TuningTask
    budget: Budget
    heading: Mapping[str, Any]
    objective: IndexObjective
    encoder: PromptEncoder
    space: Space


def check_tunable(index: Index) -> None:
    """Refuse an index that is empty or whose build was interrupted.

    Raises:
        ValueError: it is.
    """
    if not index.documents or index.unfinished is not None:
        raise ValueError(
            f"{index.path} holds {index.documents} documents"
            f"{' and is not finished' if index.unfinished else ''}; "
            "run the lastword index command that makes it to its end first"
        )


def check_request(index: Index, channels: Sequence[str], options: TuningOptions) -> None:
    """Refuse what cannot be done, before a model is loaded.

    Args:
        index: opened.
        channels: that are tuned together.
        options: of the tuning.

    Raises:
        ValueError: the index is empty or unfinished, options cannot be read or do not go
            together, or a prompt or chat model is not there.
        OSError: a file of a prompt cannot be read.
    """
    check_tunable(index)
    Budget.parse(options.budget)
    kinds = read_kinds(options.tune)
    if READING in kinds and len(channels) == 1 and not {DOCUMENT, BOTH} & set(kinds):
        raise ValueError(
            "tune reading chooses how channels are fused, and there is one only, "
            f"{channels[0]}; leave reading out, or tune document beside it"
        )
    names = read_names(options.proposer)
    if "llm" in names and not options.writer:
        raise ValueError("proposer llm needs a writer: a chat model, a folder or an address")
    if options.prompt:
        load_prompt(options.prompt)
    for chat in (options.writer, options.judge):
        if chat:
            check_chat(chat)


def choose_channels(index: Index, text: str) -> list[str]:
    """Return the channels that are tuned: those named with commas, or all of the index."""
    names = [name.strip() for name in text.split(",")] if text else list(index.channels)
    unknown = [name for name in names if name not in index.channels]
    if unknown or len(set(names)) != len(names):
        raise ValueError(
            f"channels takes some of {', '.join(index.channels)}, each once; got {text!r}"
        )
    return names


def prepare_tuning(
    index: Index,
    encoders: Mapping[str, Encoder],
    data: JudgedQueries,
    options: TuningOptions,
    folder: Path,
) -> TuningSetup:
    """Prepare a search for the prompt of an index.

    Args:
        index: opened.
        encoders: of the channels that are tuned together, in their order.
        data: queries and judgements.
        options: what is tuned, and how much it may take.
        folder: of the run.

    Raises:
        ValueError: no channel is read by a model with a prompt, options do not go together, or
            there are too few queries.
    """
    relevant = data.relevant_in(index)
    check_decidable(relevant, options.alpha, data.queries)
    reader = next(iter(tuned_channels(encoders).values()))
    encoder = reader.inner if isinstance(reader, AdaptedEncoder) else reader
    model = encoder if isinstance(encoder, LLMEncoder) else None
    kinds = read_kinds(options.tune)
    fusion = fusion_for(AUTO, encoders, index.manifest.fusion)
    space = space_of(reader, kinds, list(encoders), fusion)
    settings = fusion_settings(list(encoders)) if "fusion" in space.genes else {}
    objective = IndexObjective(
        index, encoders, data, partial(with_prompt, encoder), settings=settings
    )
    soft = SoftOptions(
        vectors=options.soft_tokens,
        form=fill_value(AdapterForm, options.soft_form, "soft-form"),
        place=fill_value(SoftPlace, options.soft_place, "soft-place"),
        epochs=options.soft_epochs,
    )
    material = ProposerMaterial(index, model, data, space, folder / "vectors", objective, soft)
    task = TuningTask(
        objective,
        relevant,
        space,
        first_proposals(space, list(other_prompts(encoders, options.prompt))),
        choose_proposers(material, options.proposer, options.writer),
        Rules(seed=options.seed, alpha=options.alpha, min_effect=options.min_effect),
        texts=data.queries,
        quick=None if Role.DOCUMENT in space.roles else objective.quick,
    )
    if Role.DOCUMENT in space.roles:
        assert model is not None, encoder  # see `space_of`
        full = model.options.max_text_tokens
        pool = pool_documents(objective, space.default, options.seed)
        pooled, whole = PooledObjective(objective, pool, full), all_documents(objective, full)
        task = replace(task, objective=pooled, final=PooledObjective(objective, whole))
    budget = Budget.parse(options.budget)
    heading = _heading(index, data, options, task)
    return TuningSetup(task, budget, heading, objective, encoder, space)


def other_prompts(encoders: Mapping[str, Encoder], name: str) -> Iterator[tuple[str, Prompt]]:
    """Yield the model's own prompt, the user's, and those of the library that are for retrieval."""
    specs = specs_of(encoders).values()
    models = [spec.model for spec in specs if isinstance(spec, LLMSpec)]
    if models:  # encoders of one's own need not say
        yield "the model's own prompt", own_prompt(models[0])
    for encoder in encoders.values():
        if isinstance(encoder, SbertEncoder):
            yield from own_prompts(encoder)
    if name:
        yield f"your prompt {name}", load_prompt(name)
    for each in prompt_library():
        yield f"{each} of the library", load_prompt(each)


def _heading(
    index: Index, data: JudgedQueries, options: TuningOptions, task: TuningTask
) -> dict[str, Any]:
    """Return everything that decides a run; a journal refuses to go on under another."""
    settings = {"measure": data.measure} | asdict(options)
    return {
        "index": {name: spec.fingerprint for name, spec in index.channels.items()},
        "generation": index.generation,
        "holds": manifest_digest(index.manifest),
        "judged": content_hash([dict(data.queries), {q: dict(d) for q, d in data.qrels.items()}]),
        "asked": {name: value for name, value in settings.items() if value != ""},
        "pool": [key_of(proposal.prompt) for proposal in task.first_prompts],
    }
