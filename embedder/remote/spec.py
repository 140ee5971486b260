"""What an index keeps of a model behind an address; one of the specs of `embedder.encoders`."""

from dataclasses import dataclass

from embedder.checkpoints.variant import DEFAULT_VARIANT, ModelVariant
from embedder.prompts.prompt import Prompt


@dataclass(frozen=True, slots=True)
class RemoteSpec:
    """A model that a server reads texts with.

    Attributes:
        model: "tei:URL" or "openai:MODEL@URL".
        prompt: None sends texts as they are.
        variant: the form of the model.
    """

    model: str
    prompt: Prompt | None = None
    kind: str = "remote"
    variant: ModelVariant = DEFAULT_VARIANT
