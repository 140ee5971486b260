"""How people see prompts: the library as tables, and what one prompt feeds a model."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from lastword.cli.screen import table, visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from embedder.inspect.cost import PromptCost
    from embedder.inspect.preview import Preview, PreviewedWording
    from embedder.prompts.prompt import Prompt
    from lastword.cli.tables import Table

USES: Final = {
    "retrieval": "Retrieval: finding documents for a query",
    "similarity": "Similarity: comparing sentences with one another",
}
COST_NOTE = (
    "passes: forward passes for each text, a generated token being one. tokens: what these are "
    "fed, as a multiple of a text of 20 tokens; what all texts begin with is read once and free."
)
# Brackets that hardly a text holds, and arrows: seen without colour too.
SLOT, READ = "⟦⟧", "▶◀"

_STYLES = {"text": "bold green", "placeholder": "bold magenta", "read": "reverse", "": ""}


def library_table(prompts: Sequence["Prompt"], costs: Mapping[str, "PromptCost"]) -> "Table":
    """Lay out prompts, a row each, with names whole and descriptions as there is room."""
    return table(
        *("prompt", ">passes", ">tokens", "source", "what it is"),
        rows=[
            (
                prompt.name,
                str(costs[prompt.name].passes),
                f"{costs[prompt.name].tokens:.1f}x",
                cited(prompt.source),
                prompt.description,
            )
            for prompt in prompts
        ],
        texts=["what it is"],
        spare=["source"],
    )


def cited(source: str) -> str:
    """Shorten a source as a text cites it: its first names and its year, "Jiang et al. 2024"."""
    first = source.split(";")[0]
    names = re.split(r", | \(", first)[0]
    year = re.search(r"\b(?:19|20)\d\d\b", first)
    return f"{names} {year[0]}" if year else names


def lay_out_preview(
    preview: "Preview", left_out: Sequence[str], pieces: bool = False
) -> Iterator["RenderableType"]:
    """Yield the text that the model is fed, the rules of reading, and the words, in this order."""
    from rich.text import Text

    count = len(preview.wordings)
    for number, wording in enumerate(preview.wordings, start=1):
        place = f", wording {number} of {count}" if count > 1 else ""
        yield Text(f"Form {preview.form}{place}, {_count_tokens(wording)}:", style="bold")
        yield fed(wording, pieces)
    if preview.auxiliary is not None:
        yield Text(f"Auxiliary prompt, {_count_tokens(preview.auxiliary)}:", style="bold")
        yield fed(preview.auxiliary, pieces)
    legend = f"{SLOT[0]}the text{SLOT[1]}  {READ[0]}what is read{READ[1]}"
    yield Text(legend, style="dim")
    yield ""
    for rule in (*preview.rules, *left_out):
        yield Text(rule)
    if not preview.words:
        yield Text(f"No words: {preview.silent}")
        return
    percent = preview.amount == "probability"
    rows = [(f"{100 * n:.1f} %" if percent else f"{n:.3f}", word) for word, n in preview.words]
    yield table(f">{preview.amount}", "next word" if percent else "word", rows=rows)


def fed(wording: "PreviewedWording", pieces: bool = False) -> "Text":
    """Write what is fed, with marks at the text and at what is read.

    Args:
        wording: as it is fed.
        pieces: write every token apart, with the marks of the vocabulary.
    """
    from rich.text import Text

    stretches = [stretch for slot in wording.slots for stretch in slot]
    opened, shut = (
        {start for start, end in stretches if end > start},
        {end - 1 for _, end in stretches},
    )
    inside = {at for start, end in stretches for at in range(start, end)}
    read, placeholders = set(wording.read), set(wording.placeholders)
    line = Text()
    written = (
        [(at, at + 1, token) for at, (_, token) in enumerate(wording.tokens)]
        if pieces
        else wording.stretches
    )
    for start, end, text in written:
        kind = "placeholder" if start in placeholders else "text" if start in inside else ""
        bare = text if pieces else text.lstrip(" ")
        line.append(text[: len(text) - len(bare)])
        if start in opened:
            line.append(SLOT[0], "bold")
        if start in read and start - 1 not in read:
            line.append(READ[0], "bold cyan")
        line.append(visible(bare, keep="\n"), _STYLES[kind])  # Text drops some characters
        if end - 1 in read and end not in read:
            line.append(READ[1], "bold cyan")
        if end - 1 in shut:
            line.append(SLOT[1], "bold")
        line.append(" " if pieces else "")
    line.rstrip()
    return line


def _count_tokens(wording: "PreviewedWording") -> str:
    text = sum(end - start for slot in wording.slots for start, end in slot)
    return f"{len(wording.tokens)} tokens, {text} of them the text's"
