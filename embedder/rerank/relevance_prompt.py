"""Relevance prompts: the question whether a document answers a query, and its two answers."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedder.files.config_file import read_toml
from embedder.files.typed_values import fill_value
from embedder.prompts.prompt import MAX_NAME
from embedder.prompts.toml_library import find_file

LIBRARY = Path(__file__).parent / "library"
DEFAULT = "relevance"
SLOT = re.compile(r"\{(query|document)\}")


@dataclass(frozen=True, slots=True)
class RelevanceForm:
    """One wording of the question, plain or as turns of a chat.

    Attributes:
        yes: the answer for a relevant document, as it follows the wording: with the space that
            stands before it, where one does.
        no: the other answer. The first token in which the two differ is asked for.
        template: a plain wording.
        user: instead, the user's turn of a chat; such a form needs a model with a chat template.
        system: system turn of the chat.
        prefill: how the answer in the chat begins.
    """

    yes: str
    no: str
    template: str = ""
    user: str = ""
    system: str = ""
    prefill: str = ""

    def __post_init__(self) -> None:
        if bool(self.template) == bool(self.user):
            raise ValueError("needs one of template = (plain) or user = (chat)")
        if self.template and (self.system or self.prefill):
            raise ValueError("system and prefill belong to a chat: use user = ...")
        slots = sorted(SLOT.findall(self.wording))
        if slots != ["document", "query"]:
            raise ValueError(
                f"the wording must hold {{query}} and {{document}} once each; it holds "
                f"{', '.join(f'{{{slot}}}' for slot in slots) or 'neither'}"
            )
        if SLOT.search(self.system + self.prefill):
            raise ValueError("{query} and {document} are filled in user only")
        if not self.yes.strip() or not self.no.strip() or self.yes == self.no:
            raise ValueError(f"yes and no must be two words; got {self.yes!r} and {self.no!r}")

    @property
    def wording(self) -> str:
        """The wording that holds the slots."""
        return self.template or self.user


@dataclass(frozen=True, slots=True)
class RelevancePrompt:
    """A question about relevance, as a TOML file holds it.

    What stands before the second of {query} and {document} is read once for all that come second:
    with the document first a document is read once for all queries, with the query first a query
    once for all documents.

    Attributes:
        name: file-name-like label.
        form: tried in order; the first that suits the model is used.
        description: one line for people.
        source: authors, venue, year; or whoever wrote it.
    """

    name: str
    form: tuple[RelevanceForm, ...]
    description: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not self.form:
            raise ValueError("there is no wording: give one [[form]] or more")
        if not self.name.isprintable() or len(self.name) > MAX_NAME:
            raise ValueError(f"name must be at most {MAX_NAME} characters that can be shown")


def load_relevance_prompt(name: str | Path = DEFAULT) -> RelevancePrompt:
    """Read a relevance prompt of the library by name, or a file by a path that ends in .toml.

    Raises:
        ValueError: there is none; or names the file, the key, what was expected and what came.
        OSError: it cannot be read.
    """
    path = find_file(name, LIBRARY, "relevance prompt")
    data: dict[str, Any] = read_toml(path)
    try:
        prompt: RelevancePrompt = fill_value(RelevancePrompt, data, "")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return prompt
