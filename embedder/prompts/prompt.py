"""Prompt: the wording per role and the rules of reading, as one value with a content hash."""

import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Literal

from embedder.files.content_hash import content_hash
from embedder.files.typed_values import fill_value, in_short
from embedder.prompts.method_rules import (
    ContrastRules,
    Example,
    ExampleRules,
    FilterRules,
    PostRules,
    PrependingRules,
    RewritingRules,
    SelectionRules,
)
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template

MAX_NAME = 200
NOTES = ("name", "description", "source", "use", "fusion")

_FUSION_NAME = re.compile(r"[a-z][a-z0-9_-]*")

Use = Literal["retrieval", "similarity"]
TextRules = Literal["", "sts"]
Specials = Literal["model", "none"]
TextSpecials = Literal["text", "control"]
_CHOICES = {
    "use": Use,
    "text_rules": TextRules,
    "specials": Specials,
    "text_specials": TextSpecials,
}


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
        post: what is done to dense rows by a sample of the collection, when it is indexed, or None.
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
    post: PostRules | None = None
    sample: ExampleRules | None = None
    examples: tuple[Example, ...] = ()
    adapt: str = ""

    def __post_init__(self) -> None:
        if not self.forms:
            raise ValueError(f"prompt {self.name!r} has no wording: give [query] and [document]")
        for key, kind in _CHOICES.items():
            fill_value(kind, getattr(self, key), key)
        if not self.name.isprintable() or len(self.name) > MAX_NAME:
            raise ValueError(
                f"name must be at most {MAX_NAME} characters that can be shown; "
                f"got {in_short(self.name)}"
            )
        _check_fusion(self.fusion)
        for conflict in chain(
            _reading_conflicts(self),
            _prepend_conflicts(self),
            _contrast_conflicts(self),
            _method_conflicts(self),
        ):
            raise ValueError(f"prompt {self.name!r}: {conflict}")

    @property
    def templates(self) -> list[Template]:
        """Every wording of every form."""
        return [template for form in self.forms for template in form.all]

    @property
    def hash(self) -> str:
        """16 hex digits of everything that changes a vector; names and notes do not count."""
        facts = {key: value for key, value in asdict(self).items() if key not in NOTES}
        for form in facts["forms"]:
            form.pop("name")
        for rule, usual in (("specials", "model"), ("text_specials", "text")):
            if facts[rule] == usual:  # as it was before there was a choice
                del facts[rule]
        if self.post is None:  # likewise
            del facts["post"]
        _, _, digest = facts.pop("adapt").rpartition("#")  # wherever the file lies
        if digest:
            facts["adapt"] = digest
        return content_hash(facts)

    @property
    def reads_last_tokens_only(self) -> bool:
        """Whether a plain pass is read at each row's last token, whatever precedes it."""
        rules = (self.prepend, self.contrast, self.select)
        plain = self.reading.at_last_token and self.reading.mode == "first-token"
        return plain and self.reading.attention == "causal" and rules == (None,) * 3

    def reading_only(self, *, dense: bool, sparse: bool) -> "Prompt":
        """Return the prompt with rows that nobody wants left out."""
        rules = self.reading.sparse if sparse else None
        if sparse and rules is None:
            raise ValueError(f"prompt {self.name!r} reads no sparse rows")
        post = self.post if dense else None
        return replace(self, reading=replace(self.reading, dense=dense, sparse=rules), post=post)


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


def _reading_conflicts(prompt: Prompt) -> Iterator[str]:
    reading = prompt.reading
    generates = reading.mode != "first-token"
    at_top = reading.layer == -1 and reading.norm == "top"
    if reading.attention == "bidirectional":
        if reading.at_last_token:
            yield (
                "a causal prompt is read where the next word is about to be said, which a "
                "bidirectional model does not do: read.span must be text, or read.pool mean"
            )
        if reading.sparse is not None or generates:
            yield (
                "next words need causal attention: with read.attention = bidirectional, switch "
                "sparse rows off and read no generated tokens"
            )
    if reading.span == "copy" and any(template.texts != 2 for template in prompt.templates):
        yield "read.span = copy needs a second {text} in every template (Echo)"
    several = any(len(role) > 1 for form in prompt.forms for role in (form.query, form.document))
    if generates and (several or not reading.at_last_token or not at_top):
        yield (
            "a generating read.mode reads one wording at the top of its last tokens; leave "
            "read.span, pool, layer and norm as they are"
        )
    if reading.pool == "max":
        if prompt.filter is not None or not at_top:
            yield (
                "read.pool = max reads logits, which are the top layer's; leave read.layer and "
                "norm as they are, and [filter] out"
            )
        if reading.sparse is not None:
            yield "read.pool = max turns logits into a dense row (LENS); switch sparse rows off"


def _prepend_conflicts(prompt: Prompt) -> Iterator[str]:
    marked = [template.has_placeholder for template in prompt.templates]
    if prompt.prepend is None:
        if any(marked):
            yield "a {placeholder} is a token without meaning unless [prepend] feeds it"
        return
    if not all(marked):
        yield "token prepending needs a {placeholder} (or {sentences}) in every template"
    if prompt.reading.attention == "bidirectional":
        yield "token prepending mends causal attention; a bidirectional model has no need of it"
    if prompt.reading.mode != "first-token":
        yield "token prepending feeds one pass; it does not go on into generated tokens"


def _contrast_conflicts(prompt: Prompt) -> Iterator[str]:
    if prompt.contrast is None:
        return
    if not (prompt.reading.at_last_token and prompt.reading.attention == "causal"):
        yield "contrastive prompting changes the last token only, so that one must be read"
    if prompt.reading.mode != "first-token":
        yield "contrastive prompting changes one pass; it does not go on into generated tokens"


def _method_conflicts(prompt: Prompt) -> Iterator[str]:
    reading, templates = prompt.reading, prompt.templates
    auxiliary = [] if prompt.contrast is None else [prompt.contrast.template]
    if (prompt.filter or prompt.select) is not None and not reading.dense:
        yield "[filter] and [select] act on dense rows, which the prompt does not read"
    if prompt.post is not None and (not reading.dense or reading.mode.endswith("-multi")):
        yield "[post] acts on one dense row per text, which the prompt does not read"
    if prompt.select is not None:
        yield from _select_conflicts(prompt)
    if prompt.rewrite is not None:
        if reading.sparse is not None:
            yield "[rewrite] averages dense rows; switch sparse rows off"
        if prompt.adapt:
            yield "[rewrite] averages rows that words alone change; leave it or adapt out"
    if any("task" in template.kinds for template in (*templates, *auxiliary)) and not prompt.task:
        yield "{task} stands in a template; give the instruction as task = ..."
    if (prompt.examples or prompt.sample is not None) and any(
        template.tokens == "whole" for template in templates
    ):
        yield "examples stand apart from the text, so templates need tokens = pieces"


def _select_conflicts(prompt: Prompt) -> Iterator[str]:
    reading = prompt.reading
    if reading.span == "prompt" or reading.pool != "mean":
        yield "[select] chooses among the tokens of a text: read.span = text or copy, pool = mean"
    if reading.attention != "causal" or reading.sparse is not None:
        yield "[select] reads the attention of causal models, and no sparse rows"
    if any(t.tokens == "whole" or "sentences" in t.kinds for t in prompt.templates):
        yield "[select] cuts a {text} into sentences of its own: templates need tokens = pieces"
    if prompt.prepend is not None:
        yield "[select] reads states that nothing was done to: leave [prepend] out"
