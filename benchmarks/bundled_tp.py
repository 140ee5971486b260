"""Token Prepending on STS-B dev with every choice of layers that a model has."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from benchmarks.bundled_section import Figure, Section, Subject, markdown
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import own_prompt
from embedder.models.backbone import Backbone
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt
from embedder.prompts.method_rules import PrependingRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import Template
from eval.data.pairs import PairSet, read_pairs
from eval.tasks.sts import judge, overall_correlation

DEV = "stsb-dev"
PUBLISHED = ("prompteol-tp", "representative-tp", "summarise-tp")
_PLACE = "{placeholder} "


class Choice(NamedTuple):
    """Blocks start <= i < exit are fed the copied state; the output of block `layer` is read.

    Without copying, start and exit are both 0. Layers are counted as in [read]: 1 is the first
    block's output, the depth is the top.
    """

    start: int
    exit: int
    layer: int


def choices(depth: int) -> Iterator[Choice]:
    """Yield every choice for a model of so many blocks, those without copying first."""
    yield from (Choice(0, 0, layer) for layer in range(1, depth + 1))
    for layer in range(1, depth + 1):
        for start in range(layer):
            # What is fed to a block above the one that is read changes nothing.
            yield from (Choice(start, exit_, layer) for exit_ in range(start + 1, layer + 1))


def prepending(subject: Subject) -> Section:
    """Judge each wording with each choice of layers."""
    dev = read_pairs(subject.data / f"sts/{DEV}.tsv")
    backbone, options = load_backbone(subject.model, LLMOptions())
    wordings = {"own": with_placeholder(own_prompt(subject.model))}
    wordings |= {name: load_prompt(name) for name in PUBLISHED}
    every = list(choices(len(backbone.layers)))
    values = {
        (name, choice): _judged(backbone, options, as_chosen(prompt, choice), dev)
        for name, prompt in wordings.items()
        for choice in every
    }
    copied = {key: value for key, value in values.items() if key[1].exit}
    plain = {key: value for key, value in values.items() if not key[1].exit}
    best = max(copied, key=copied.__getitem__)
    base = max(plain, key=plain.__getitem__)
    rows = [
        [*_cells(choice), *(f"{100 * values[name, choice]:.2f}" for name in wordings)]
        for choice in every
    ]
    return Section(
        "tp",
        f"Token Prepending on {DEV}: Spearman x100",
        (
            Figure(
                f"TP on {DEV}, Spearman x100, best layers", 100 * copied[best],
                note=f"{best[0]}, {_layers_text(best[1])}",
            ),
            Figure(
                f"without TP on {DEV}, the same wordings, best layer", 100 * plain[base],
                note=f"{base[0]}, read at {base[1].layer}",
            ),
        ),
        (
            "Copied before blocks start to exit - 1, counted from 0; `read` is the block whose "
            "output is read, counted from 1. own: the model's query prompt with the placeholder "
            "before the text.",
            "",
            *markdown(("start", "exit", "read", *wordings), rows),
        ),
        {
            "best": {"wording": best[0], **best[1]._asdict()},
            "spearman": [
                {"wording": name, **choice._asdict(), "value": value}
                for (name, choice), value in values.items()
            ],
        },
    )  # fmt: skip


def with_placeholder(prompt: Prompt) -> Prompt:
    """Put a placeholder before the text of each wording, and before a quote that opens it."""
    return _reworded(prompt, _placed, PrependingRules(0, 1))


def as_chosen(prompt: Prompt, choice: Choice) -> Prompt:
    """Return a prompt with a placeholder as it is with these layers, dense rows only."""
    rules = replace(prompt.reading, layer=choice.layer, dense=True, sparse=None)
    read_so = replace(prompt, reading=rules)
    if choice.exit:
        return replace(read_so, prepend=PrependingRules(choice.start, choice.exit))
    return _reworded(read_so, _bare, None)


def _reworded(
    prompt: Prompt, change: Callable[[Template], Template], prepend: PrependingRules | None
) -> Prompt:
    """Change every wording together with the rule: one without the other is refused."""
    forms = [
        replace(
            form,
            query=tuple(map(change, form.query)),
            document=tuple(map(change, form.document)),
        )
        for form in prompt.forms
    ]
    return replace(prompt, forms=tuple(forms), prepend=prepend)


def _placed(template: Template) -> Template:
    quoted = '"{text}' in template.text
    slot = '"{text}' if quoted else "{text}"
    return replace(template, text=template.text.replace(slot, _PLACE + slot, 1))


def _bare(template: Template) -> Template:
    return replace(template, text=template.text.replace(_PLACE, ""))


def _judged(backbone: Backbone, options: LLMOptions, prompt: Prompt, dev: PairSet) -> float:
    [judged] = judge([dev], LLMEncoder(backbone, prompt, options))
    return overall_correlation(judged).spearman


def _cells(choice: Choice) -> list[str]:
    copied = [str(choice.start), str(choice.exit)] if choice.exit else ["no copy", ""]
    return [*copied, str(choice.layer)]


def _layers_text(choice: Choice) -> str:
    return f"start {choice.start}, exit {choice.exit}, read at {choice.layer}"
