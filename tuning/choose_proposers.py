"""Which proposers a search uses: those that are named, or those that suit the model."""

from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from embedder.encoders.llm import LLMEncoder
from embedder.models.chat_client import open_chat
from embedder.types import Role
from index.folder import Index
from tuning.objectives.document_vectors import DENSE, IndexRows, QueryRows
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.judged_queries import JudgedQueries
from tuning.options import AUTO
from tuning.proposers.baselines import Baselines
from tuning.proposers.evolve import Evolve
from tuning.proposers.grad import Gradient
from tuning.proposers.gradients import GradientModel
from tuning.proposers.llm import Llm
from tuning.proposers.pg import Policy
from tuning.proposers.prune import Prune
from tuning.proposers.soft import Soft
from tuning.proposers.soft_vectors import SoftOptions
from tuning.proposers.tokens import Tokens
from tuning.proposers.vocabulary import Vocabulary
from tuning.search.space import Space
from tuning.search.types import MakeProposer

NAMES = ("evolve", "llm", "prune", "tokens", "pg", "grad", "soft")


@dataclass
class ProposerMaterial:
    """What proposers are made of.

    Attributes:
        index: opened.
        encoder: of the default prompt; None where no language model reads it.
        data: queries and judgements.
        space: what may be changed.
        folder: where files of vectors go.
        objective: searches the index; None where there is nothing to make baselines of.
        soft: how soft tokens learn.
    """

    index: Index
    encoder: LLMEncoder | None
    data: JudgedQueries
    space: Space
    folder: Path
    objective: IndexObjective | None = None
    soft: SoftOptions = field(default_factory=SoftOptions)

    @property
    def query_rows(self) -> QueryRows | None:
        """Dense rows of queries under the default prompt; None where none are searched."""
        if self.objective is None or self.objective.dense is None:
            return None
        return QueryRows(self.objective, self.space.default)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Words of one token.

        Raises:
            ValueError: no language model reads the index.
        """
        return Vocabulary.of(self.language_model.backbone)

    @property
    def language_model(self) -> LLMEncoder:
        """The encoder of the default prompt.

        Raises:
            ValueError: no language model reads the index.
        """
        if self.encoder is None:
            raise ValueError(
                f"{self.index.path} is read by no language model, whose vocabulary or gradients "
                "this proposer needs; take evolve, llm or prune"
            )
        return self.encoder

    @cached_property
    def gradients(self) -> GradientModel:
        """Gradients of the dense channel.

        Raises:
            ValueError: there is no dense channel, or the prompt is not read at its last token.
        """
        spec = self.index.channels.get(DENSE)
        if spec is not None and spec.post:
            raise ValueError(
                f"{self.index.path} post-processes its dense rows, and gradients do not go "
                "through that"
            )
        return GradientModel(self.language_model, IndexRows(self.index, self.data))

    @property
    def lacks_gradients(self) -> str:
        """Why no gradients can be had, for queries alone; "" where they can."""
        try:
            assert self.gradients is not None
        except ValueError as error:
            return " ".join(str(error).split())
        return ""


def read_names(text: str) -> list[str]:
    """Read "auto", or some of NAMES with commas.

    Raises:
        ValueError: anything else.
    """
    names = [name.strip() for name in text.split(",")]
    if names != [AUTO] and (not set(names) <= set(NAMES) or len(set(names)) != len(names)):
        raise ValueError(
            f"proposer takes auto or some of {', '.join(NAMES)}, each once; got {text!r}"
        )
    return names


def choose_proposers(
    material: ProposerMaterial, proposer: str, chat_model: str
) -> dict[str, MakeProposer]:
    """Return makers of proposers by name, in the order in which they are used.

    Args:
        material: what they are made of.
        proposer: "auto", or some of NAMES with commas.
        chat_model: for llm; "" is none.

    Raises:
        ValueError: an unknown name, or one that cannot be used here.
    """
    names, untried = read_names(proposer), tuple[str, ...]()
    if names == [AUTO]:
        names = ["evolve"]
        names += ["llm"] if chat_model else []
        names += ["prune"] if material.space.roles else []
        if material.space.roles == (Role.QUERY,):
            lacking = material.lacks_gradients
            names += [] if lacking else ["grad", "soft"]
            untried = (f"grad and soft: {lacking}",) if lacking else ()
    if names != ["evolve"] and not material.space.roles:
        raise ValueError("only evolve tunes rules of reading alone: proposer evolve")
    makers: dict[str, MakeProposer] = {
        "baselines": partial(
            Baselines, source=material.query_rows, folder=material.folder, untried=untried
        )
    }
    return makers | {name: _maker(name, material, chat_model) for name in names}


def _maker(name: str, material: ProposerMaterial, chat_model: str) -> MakeProposer:
    match name:
        case "evolve":
            return Evolve
        case "llm":
            if not chat_model:
                raise ValueError(
                    "proposer llm needs a writer: a chat model, a folder or an address"
                )
            return partial(Llm, chat=open_chat(chat_model))
        case "prune":
            return Prune
        case "tokens":
            return partial(Tokens, vocabulary=material.vocabulary)
        case "pg":
            return partial(Policy, vocabulary=material.vocabulary)
        case "grad":
            return partial(Gradient, gradients=material.gradients, vocabulary=material.vocabulary)
        case _:
            return partial(
                Soft,
                gradients=material.gradients,
                vocabulary=material.vocabulary,
                folder=material.folder,
                options=material.soft,
            )
