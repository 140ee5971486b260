"""Make of options what a search for prompts needs: objective, space, pool, proposers, budget."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.encoders.adapted import AdaptedEncoder, encoder_of
from embedder.encoders.llm import LLMEncoder, own_prompt
from embedder.files.content_hash import content_hash
from embedder.prompts.prompt import Prompt
from embedder.types import Role
from eval.runs.collection_index import manifest_digest
from lastword.cli.encoders import remake_encoders
from lastword.cli.options import DeviceOptions
from lastword.cli.recipes import LLMSpec, from_json, fusion_for
from lastword.commands.prompts.tune_choose_proposers import ProposerMaterial, makers
from tuning.first_prompts import pool, space_of
from tuning.objectives.index_objective import IndexObjective, JudgedQueries, fed_tokens
from tuning.objectives.pooled_objective import PooledObjective, all_documents, pool_documents
from tuning.search.budget import Budget
from tuning.search.space import Space, key_of
from tuning.search.split import FEW, folds, three_parts
from tuning.search.types import Rules, TuningTask

if TYPE_CHECKING:
    from index.folder import Index
    from lastword.commands.prompts.tune import TuneOptions

AUTO = "auto"
SAMPLE = 200  # documents whose tokens are counted for an estimate


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
    encoder: LLMEncoder
    space: Space


def set_up(
    index: "Index", data: JudgedQueries, tuning: "TuneOptions", running: DeviceOptions, out: Path
) -> TuningSetup:
    """Load the model of an index, and prepare a search for its prompt.

    Args:
        index: opened.
        data: queries and judgements.
        tuning: what is asked.
        running: where the model runs.
        out: folder of the run.

    Raises:
        ValueError: the index has no language model, or options that do not go together.
    """
    if not index.documents or index.unfinished is not None:
        raise ValueError(
            f"{index.path} holds {index.documents} documents"
            f"{' and is not finished' if index.unfinished else ''}; "
            "run the lastword index command that makes it to its end first"
        )
    channels = _channels(index, tuning.channels)
    recipes = {name: spec.recipe for name, spec in index.channels.items()}
    held = {name: from_json(recipes[name], name) for name in channels}
    encoders = remake_encoders(recipes, channels, running)
    readers = [one for one in encoders.values() if isinstance(one, LLMEncoder | AdaptedEncoder)]
    if not readers:
        raise ValueError(
            f"{index.path} is not read by a language model in {', '.join(channels)}; "
            "only its prompts can be tuned"
        )
    reader = readers[0]
    encoder = reader.inner if isinstance(reader, AdaptedEncoder) else reader
    kinds = [kind.strip() for kind in tuning.tune.split(",")]
    fusion = fusion_for(AUTO, held, index.manifest.fusion)
    space = space_of(reader, kinds, channels, fusion)
    objective = IndexObjective(index, encoders, data, partial(_remade, encoder))
    rules = Rules(seed=tuning.seed, alpha=tuning.alpha, min_effect=tuning.min_effect)
    tried = pool(space, list(_others(held, tuning.prompt)))
    made = makers(ProposerMaterial(index, encoder, data, space, out / "vectors", tuning))
    task = TuningTask(objective, data.relevant, space, tried, made, rules)
    if Role.DOCUMENT in space.roles:
        pooled = PooledObjective(objective, pool_documents(objective, space.default, tuning.seed))
        whole = all_documents(objective, encoder.options.max_text_tokens)
        task = replace(task, objective=pooled, final=PooledObjective(objective, whole))
    budget = Budget.parse(tuning.budget)
    return TuningSetup(task, budget, _heading(index, data, tuning, task), objective, encoder, space)


def _remade(encoder: LLMEncoder, prompt: Prompt) -> LLMEncoder | AdaptedEncoder:
    return encoder_of(encoder.backbone, prompt, encoder.options)


def _channels(index: "Index", asked: str) -> list[str]:
    names = [name.strip() for name in asked.split(",")] if asked else list(index.channels)
    unknown = [name for name in names if name not in index.channels]
    if unknown or len(set(names)) != len(names):
        raise ValueError(
            f"--channels takes some of {', '.join(index.channels)}, each once; got {asked!r}"
        )
    return names


def _others(recipes: Mapping[str, Any], asked: str) -> Iterator[tuple[str, Prompt]]:
    """Yield the model's own prompt, the user's, and those of the library that are for retrieval."""
    models = [recipe.model for recipe in recipes.values() if isinstance(recipe, LLMSpec)]
    yield "the model's own prompt", own_prompt(models[0])
    if asked:
        yield f"your prompt {asked}", Prompt.load(asked)
    for name in Prompt.library():
        yield f"{name} of the library", Prompt.load(name)


def _heading(
    index: "Index", data: JudgedQueries, tuning: "TuneOptions", task: TuningTask
) -> dict[str, Any]:
    asked = {
        name: value
        for name, value in asdict(tuning).items()
        if name not in ("queries", "qrels") and value != ""
    }
    return {
        "index": {name: spec.fingerprint for name, spec in index.channels.items()},
        "generation": index.generation,
        "holds": manifest_digest(index.manifest),
        "judged": content_hash([dict(data.queries), {q: dict(d) for q, d in data.qrels.items()}]),
        "asked": asked,
        "pool": [key_of(one.prompt) for one in task.pool],
    }


def estimate(setup: TuningSetup) -> dict[str, Any]:
    """Say what a search would take: queries, tokens of one prompt, and how many fit."""
    task, objective = setup.task, setup.objective
    seed = task.rules.seed
    few = len(task.relevant) < FEW
    parts = (
        folds(task.relevant, seed)
        if few
        else tuple(asdict(three_parts(task.relevant, seed)).values())
    )
    names = (
        [f"fold {at + 1}" for at in range(len(parts))] if few else ["search", "select", "confirm"]
    )
    default = setup.space.default
    costs = [objective.cost(default, part).tokens for part in parts]
    ending = 0 if few else (task.rules.finalists + 1) * costs[1] + 2 * costs[2]
    searching = sum(costs) - max(costs) if few else costs[0]
    limit = setup.budget.tokens
    documents = _document_tokens(setup)
    return {
        "queries": dict(zip(names, map(len, parts), strict=True)),
        "tokens_of_one_prompt": dict(zip(names, costs, strict=True)),
        "tokens_at_the_end": ending,
        "budget": str(setup.budget),
        "prompts_raced_to_the_end": None
        if limit is None
        else max(0, limit - ending) // max(1, searching),
        "tokens_of_all_documents": documents,
        "times_fewer_than_reading_documents_again": (documents + searching) / max(1, searching),
        "too_few_queries_to_certify": few,
    }


def _document_tokens(setup: TuningSetup) -> int:
    """Count the tokens of documents in their prompt; of many, on a sample."""
    index = setup.objective.index
    every = max(1, index.documents // SAMPLE)
    texts = [one.content for at, one in enumerate(index.stream()) if at % every == 0]
    counted = fed_tokens(setup.encoder, texts, Role.DOCUMENT)
    return round(counted * index.documents / max(1, len(texts)))
