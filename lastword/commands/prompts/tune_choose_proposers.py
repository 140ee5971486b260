"""Which proposers a search uses: those that are asked for, or those that suit the model."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from embedder.encoders.llm import LLMEncoder
from embedder.types import Role
from tuning.objectives.document_vectors import IndexRows
from tuning.objectives.index_objective import JudgedQueries
from tuning.proposers import baselines, evolve, grad, llm, pg, prune, soft, tokens
from tuning.proposers.gradients import GradientModel
from tuning.proposers.vocabulary import Vocabulary
from tuning.search.space import Space
from tuning.search.types import MakeProposer

if TYPE_CHECKING:
    from index.folder import Index
    from lastword.commands.prompts.tune import TuneOptions

AUTO = "auto"
BASELINES = "baselines"
NAMES = ("evolve", "llm", "prune", "tokens", "pg", "grad", "soft")


@dataclass
class ProposerMaterial:
    """What proposers are made of.

    Attributes:
        index: opened.
        encoder: of the default prompt.
        data: queries and judgements.
        space: what may be changed.
        folder: where files of vectors go.
        tuning: what is asked.
    """

    index: "Index"
    encoder: LLMEncoder
    data: JudgedQueries
    space: Space
    folder: Path
    tuning: "TuneOptions"

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Words of one token."""
        return Vocabulary.of(self.encoder.backbone)

    @cached_property
    def box(self) -> GradientModel:
        """Gradients of the dense channel.

        Raises:
            ValueError: there is none, or the prompt is read otherwise.
        """
        return GradientModel(self.encoder, IndexRows(self.index, self.data))

    @property
    def white(self) -> bool:
        """Whether gradients can be had, for queries alone."""
        try:
            return self.space.roles == (Role.QUERY,) and self.box is not None
        except ValueError:
            return False


def makers(making: ProposerMaterial) -> dict[str, MakeProposer]:
    """Return makers by name, in the order in which they are asked.

    Raises:
        ValueError: an unknown name, or one that cannot be used here.
    """
    names = [name.strip() for name in making.tuning.proposer.split(",")]
    if names == [AUTO]:
        names = ["evolve"]
        names += ["llm"] if making.tuning.writer else []
        names += ["prune"] if making.space.roles else []
        names += ["grad", "soft"] if making.white else []
    unknown = [name for name in names if name not in NAMES]
    if unknown or len(set(names)) != len(names):
        raise ValueError(
            f"--proposer takes auto or some of {', '.join(NAMES)}, each once; got {names}"
        )
    if names != ["evolve"] and not making.space.roles:
        raise ValueError("only evolve tunes rules of reading alone: --proposer evolve")
    known: dict[str, Callable[[ProposerMaterial], MakeProposer]] = {
        "evolve": lambda held: evolve.make,
        "llm": _chatting,
        "prune": lambda held: prune.make,
        "tokens": lambda held: partial(tokens.make, vocabulary=held.vocabulary),
        "pg": lambda held: partial(pg.make, vocabulary=held.vocabulary),
        "grad": lambda held: partial(grad.make, box=held.box, vocabulary=held.vocabulary),
        "soft": lambda held: partial(
            soft.make, box=held.box, vocabulary=held.vocabulary, folder=held.folder
        ),
    }
    found: dict[str, MakeProposer] = {}
    if making.white:
        found[BASELINES] = partial(baselines.make, box=making.box, folder=making.folder)
    return found | {name: known[name](making) for name in names}


def _chatting(making: ProposerMaterial) -> MakeProposer:
    from embedder.models.chat_client import open_chat

    if not making.tuning.writer:
        raise ValueError("--proposer llm needs --writer: a chat model, a folder or an address")
    return partial(llm.make, chat=open_chat(making.tuning.writer))
