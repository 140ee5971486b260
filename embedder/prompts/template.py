"""Template: the wording around a text, its slots, and which models it suits."""

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from embedder.files.typed_values import fill_value
from embedder.role import Role

SLOT = "{text}"
TEXT_SLOTS = ("text", "reversed", "sentences")

Tokenization = Literal["pieces", "whole"]
_NAMES = ("text", "reversed", "sentences", "front", "placeholder", "task", "bos", "eos")
_PART = re.compile(rf"\{{({'|'.join(_NAMES)}|\|)\}}")
_NEARLY = re.compile(r"\{\s*(\w{2,20})\s*\}")


@dataclass(frozen=True, slots=True)
class TextRun:
    """A stretch of a string.

    Attributes:
        kind: "wording", whose spelled special tokens act; "text", which stays text whatever it
            spells; or "placeholder", one token that no string spells.
        text: the characters; "" for a placeholder.
    """

    kind: Literal["wording", "text", "placeholder"]
    text: str = ""


@dataclass(frozen=True, slots=True)
class TemplatePart:
    """One stretch of a template.

    Attributes:
        kind: "literal", or the name of the slot: text, reversed, sentences, front, placeholder,
            task, bos, eos, or "|", where a new piece begins.
        text: the characters of a literal; "" for a slot.
        examples: the stretches (first, one past the last) of a literal that are texts themselves.
    """

    kind: str
    text: str = ""
    examples: tuple[tuple[int, int], ...] = ()

    @property
    def runs(self) -> list[TextRun]:
        """A literal as wording and texts, in order."""
        bounds = [0, *(bound for stretch in self.examples for bound in stretch), len(self.text)]
        runs = [
            TextRun("text" if at % 2 else "wording", self.text[start:stop])
            for at, (start, stop) in enumerate(pairwise(bounds))
        ]
        return [run for run in runs if run.text]

    def joined(self, other: "TemplatePart") -> "TemplatePart":
        """Return two literals as one."""
        shift = len(self.text)
        more = tuple((start + shift, stop + shift) for start, stop in other.examples)
        return TemplatePart("literal", self.text + other.text, self.examples + more)


def template_parts(text: str) -> tuple[TemplatePart, ...]:
    """Cut a template at its slots; braces around anything else are ordinary characters."""
    pieces = _PART.split(text)
    return tuple(
        TemplatePart(piece) if at % 2 else TemplatePart("literal", piece)
        for at, piece in enumerate(pieces)
        if at % 2 or piece
    )


def head_parts(parts: Sequence[TemplatePart]) -> tuple[TemplatePart, ...] | None:
    """Return what precedes the ending of a wording, a literal right after the text; else None.

    Wordings with equal heads differ after the text only, so that texts can be read once for all.
    """
    ends = [part.kind for part in parts[-2:]] == ["text", "literal"]
    filled = any(part.kind in ("placeholder", "sentences") for part in parts)
    return tuple(parts[:-1]) if ends and not filled else None


def share_head(heads: Collection[object]) -> bool:
    """Tell whether several wordings, given by their `head_parts`, differ after the text only."""
    return len(heads) > 1 and len(set(heads)) == 1 and None not in heads


@dataclass(frozen=True, slots=True)
class Template:
    """One wording: plain text around the slots, or a chat turn with a prefilled answer.

    Slots: `{text}`, once, or twice where the second is a copy that is read (Echo); `{reversed}`,
    the words of the text from last to first; `{sentences}`, the text with a placeholder before
    every sentence, and `{front}`, one more placeholder for each of them (HTP); `{placeholder}`,
    a token that takes over the state of the last one (TP); `{task}`, the prompt's instruction;
    `{bos}` and `{eos}`, the tokenizer's own (an `{eos}` that touches a text is read with it);
    `{|}`, where a new piece begins.

    Attributes:
        text: the user turn of a chat, or the whole plain prompt.
        system: system turn; only in a chat. Models without a system role get it in the user turn.
        prefill: how the assistant's answer begins; it is left open. Only in a chat.
        chat: whether the model's own chat template is put around the turns.
        tokens: "pieces" tokenises what stands before, in and after a slot apart (PromptReps,
            Echo); "whole" fills the slots and tokenises once (PromptEOL and its family).
    """

    text: str
    system: str = ""
    prefill: str = ""
    chat: bool = False
    tokens: Tokenization = "pieces"

    def __post_init__(self) -> None:
        texts = self.texts
        if not 1 <= texts <= 2:
            raise ValueError(
                f"a template must hold {SLOT} exactly once, or twice to read its copy; "
                f"this one holds it {texts} times: {self.text[:80]!r}"
            )
        for match in _NEARLY.finditer(self.text):  # what was meant as a slot
            near = difflib.get_close_matches(match[1].casefold(), _NAMES, n=1, cutoff=0.8)
            if near and not _PART.fullmatch(match[0]):
                raise ValueError(f"there is no slot {match[0]}; did you mean {{{near[0]}}}?")
        for turn, text in (("system", self.system), ("prefill", self.prefill)):
            if slot := _PART.search(text):
                raise ValueError(f"{slot[0]} stands in {turn}; slots are filled in user only")
        if not self.chat and (self.system or self.prefill):
            raise ValueError("system and prefill belong to a chat template: use user = ...")
        fill_value(Tokenization, self.tokens, "tokens")
        kinds = self.kinds
        if self.tokens == "whole" and {"sentences", "front", "|"} & kinds:
            raise ValueError("{sentences}, {front} and {|} need tokens = pieces")
        if "front" in kinds and "sentences" not in kinds:
            raise ValueError("{front} stands for the sentences of {sentences}, which is missing")

    @property
    def kinds(self) -> set[str]:
        """The slots that occur."""
        return {part.kind for part in template_parts(self.text)}

    @property
    def texts(self) -> int:
        """How many times the text stands in it."""
        return sum(part.kind in TEXT_SLOTS for part in template_parts(self.text))

    @property
    def has_placeholder(self) -> bool:
        """Whether a placeholder stands in it, its own or that of a sentence."""
        return bool({"placeholder", "sentences"} & self.kinds)


@dataclass(frozen=True, slots=True)
class PromptVariant:
    """The wordings of queries and of documents, and which models they suit.

    Attributes:
        name: shown to people, e.g. "llama-3".
        query: wordings for queries; the states that several give are averaged.
        document: wordings for documents, likewise.
        needs: "" suits every model; "chat" a tokenizer with a chat template; anything else is a
            token that the vocabulary must hold, e.g. "<|start_header_id|>".
    """

    name: str
    query: tuple[Template, ...]
    document: tuple[Template, ...]
    needs: str = ""

    def __post_init__(self) -> None:
        if not self.query or not self.document:
            raise ValueError(f"form {self.name!r} needs a template for queries and for documents")

    def templates(self, role: Role) -> tuple[Template, ...]:
        """Return the wordings of a role."""
        return self.query if Role(role) is Role.QUERY else self.document

    @property
    def all(self) -> tuple[Template, ...]:
        """The wordings of both roles."""
        return self.query + self.document
