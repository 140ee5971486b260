"""The model that mteb judges: made from options, or again from what results say of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.files.content_hash import content_hash
from embedder.prompts.files import parse_prompt
from embedder.prompts.prompt import Prompt
from embedder.types import Role
from lastword.cli.encoders import ChannelEncoders, channel_options, remake_encoders
from lastword.cli.options import DeviceOptions
from lastword.cli.recipes import BM25Spec, EncoderSpec, from_json, to_json

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models.model_meta import ModelMeta

    from embedder.types import Encoder
    from eval.tasks.mteb_model import DenseModel

_MEGABYTE = 1024**2
_UNKNOWN = (  # to lastword; mteb asks for them where a model is added to it
    *("release_date", "languages", "license", "open_weights", "training_datasets"),
    *("public_training_code", "public_training_data"),
)


@dataclass(frozen=True)
class TaskEncoders:
    """Gives the encoders that read the texts of a task, told what the task is about.

    The model is in memory once, and there is one encoder an instruction. Where rows are compared
    only the dense ones are computed.

    Attributes:
        made: encoders as the options ask for them.
        told: instructions by task, by type of task, and under "" for all others; a task that is
            not named has mteb's.
    """

    made: ChannelEncoders
    told: Mapping[str, str]
    _held: dict[tuple[str, bool], dict[str, "Encoder"]] = field(default_factory=dict)

    def __call__(self, task: "TaskMetadata") -> Mapping[str, "Encoder"]:
        """Return the encoders of a task by channel."""
        from eval.tasks.mteb_model import SEARCHED

        key = (self._instruction(task), task.type in SEARCHED)
        if key not in self._held:
            self._held[key] = self._read(*key)
        return self._held[key]

    def _read(self, instruction: str, searched: bool) -> dict[str, "Encoder"]:
        again: dict[int, Encoder] = {}  # channels that share an encoder go on sharing
        found = {}
        for name, encoder in self.made.encoders.items():
            if searched or name == "dense":
                if id(encoder) not in again:
                    recipe = self.made.recipes[name]
                    again[id(encoder)] = _told(encoder, recipe, instruction, searched)
                found[name] = again[id(encoder)]
        return found

    def _instruction(self, task: "TaskMetadata") -> str:
        if not takes_task(self.made):
            return ""
        from eval.tasks.mteb_model import instruction

        named = (self.told.get(key, "") for key in (task.name, task.type, ""))
        return next(filter(None, named), None) or instruction(task)


def takes_task(made: ChannelEncoders) -> bool:
    """Tell whether the wording of the prompt has a place for what the task is about."""
    prompts = filter(None, map(_prompt, made.recipes.values()))
    templates = (one for prompt in prompts for form in prompt.forms for one in form.all)
    return any("task" in template.kinds for template in templates)


def make_model(
    made: ChannelEncoders,
    told: Mapping[str, str],
    fusion: str,
    meta: "ModelMeta",
    indexes: Path,
) -> "DenseModel":
    """Make what mteb judges; indexes are kept in a folder, to go on from and to be used again."""
    from eval.tasks.mteb_model import DenseModel, HybridModel, Searching

    if list(made.encoders) == ["dense"]:
        return DenseModel(meta, TaskEncoders(made, told))
    searching = Searching(indexes, fusion)
    channels = channel_options(made.recipes)
    build = replace(searching.build, channels=channels, cache=True)
    return HybridModel(meta, TaskEncoders(made, told), replace(searching, build=build))


def load_model(
    name: str,
    revision: str | None = None,
    *,
    recipes: Mapping[str, str],
    fusion: str,
    instructions: Mapping[str, str] | None = None,
    indexes: str = "runs/mteb/indexes",
    device: str | None = None,
    **_: object,
) -> "DenseModel":
    """Make the model again that results are of: mteb calls this with what model_meta.json says.

    Raises:
        ValueError: what is loaded is not what the revision says.
    """
    encoders = remake_encoders(recipes, list(recipes), DeviceOptions(device=device or "auto"))
    made = ChannelEncoders(encoders, {key: from_json(text, key) for key, text in recipes.items()})
    meta = describe(made, instructions or {}, fusion, name)
    if revision not in (None, meta.revision):
        raise ValueError(
            f"{name} is at revision {meta.revision} here, results are of {revision}: "
            "the weights or the rules of reading are others"
        )
    return make_model(made, instructions or {}, fusion, meta, Path(indexes))


def describe(
    made: ChannelEncoders, told: Mapping[str, str], fusion: str, name: str = ""
) -> "ModelMeta":
    """Say what mteb keeps of a model; what cannot be known here, such as its licence, is None.

    The revision stands for everything that changes a result: fingerprints, fusion, instructions.
    """
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    encoders = made.encoders
    marks = {channel: encoder.fingerprint for channel, encoder in encoders.items()}
    facts = [marks, fusion if len(encoders) > 1 else None, dict(told)]
    dense, recipe = encoders.get("dense"), made.recipes.get("dense")
    model = getattr(recipe, "model", "")
    return ModelMeta(
        name=name or _name(made),
        revision=content_hash(facts),
        loader=load_model,
        loader_kwargs={
            "recipes": {channel: to_json(held) for channel, held in made.recipes.items()},
            "fusion": fusion,
            "instructions": dict(told),
        },
        embed_dim=_width(dense) if dense else None,
        similarity_fn_name=ScoringFunction.COSINE,
        use_instructions=takes_task(made),
        adapted_from=model if "/" in model and not Path(model).exists() else None,
        model_type=["hybrid" if len(encoders) > 1 else "dense" if dense else "sparse"],
        **_size(dense),
        **dict.fromkeys(_UNKNOWN),
    )


def _told(encoder: "Encoder", recipe: EncoderSpec, instruction: str, searched: bool) -> "Encoder":
    """Return an encoder on the same model that is told the task, with dense rows only or all."""
    from embedder.encoders.llm import LLMEncoder

    if isinstance(encoder, LLMEncoder):
        prompt = encoder.prompt
        if not searched:
            prompt = prompt.reading_only(dense=True, sparse=False)
        prompt = replace(prompt, task=instruction or prompt.task)
        return LLMEncoder(encoder.backbone, prompt, encoder.options)
    wording = _prompt(recipe)
    if wording is None or not instruction:
        return encoder
    from embedder.encoders.sbert import SbertEncoder

    assert isinstance(encoder, SbertEncoder), encoder  # no prompt that rewrites texts has {task}
    return SbertEncoder(encoder.model, encoder.sparse, replace(wording, task=instruction))


def _prompt(recipe: EncoderSpec) -> Prompt | None:
    """Return the prompt of a recipe; BM25 has none, and a sentence-transformers model its own."""
    text = "" if isinstance(recipe, BM25Spec) else recipe.prompt
    return parse_prompt(text) if text else None


def _name(made: ChannelEncoders) -> str:
    """Name a model after its weights, its prompt and its channels."""
    recipe = next((held for held in made.recipes.values() if not isinstance(held, BM25Spec)), None)
    parts = list(made.recipes)
    if recipe is not None:
        prompt = _prompt(recipe)
        parts = [Path(recipe.model).name, *([prompt.name] if prompt else []), *parts]
    return "lastword/" + re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(parts))


def _width(encoder: "Encoder") -> int:
    rows = encoder.encode([""], Role.QUERY).dense
    assert rows is not None
    return int(rows.shape[1])


def _size(encoder: "Encoder | None") -> dict[str, Any]:
    """Describe the network behind dense rows, as far as there is one to look at."""
    held: Any = getattr(encoder, "inner", encoder)  # one that rewrites texts wraps a reader
    backbone = getattr(held, "backbone", None)
    model = backbone.model if backbone is not None else getattr(held, "model", None)
    if model is None:
        names = ("n_parameters", "n_embedding_parameters", "memory_usage_mb", "max_tokens")
        return {"framework": []} | dict.fromkeys(names)
    parameters = list(model.parameters())
    own = model if backbone is not None else model[0].auto_model
    length = held.options.max_text_tokens if backbone is not None else model.max_seq_length
    return {
        "framework": [
            "PyTorch",
            "Transformers" if backbone is not None else "Sentence Transformers",
        ],
        "n_parameters": sum(one.numel() for one in parameters),
        "n_embedding_parameters": own.get_input_embeddings().weight.numel(),
        "memory_usage_mb": sum(one.numel() * one.element_size() for one in parameters) / _MEGABYTE,
        "max_tokens": length,
    }
