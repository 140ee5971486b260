"""Prompt: the wording per role and the rules of reading, as one value with a content hash."""

import difflib
import math
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from embedder.files.content_hash import content_hash
from embedder.files.typed_values import in_short
from embedder.prompts.combination import check_together
from embedder.prompts.method_rules import (
    ContrastRules,
    Example,
    ExampleRules,
    FilterRules,
    PrependingRules,
    RewritingRules,
    SelectionRules,
)
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant

LIBRARY = Path(__file__).parent / "library"
MAX_NAME = 200
NOTES = ("name", "description", "source", "use", "fusion")

_FUSION_NAME = re.compile(r"[a-z][a-z0-9_-]*")

Use = Literal["retrieval", "similarity"]
TextRules = Literal["", "sts"]
Specials = Literal["model", "none"]
TextSpecials = Literal["text", "control"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """The whole model of a training-free embedder: wording and reading rules.

    Attributes:
        name: file-name-like label.
        forms: tried in order; the first whose need the model meets is used.
        reading: what is read off the model.
        description: one line for people.
        source: authors, venue, year; or whoever wrote it.
        use: what it is good for.
        fusion: how its rows are best fused with other channels, where that was measured, as
            retrieval writes it: "minmax:dense=0.24,sparse=0.18,bm25=0.58". Changes no vector.
        text_rules: what is done to a text first: "" nothing, "sts" the rules that the authors of
            PromptEOL, MetaEOL, TP and CP use on sentences (`text_rules.sts`).
        specials: which special tokens stand before every wording: "model", those that the
            tokenizer puts before a text, once; or "none", where a wording spells all it needs, as
            published prompt files do.
        text_specials: what special tokens are that a text spells, such as "</s>": "text" like any
            other, or "control" tokens, as most programs take them. In a wording they always act.
        task: the instruction that stands for {task}.
        prepend: copy a late state to a placeholder (TP, HTP), or None.
        contrast: subtract what an auxiliary prompt says (CP), or None.
        filter: keep a part of the spectrum (EmbedFilter), or None.
        select: average the tokens that matter only (SCSP), or None.
        rewrite: average over rewritings by a generating model (GenEOL), or None.
        sample: examples to draw from the collection (RICE) before texts are encoded, or None.
        examples: texts with their words, shown before the text.
        adapt: what changes query rows beside words, "FILE.safetensors#DIGEST" (see `adaptation`),
            or "".
    """

    name: str
    forms: tuple[PromptVariant, ...]
    reading: ReadoutRules = field(default_factory=ReadoutRules)
    description: str = ""
    source: str = ""
    use: Use = "retrieval"
    fusion: str = ""
    text_rules: TextRules = ""
    specials: Specials = "model"
    text_specials: TextSpecials = "text"
    task: str = ""
    prepend: PrependingRules | None = None
    contrast: ContrastRules | None = None
    filter: FilterRules | None = None
    select: SelectionRules | None = None
    rewrite: RewritingRules | None = None
    sample: ExampleRules | None = None
    examples: tuple[Example, ...] = ()
    adapt: str = ""

    def __post_init__(self) -> None:
        if not self.forms:
            raise ValueError(f"prompt {self.name!r} has no wording: give [query] and [document]")
        if self.use not in get_args(Use):
            raise ValueError(f"prompt {self.name!r}: use must be retrieval or similarity")
        if self.text_rules not in get_args(TextRules):
            raise ValueError(f'text_rules must be "" or "sts"; got {self.text_rules!r}')
        if self.specials not in get_args(Specials):
            raise ValueError(f'specials must be "model" or "none"; got {self.specials!r}')
        if self.text_specials not in get_args(TextSpecials):
            raise ValueError(
                f'text_specials must be "text" or "control"; got {self.text_specials!r}'
            )
        if not self.name.isprintable() or len(self.name) > MAX_NAME:
            raise ValueError(
                f"name must be at most {MAX_NAME} characters that can be shown; "
                f"got {in_short(self.name)}"
            )
        _check_fusion(self.fusion)
        check_together(self)

    @property
    def hash(self) -> str:
        """16 hex digits of everything that changes a vector; names and notes do not count."""
        facts = {key: value for key, value in asdict(self).items() if key not in NOTES}
        for form in facts["forms"]:
            form.pop("name")
        for rule, usual in (("specials", "model"), ("text_specials", "text")):
            if facts[rule] == usual:  # as it was before there was a choice
                del facts[rule]
        _, _, digest = facts.pop("adapt").rpartition("#")  # wherever the file lies
        if digest:
            facts["adapt"] = digest
        return content_hash(facts)

    def reading_only(self, *, dense: bool, sparse: bool) -> "Prompt":
        """Return the prompt with rows that nobody wants left out."""
        rules = self.reading.sparse if sparse else None
        if sparse and rules is None:
            raise ValueError(f"prompt {self.name!r} reads no sparse rows")
        return replace(self, reading=replace(self.reading, dense=dense, sparse=rules))

    @staticmethod
    def library() -> list[str]:
        """Return the names of the prompts that come with lastword."""
        return sorted(path.stem for path in LIBRARY.glob("*.toml"))

    @staticmethod
    def load(name: str | Path) -> "Prompt":
        """Read a library prompt by name, or a prompt file by a path that ends in .toml."""
        path = Path(name)
        if path.suffix != ".toml":
            if str(name) not in Prompt.library():
                near = difflib.get_close_matches(str(name), Prompt.library(), n=3, cutoff=0.4)
                known = ", ".join(near or Prompt.library())
                raise ValueError(
                    f"no prompt is called {str(name)!r}; nearest: {known} "
                    "(a prompt of your own is a path that ends in .toml)"
                )
            path = LIBRARY / f"{name}.toml"
        if not path.is_file():
            raise ValueError(f"no prompt file at {path}")
        from embedder.prompts.files import read

        return read(path)

    @staticmethod
    def from_toml(text: str, where: str = "prompt") -> "Prompt":
        """Parse a prompt; `where` is named in errors."""
        from embedder.prompts.files import parse

        return parse(text, where)

    def to_toml(self) -> str:
        """Write the prompt so that `from_toml` gives an equal one."""
        from embedder.prompts.files import write

        return write(self)


def _check_fusion(text: str) -> None:
    """Check how a fusion is written; which ones there are is known above, where they are used."""
    name, colon, written = text.partition(":")
    settings = [part.partition("=") for part in written.split(",")] if colon else []
    numbers = {key.strip(): number for key, _, number in settings}
    if text and (not _FUSION_NAME.fullmatch(name) or len(numbers) < len(settings)):
        raise ValueError(
            f'fusion must read like "rrf" or "minmax:dense=0.5,bm25=0.5"; got {in_short(text)}'
        )
    for key, number in numbers.items():
        try:
            fits = bool(key) and 0 <= float(number) < math.inf
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"fusion needs settings like dense=0.5, a number of at least 0; "
                f"got {in_short(f'{key}={number}')}"
            )
