"""Evolve prompts out of phrases: no chat model, no gradient.

Edits by phrase as in ProAPO (Qu et al., CVPR 2025): add, remove, replace, and crossover of two
parents; a population kept by fitness as in EvoPrompt (Guo et al., ICLR 2024) and CAPO (Zehle et
al., AutoML 2025). Rules of reading are genes beside the phrases. ProAPO breaks ties by the
entropy of scores, which the objective here does not tell; ties go to the shorter prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from embedder.files.config_file import read_config
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import SLOT
from embedder.types import Role
from tuning.search.space import Around, key_of
from tuning.search.types import Proposal, ProposerContext, Scored

LIBRARY = Path(__file__).with_name("phrases.toml")
PARENTS = 4
TRIES = 30  # draws of one child, until it is one that was not proposed before
OWN = "as the default has it"  # a rule of reading
STALE = 8  # generations without a better prompt, after which it is done


@dataclass(frozen=True, slots=True)
class Phrases:
    """What prompts are built of.

    Attributes:
        frames: whole wordings with {text}.
        phrases: put before a frame, or behind the text.
    """

    frames: tuple[str, ...]
    phrases: tuple[str, ...]

    @staticmethod
    def load(path: Path = LIBRARY) -> "Phrases":
        """Read a library of phrases.

        Raises:
            ValueError: a frame does not hold {text} once.
        """
        library = read_config(path, _PhrasesFile)
        for frame in library.frames:
            if frame.count(SLOT) != 1:
                raise ValueError(f"{path}: a frame holds {SLOT} once; got {frame!r}")
        return Phrases(
            library.frames, tuple(phrase for kind in library.phrases.values() for phrase in kind)
        )


@dataclass(frozen=True, slots=True)
class _PhrasesFile:
    phrases: dict[str, tuple[str, ...]]
    frames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Genome:
    """What a prompt is made of.

    Attributes:
        role: whose wording the phrases stand in.
        frame: place in the library's frames; -1 is the default's wording.
        front: places of the phrases before the frame.
        behind: places of the phrases behind the text.
        genes: rules of reading, in the order of the space's names.
    """

    role: Role | None
    frame: int = -1
    front: tuple[int, ...] = ()
    behind: tuple[int, ...] = ()
    genes: tuple[int, ...] = ()


@dataclass(slots=True)
class Evolve:
    """A population of genomes.

    Attributes:
        context: what it works with.
        library: phrases; by default those that come with lastword.
        name: "evolve".
    """

    context: ProposerContext
    library: Phrases = field(default_factory=Phrases.load)
    name: str = "evolve"
    _rng: np.random.Generator = field(init=False)
    _known: dict[str, Genome] = field(default_factory=dict)
    _fitness: dict[str, float] = field(default_factory=dict)
    _stale: int = 0

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.context.seed, 11])

    def ask(self, n: int) -> list[Proposal]:
        """Return children of the best."""
        if self._stale >= STALE:
            return []
        children = [self._child() for _ in range(n)]
        return [child for child in children if child is not None]

    def tell(self, results: Sequence[Scored]) -> None:
        """Keep what was raced to the end."""
        before = max(self._fitness.values(), default=-1.0)
        for result in results:
            key = key_of(result.proposal.prompt)
            if result.proposal.prompt == self.context.space.default:
                self._known.setdefault(key, self._plain())
            if result.finished and key in self._known:
                self._fitness[key] = result.mean
        better = max(self._fitness.values(), default=-1.0) > before
        self._stale = 0 if better else self._stale + 1

    def _plain(self) -> Genome:
        roles = self.context.space.roles
        return Genome(roles[0] if roles else None, genes=(-1,) * len(self.context.space.genes))

    def _parents(self) -> list[str]:
        def rank(key: str) -> tuple[float, int]:
            genome = self._known[key]
            return -self._fitness[key], len(genome.front) + len(genome.behind)

        return sorted(self._fitness, key=rank)[:PARENTS]

    def _child(self) -> Proposal | None:
        parents = self._parents()
        for _ in range(TRIES):
            mother = parents[int(self._rng.integers(len(parents)))]
            father = parents[int(self._rng.integers(len(parents)))]
            genome, edits = self._known[mother], []
            if father != mother and self._rng.random() < 0.3:
                genome, edits = self._crossed(genome, self._known[father]), ["crossover"]
            for _ in range(1 + int(self._rng.random() < 0.3)):
                genome, edit = self._mutated(genome)
                edits.append(edit)
            prompt = self.express(genome)
            if key_of(prompt) not in self._known and self.context.space.holds(prompt):
                self._known[key_of(prompt)] = genome
                lineage = (mother, father) if "crossover" in edits else (mother,)
                return Proposal(prompt, self.name, ", ".join(edits), lineage)
        return None

    def express(self, genome: Genome) -> Prompt:
        """Return the prompt that a genome stands for."""
        space = self.context.space
        prompt = space.default
        for (name, values), gene in zip(space.genes.items(), genome.genes, strict=True):
            if gene >= 0:
                prompt = space.with_gene(prompt, name, values[gene])
        if genome.role is None:
            return prompt
        front = " ".join(self.library.phrases[at] for at in genome.front)
        behind = " ".join(self.library.phrases[at] for at in genome.behind)
        if genome.frame < 0:
            return space.extended(prompt, front, behind)
        words = Around(*self.library.frames[genome.frame].split(SLOT))
        return space.extended(
            space.reworded(prompt, dict.fromkeys(space.roles, words)), front, behind
        )

    def _crossed(self, mother: Genome, father: Genome) -> Genome:
        first = self._rng.random() < 0.5
        genes = tuple(
            a if self._rng.random() < 0.5 else b
            for a, b in zip(mother.genes, father.genes, strict=True)
        )
        merged = (*mother.front, *(phrase for phrase in father.front if phrase not in mother.front))
        return replace(father if first else mother, front=merged, genes=genes)

    def _mutated(self, genome: Genome) -> tuple[Genome, str]:
        worded, choices = genome.role is not None and bool(self.library.phrases), []
        if worded:
            choices += ["add", "add", "add", "replace", "remove"]
            choices += ["frame"] if self.library.frames else []
        choices += ["read"] * (2 if genome.genes else 0)
        kind = choices[int(self._rng.integers(len(choices)))]
        if kind == "read":
            return self._with_gene(genome)
        if kind == "frame":
            frame = int(self._rng.integers(-1, len(self.library.frames)))
            return replace(genome, frame=frame), "another frame" if frame >= 0 else "its own frame"
        end = "front" if self._rng.random() < 0.7 else "behind"
        phrases: tuple[int, ...] = getattr(genome, end)
        phrase = int(self._rng.integers(len(self.library.phrases)))
        at = (
            int(self._rng.integers(len(phrases) + (kind == "add")))
            if phrases or kind == "add"
            else 0
        )
        removed = 0 if kind == "add" else 1
        added = () if kind == "remove" else (phrase,)
        changed: dict[str, Any] = {end: (*phrases[:at], *added, *phrases[at + removed :])}
        return replace(genome, **changed), f"{kind} a phrase"

    def _with_gene(self, genome: Genome) -> tuple[Genome, str]:
        at = int(self._rng.integers(len(genome.genes)))
        name, values = list(self.context.space.genes.items())[at]
        gene = int(self._rng.integers(-1, len(values)))
        genes = (*genome.genes[:at], gene, *genome.genes[at + 1 :])
        return replace(genome, genes=genes), name_gene(name, values[gene] if gene >= 0 else OWN)


def name_gene(name: str, value: Any) -> str:  # noqa: ANN401
    """Say how a prompt is read: a rule of `Space.genes` and its value, or OWN."""
    match name, value:
        case "sparse_top", int():
            return f"{value} terms"
        case "prepend", None:
            return "no token prepending"
        case "prepend", (start, end):
            return f"token prepending in blocks {start} to {end - 1}"
    return f"{name.replace('_', ' ')} {value}"
