"""The model that mteb judges: made of encoders, or again from its results."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.checkpoints.addresses import is_remote, parse_remote
from embedder.checkpoints.trust import ModelAccess
from embedder.encoders.specs import EncoderSpec, WordSpec, spec_of, specs_of, to_json
from embedder.files.content_hash import content_hash
from embedder.types import Encoder, Role, inner_encoder
from eval.tasks.mteb_model import SEARCHED, CorpusSearch, DenseModel, HybridModel, instruction
from retrieval.open import load_specs

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models.model_meta import ModelMeta

_MEGABYTE = 1024**2
_UNKNOWN = (  # to lastword; mteb asks for them where a model is added to it
    *("release_date", "languages", "license", "open_weights", "training_datasets"),
    *("public_training_code", "public_training_data"),
)


@dataclass(frozen=True)
class EncodersByTask:
    """The encoders of a task, whose prompt holds the task's instruction.

    The model is in memory once, and there is one encoder an instruction. Where rows are compared
    only the dense ones are computed.

    Attributes:
        encoders: of `load_encoder`, by channel.
        instructions: by task, by type of task, and under "" for all others; a task that is not
            named has mteb's.
    """

    encoders: Mapping[str, Encoder]
    instructions: Mapping[str, str]
    _by_task: dict[tuple[str, bool], dict[str, Encoder]] = field(default_factory=dict)

    def __call__(self, task: "TaskMetadata") -> Mapping[str, Encoder]:
        """Return the encoders of a task by channel."""
        key = (self._instruction(task), task.type in SEARCHED)
        if key not in self._by_task:
            self._by_task[key] = self._with_task(*key)
        return self._by_task[key]

    def _with_task(self, task: str, searched: bool) -> dict[str, Encoder]:
        from embedder.encoders.prompted import with_task

        shared: dict[int, Encoder] = {}  # channels that share an encoder go on sharing
        encoders = {}
        for name, encoder in self.encoders.items():
            if searched or name == "dense":
                if id(encoder) not in shared:
                    shared[id(encoder)] = with_task(encoder, task, None if searched else ("dense",))
                encoders[name] = shared[id(encoder)]
        return encoders

    def _instruction(self, task: "TaskMetadata") -> str:
        if not takes_task(self.encoders):
            return ""
        own = (self.instructions.get(key, "") for key in (task.name, task.type, ""))
        return next(filter(None, own), None) or instruction(task)


def takes_task(encoders: Mapping[str, Encoder]) -> bool:
    """Tell whether the wording of a prompt has a place for the instruction of a task."""
    prompts = (getattr(spec_of(encoder), "prompt", None) for encoder in encoders.values())
    forms = (form for prompt in prompts if prompt is not None for form in prompt.forms)
    return any("task" in template.kinds for form in forms for template in form.all)


def make_model(
    encoders: Mapping[str, Encoder],
    instructions: Mapping[str, str],
    fusion: str,
    meta: "ModelMeta",
    indexes: Path,
) -> DenseModel:
    """Make the model that mteb judges; indexes are kept in a folder, to be used again."""
    by_task = EncodersByTask(encoders, instructions)
    if list(encoders) == ["dense"]:
        return DenseModel(meta, by_task)
    options = CorpusSearch(indexes, fusion)
    build = replace(options.build, cache=True)
    return HybridModel(meta, by_task, replace(options, build=build))


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
) -> DenseModel:
    """Make the model of earlier results again: mteb calls this with the facts of model_meta.json.

    Raises:
        ValueError: the model that is loaded has another revision.
    """
    encoders = load_specs(recipes, ModelAccess(device=device or "auto"))
    meta = describe(encoders, instructions or {}, fusion, name)
    if revision not in (None, meta.revision):
        raise ValueError(
            f"{name} is at revision {meta.revision} here, results are of {revision}: "
            "the weights or the rules of reading are others"
        )
    return make_model(encoders, instructions or {}, fusion, meta, Path(indexes))


def describe(
    encoders: Mapping[str, Encoder], instructions: Mapping[str, str], fusion: str, name: str = ""
) -> "ModelMeta":
    """Return mteb's facts of a model; those that are unknown here, such as its licence, are None.

    The revision stands for everything that changes a result: fingerprints, fusion, instructions.
    """
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    fingerprints = {channel: encoder.fingerprint for channel, encoder in encoders.items()}
    facts = [fingerprints, fusion if len(encoders) > 1 else None, dict(instructions)]
    specs = specs_of(encoders)
    dense = encoders.get("dense")
    model = getattr(specs.get("dense"), "model", "")
    on_hub = "/" in model and not is_remote(model) and not Path(model).exists()
    return ModelMeta(
        name=name or _name(specs),
        revision=content_hash(facts),
        loader=load_model,
        loader_kwargs={
            "recipes": {channel: to_json(spec) for channel, spec in specs.items()},
            "fusion": fusion,
            "instructions": dict(instructions),
        },
        embed_dim=_width(dense) if dense else None,
        similarity_fn_name=ScoringFunction.COSINE,
        use_instructions=takes_task(encoders),
        adapted_from=model if on_hub else None,
        model_type=["hybrid" if len(encoders) > 1 else "dense" if dense else "sparse"],
        **_size(dense),
        **dict.fromkeys(_UNKNOWN),
    )


def _name(specs: Mapping[str, EncoderSpec]) -> str:
    """Name a model after its weights, its prompt and its channels."""
    spec = next((spec for spec in specs.values() if not isinstance(spec, WordSpec)), None)
    parts = list(specs)
    if spec is not None:
        prompt = [spec.prompt.name] if spec.prompt else []
        model = (is_remote(spec.model) and parse_remote(spec.model).model) or spec.model
        parts = [Path(model).name, *prompt, *parts]
    return "lastword/" + re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(parts))


def _width(encoder: Encoder) -> int:
    rows = encoder.encode([""], Role.QUERY).dense
    assert rows is not None
    return int(rows.shape[1])


def _size(encoder: Encoder | None) -> dict[str, Any]:
    """Describe the network behind dense rows, as far as there is one to look at."""
    inner: Any = encoder and inner_encoder(encoder)
    backbone = getattr(inner, "backbone", None)
    model = backbone.model if backbone is not None else getattr(inner, "model", None)
    if model is None:
        names = ("n_parameters", "n_embedding_parameters", "memory_usage_mb", "max_tokens")
        return {"framework": []} | dict.fromkeys(names)
    parameters = list(model.parameters())
    own = model if backbone is not None else model[0].auto_model
    length = inner.options.max_text_tokens if backbone is not None else model.max_seq_length
    return {
        "framework": [
            "PyTorch",
            "Transformers" if backbone is not None else "Sentence Transformers",
        ],
        "n_parameters": sum(array.numel() for array in parameters),
        "n_embedding_parameters": own.get_input_embeddings().weight.numel(),
        "memory_usage_mb": sum(array.nbytes for array in parameters) / _MEGABYTE,
        "max_tokens": length,
    }
