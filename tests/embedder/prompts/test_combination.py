"""Rules that contradict each other: each is broken once, and the message says which it was."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from embedder.prompts.method_rules import (
    ContrastRules,
    Example,
    ExampleRules,
    FilterRules,
    PrependingRules,
    RewritingRules,
    SelectionRules,
)
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template

CAUSAL = ReadoutRules(sparse=None)
BOTH_WAYS = ReadoutRules(attention="bidirectional", span="text", pool="mean", sparse=None)
SAYS = ReadoutRules(mode="multi-token-single")
MEAN = ReadoutRules(span="text", pool="mean", sparse=None)
CONTRAST = ContrastRules(Template("not {text}"))
FED = PrependingRules(1, 3)
MARKED = "say {placeholder} {text}"


def prompt(
    reading: ReadoutRules, *wordings: str, tokens: str = "pieces", others: tuple[str, ...] = ()
) -> Prompt:
    query, document = (
        tuple(Template(wording, tokens=tokens) for wording in given)  # type: ignore[arg-type]
        for given in (wordings, others or wordings)
    )
    return Prompt("mine", (PromptVariant("own", query, document),), reading)


def fed(reading: ReadoutRules, *wordings: str, others: tuple[str, ...] = ()) -> Prompt:
    """Ask for token prepending together with the wording, since neither stands alone."""
    query, document = (
        tuple(Template(wording) for wording in given) for given in (wordings, others or wordings)
    )
    return Prompt("mine", (PromptVariant("own", query, document),), reading, prepend=FED)


BROKEN: dict[str, tuple[Callable[[], Prompt], str]] = {
    "last token both ways": (
        lambda: prompt(replace(BOTH_WAYS, span="prompt", pool="last"), "{text}"),
        "read.span must be text, or read.pool mean",
    ),
    "next words both ways": (
        lambda: prompt(replace(BOTH_WAYS, sparse=SAYS.sparse), "{text}"),
        "next words need causal attention",
    ),
    "generation both ways": (
        lambda: prompt(replace(BOTH_WAYS, mode="multi-token-single"), "{text}"),
        "next words need causal attention",
    ),
    "copy of nothing": (
        lambda: prompt(replace(CAUSAL, span="copy", pool="mean"), "{text} {text}", "{text}"),
        "read.span = copy needs a second",
    ),
    "generation of two wordings": (
        lambda: prompt(SAYS, "one {text}", "two {text}"),
        "a generating read.mode reads one wording",
    ),
    "generation of two wordings for one role": (
        lambda: prompt(SAYS, "one {text}", others=("one {text}", "two {text}")),
        "a generating read.mode reads one wording",
    ),
    "generation below the top": (
        lambda: prompt(replace(SAYS, layer=-2), "{text}"),
        "a generating read.mode reads one wording at the top",
    ),
    "generation without its norm": (
        lambda: prompt(replace(SAYS, norm="never"), "{text}"),
        "a generating read.mode reads one wording at the top",
    ),
    "generation off the last token": (
        lambda: prompt(replace(SAYS, span="text", pool="mean"), "{text}"),
        "a generating read.mode reads one wording at the top",
    ),
    "largest logits and sparse rows": (
        lambda: prompt(ReadoutRules(span="text", pool="max"), "{text}"),
        "read.pool = max turns logits into a dense row",
    ),
    "largest logits below the top": (
        lambda: prompt(replace(BOTH_WAYS, pool="max", layer=3), "{text}"),
        "read.pool = max",
    ),
    "a filter of logits": (
        lambda: replace(
            prompt(replace(BOTH_WAYS, pool="max"), "{text}"), filter=FilterRules(0.1, 0.5)
        ),
        "read.pool = max",
    ),
    "prepending to nothing": (
        lambda: fed(CAUSAL, MARKED, "say {text}"),
        "token prepending needs a {placeholder}",
    ),
    "a placeholder that is not fed": (
        lambda: prompt(CAUSAL, "say {text}", others=(MARKED,)),
        "a {placeholder} is a token without meaning",
    ),
    "sentences that are not fed": (
        lambda: prompt(CAUSAL, "say {sentences}"),
        "a {placeholder} is a token without meaning",
    ),
    "prepending both ways": (
        lambda: fed(BOTH_WAYS, MARKED),
        "token prepending mends causal attention",
    ),
    "prepending and generation": (
        lambda: fed(SAYS, MARKED),
        "token prepending feeds one pass",
    ),
    "contrast off the last token": (
        lambda: replace(
            prompt(replace(CAUSAL, span="text", pool="mean"), "{text}"), contrast=CONTRAST
        ),
        "contrastive prompting changes the last token only",
    ),
    "contrast both ways": (
        lambda: replace(prompt(BOTH_WAYS, "{text}"), contrast=CONTRAST),
        "contrastive prompting changes the last token only",
    ),
    "contrast and generation": (
        lambda: replace(prompt(SAYS, "{text}"), contrast=CONTRAST),
        "contrastive prompting changes one pass",
    ),
    "a filter of nothing": (
        lambda: replace(prompt(ReadoutRules(dense=False), "{text}"), filter=FilterRules(0.1, 0.5)),
        "[filter] and [select] act on dense rows",
    ),
    "a selection of nothing": (
        lambda: replace(prompt(ReadoutRules(dense=False), "{text}"), select=SelectionRules()),
        "[filter] and [select] act on dense rows",
    ),
    "a selection from the prompt": (
        lambda: replace(prompt(replace(CAUSAL, pool="mean"), "{text}"), select=SelectionRules()),
        "[select] chooses among the tokens of a text",
    ),
    "a selection of one token": (
        lambda: replace(prompt(replace(CAUSAL, span="text"), "{text}"), select=SelectionRules()),
        "[select] chooses among the tokens of a text",
    ),
    "a selection both ways": (
        lambda: replace(prompt(BOTH_WAYS, "{text}"), select=SelectionRules()),
        "[select] reads the attention of causal models",
    ),
    "a selection and sparse rows": (
        lambda: replace(
            prompt(ReadoutRules(span="text", pool="mean"), "{text}"), select=SelectionRules()
        ),
        "[select] reads the attention of causal models",
    ),
    "a selection in a whole string": (
        lambda: replace(prompt(MEAN, "{text}", tokens="whole"), select=SelectionRules()),
        "[select] cuts a {text} into sentences of its own",
    ),
    "a selection among sentences": (
        lambda: replace(fed(MEAN, "{sentences}"), select=SelectionRules()),
        "[select] cuts a {text} into sentences of its own",
    ),
    "a selection and prepending": (
        lambda: replace(fed(MEAN, "{placeholder}{text}"), select=SelectionRules()),
        "[select] ",
    ),
    "rewritings and sparse rows": (
        lambda: replace(prompt(ReadoutRules(), "{text}"), rewrite=RewritingRules()),
        "[rewrite] averages dense rows",
    ),
    "a task that is not given": (
        lambda: prompt(CAUSAL, "{task} {text}", others=("{text}",)),
        "give the instruction as task = ...",
    ),
    "examples in a whole string": (
        lambda: replace(
            prompt(CAUSAL, "{text}", tokens="whole"), examples=(Example("a text", "word"),)
        ),
        "templates need tokens = pieces",
    ),
    "drawn examples in a whole string": (
        lambda: replace(prompt(CAUSAL, "{text}", tokens="whole"), sample=ExampleRules()),
        "templates need tokens = pieces",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str) -> None:
    make, said = BROKEN[name]
    with pytest.raises(ValueError, match=r"^prompt 'mine': ") as caught:
        make()
    assert said in str(caught.value)


def test_what_does_not_contradict_itself_is_taken() -> None:
    prompt(CAUSAL, "{text}")
    prompt(BOTH_WAYS, "{text}")
    prompt(replace(BOTH_WAYS, span="prompt"), "{text}")
    prompt(replace(BOTH_WAYS, pool="max"), "{text}")
    prompt(replace(CAUSAL, span="copy", pool="mean"), "{text} {text}")
    prompt(SAYS, "one {text}", others=("two {text}",))
    prompt(replace(CAUSAL, layer=-2), "one {text}", "two {text}", tokens="whole")
    fed(CAUSAL, MARKED, others=("{front}{sentences}",))
    fed(MEAN, "{sentences}")
    replace(prompt(MEAN, "{text}"), select=SelectionRules(), filter=FilterRules(0.1, 0.5))
    replace(prompt(CAUSAL, "{text}"), rewrite=RewritingRules())
    replace(fed(CAUSAL, MARKED), contrast=CONTRAST, filter=FilterRules(0.1, 0.5))
    replace(prompt(CAUSAL, "{text}"), examples=(Example("a text", "word"),), sample=ExampleRules())
