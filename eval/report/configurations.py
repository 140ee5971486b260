"""The configuration of each run folder: the head of a report."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from embedder.files.config_file import parse_toml
from eval.runs.run_folder import RunFolder

MATRIX = "prompts"  # the benchmark whose folders are named after prompts


@dataclass(frozen=True, slots=True)
class PromptFacts:
    """How a language model was asked, whole.

    Attributes:
        name: of the prompt.
        model: that was asked.
        text: the prompt as TOML; "" for a model that carries its own.
        channels: that it fills.
    """

    name: str
    model: str
    text: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunConfiguration:
    """The configuration of one run folder.

    Attributes:
        name: of the folder in the report.
        facts: label -> text, those worth reading at once.
        prompts: of the channels that a model fills.
        fingerprints: channels, and everything that changes a vector of theirs, as JSON.
        versions: library -> version.
    """

    name: str
    facts: Mapping[str, str]
    prompts: tuple[PromptFacts, ...]
    fingerprints: tuple[tuple[str, str], ...]
    versions: Mapping[str, str]

    @property
    def model(self) -> str:
        """Name of the language model; "bm25" where there is none."""
        return self.prompts[0].model if self.prompts else "bm25"


def run_configuration(name: str, folder: RunFolder) -> RunConfiguration:
    """Read the configuration of a run folder."""
    config = folder.config
    settings = config.get("settings", {})
    facts = {
        "judged": ", ".join(folder.records),
        "started": str(config.get("started", "")),
        "machine": _machine(config),
        "fusion": str(settings.get("fusion") or ""),
        "command": " ".join(map(str, config.get("command", ()))),
        "folder": str(folder.path),
    }
    python = {"python": config["python"]} if "python" in config else {}
    versions = python | config.get("versions", {})
    return RunConfiguration(
        name=name,
        facts={label: text for label, text in facts.items() if text},
        prompts=tuple(
            replace(prompt, name=folder.name) if settings.get("benchmark") == MATRIX else prompt
            for prompt in _prompts(settings)
        ),
        fingerprints=tuple(_fingerprints(folder)),
        versions={str(name): str(version) for name, version in versions.items()},
    )


def _machine(config: Mapping[str, Any]) -> str:
    memory = config.get("memory_bytes")
    parts = [
        str(config.get("machine", "")),
        f"{config['cores']} cores" if "cores" in config else "",
        f"{memory / 1e9:.0f} GB" if isinstance(memory, int | float) else "",
        str(config.get("accelerator") or ""),
        str(config.get("system", "")),
    ]
    return ", ".join(part for part in parts if part)


def _prompts(settings: Mapping[str, Any]) -> Iterator[PromptFacts]:
    """Yield the prompt of each model; channels that share one are named together."""
    shared: dict[tuple[str, str], list[str]] = {}
    for channel, recipe in _recipes(settings).items():
        if isinstance(recipe, Mapping) and "model" in recipe:
            wording = str(recipe["model"]), str(recipe.get("prompt") or "")
            shared.setdefault(wording, []).append(channel)
    for (model, text), channels in shared.items():
        yield PromptFacts(_name(text), model, text, tuple(channels))


def _recipes(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return channel -> recipe; a cell of a matrix of prompts has one for all its channels."""
    recipes = settings.get("recipes")
    if isinstance(recipes, Mapping):
        return recipes
    if isinstance(settings.get("model"), str):
        return {name: settings for name in settings.get("channels", ()) if name != "bm25"}
    return {}


def _name(prompt: str) -> str:
    try:
        return str(parse_toml(prompt, "prompt").get("name", "")) if prompt else "its own"
    except ValueError:
        return "unnamed"


def _fingerprints(folder: RunFolder) -> Iterator[tuple[str, str]]:
    """Write the fingerprints of all records; equal ones once, with the channels that share them."""
    shared: dict[str, dict[str, None]] = {}
    for record in folder.records.values():
        for channel, fingerprint in record.fingerprints.items():
            shared.setdefault(fingerprint, {})[channel] = None
    for fingerprint, channels in shared.items():
        yield ", ".join(channels), json.dumps(json.loads(fingerprint), indent=1, ensure_ascii=False)
