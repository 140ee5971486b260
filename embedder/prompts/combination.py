"""Which rules of a prompt go together; an error names the rule that is broken."""

from typing import TYPE_CHECKING

from embedder.prompts.template import Template

if TYPE_CHECKING:
    from embedder.prompts.prompt import Prompt


def check_together(prompt: "Prompt") -> None:
    """Refuse rules that contradict each other, with the reason."""
    templates = [template for form in prompt.forms for template in form.all]
    for broken, why in (
        *_about_reading(prompt, templates),
        *_about_placeholders(prompt, templates),
        *_about_extras(prompt, templates),
    ):
        if broken:
            raise ValueError(f"prompt {prompt.name!r}: {why}")


def _about_reading(prompt: "Prompt", templates: list[Template]) -> list[tuple[bool, str]]:
    reading = prompt.reading
    bidirectional = reading.attention == "bidirectional"
    generates = reading.mode != "first-token"
    several = any(len(role) > 1 for form in prompt.forms for role in (form.query, form.document))
    plain = reading.at_last_token and reading.layer == -1 and reading.norm == "top"
    return [
        (
            bidirectional and reading.at_last_token,
            "a causal prompt is read where the next word is about to be said, which a "
            "bidirectional model does not do: read.span must be text, or read.pool mean",
        ),
        (
            bidirectional and (reading.sparse is not None or generates),
            "next words need causal attention: with read.attention = bidirectional, switch "
            "sparse rows off and read no generated tokens",
        ),
        (
            reading.span == "copy" and any(template.texts != 2 for template in templates),
            "read.span = copy needs a second {text} in every template (Echo)",
        ),
        (
            generates and (several or not plain),
            "a generating read.mode reads one wording at the top of its last tokens; leave "
            "read.span, pool, layer and norm as they are",
        ),
        (
            reading.pool == "max"
            and (prompt.filter is not None or reading.layer != -1 or reading.norm != "top"),
            "read.pool = max reads logits, which are the top layer's; leave read.layer and norm as "
            "they are, and [filter] out",
        ),
        (
            reading.pool == "max" and reading.sparse is not None,
            "read.pool = max turns logits into a dense row (LENS); switch sparse rows off",
        ),
    ]


def _about_placeholders(prompt: "Prompt", templates: list[Template]) -> list[tuple[bool, str]]:
    reading = prompt.reading
    missing = not all(template.has_placeholder for template in templates)
    return [
        (
            prompt.prepend is not None and missing,
            "token prepending needs a {placeholder} (or {sentences}) in every template",
        ),
        (
            prompt.prepend is None and any(template.has_placeholder for template in templates),
            "a {placeholder} is a token without meaning unless [prepend] feeds it",
        ),
        (
            prompt.prepend is not None and reading.attention == "bidirectional",
            "token prepending mends causal attention; a bidirectional model has no need of it",
        ),
        (
            prompt.prepend is not None and reading.mode != "first-token",
            "token prepending feeds one pass; it does not go on into generated tokens",
        ),
    ]


def _about_extras(prompt: "Prompt", templates: list[Template]) -> list[tuple[bool, str]]:
    reading, contrast, select = prompt.reading, prompt.contrast, prompt.select
    auxiliary = [] if contrast is None else [contrast.template]
    shown = bool(prompt.examples) or prompt.sample is not None
    return [
        (
            contrast is not None and not (reading.at_last_token and reading.attention == "causal"),
            "contrastive prompting changes the last token only, so that one must be read",
        ),
        (
            contrast is not None and reading.mode != "first-token",
            "contrastive prompting changes one pass; it does not go on into generated tokens",
        ),
        (
            (prompt.filter or select) is not None and not reading.dense,
            "[filter] and [select] act on dense rows, which the prompt does not read",
        ),
        (
            select is not None and (reading.span == "prompt" or reading.pool != "mean"),
            "[select] chooses among the tokens of a text: read.span = text or copy, pool = mean",
        ),
        (
            select is not None and (reading.attention != "causal" or reading.sparse is not None),
            "[select] reads the attention of causal models, and no sparse rows",
        ),
        (
            select is not None
            and any(t.tokens == "whole" or "sentences" in t.kinds for t in templates),
            "[select] cuts a {text} into sentences of its own: templates need tokens = pieces",
        ),
        (
            select is not None and prompt.prepend is not None,
            "[select] reads states that nothing was done to: leave [prepend] out",
        ),
        (
            prompt.rewrite is not None and reading.sparse is not None,
            "[rewrite] averages dense rows; switch sparse rows off",
        ),
        (
            prompt.rewrite is not None and bool(prompt.adapt),
            "[rewrite] averages rows that words alone change; leave it or adapt out",
        ),
        (
            any("task" in t.kinds for t in (*templates, *auxiliary)) and not prompt.task,
            "{task} stands in a template; give the instruction as task = ...",
        ),
        (
            shown and any(template.tokens == "whole" for template in templates),
            "examples stand apart from the text, so templates need tokens = pieces",
        ),
    ]
