"""ListedModel: what there is to know about a model before it is loaded."""

from dataclasses import dataclass

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that can be used at once, or after one command.

    Attributes:
        name: as `load_encoder` takes it; sentence-transformers models begin with "sbert:".
        source: "lastword", "package" or "cache", that of Hugging Face.
        parameters: numbers in its weights, as they are stored; None where it is not here.
        size: bytes on this machine's disk; 0 where it is not here.
        licence: of the weights, as their source names it, or "unknown".
        command: what brings it here; "" where it is here.
    """

    name: str
    source: str
    parameters: int | None
    size: int
    licence: str = UNKNOWN
    command: str = ""

    def __post_init__(self) -> None:
        """Check that what is here has a size, and what is not has none."""
        if not self.name or not self.licence:
            raise ValueError("a listed model needs a name and a licence")
        if bool(self.command) != (self.parameters is None) or (self.size > 0) == bool(self.command):
            raise ValueError(f"{self.name}: expected parameters and a size, or a command")

    @property
    def here(self) -> bool:
        """Whether it can be used at once."""
        return not self.command
