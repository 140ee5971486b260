"""What a prompt looks like to a model: tokens fed, positions and block read, words it says."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from embedder.encoders.llm import LLMEncoder
from embedder.inputs.render import leading_specials
from embedder.inputs.tokenized import TokenizedText
from embedder.inspect.preview_words import words_of
from embedder.inspect.readable import cut_stretches, join_tokens
from embedder.models.pooling import read_positions
from embedder.prompts.method_rules import ContrastRules, PrependingRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.types import Role

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PLACEHOLDER = "<PST>"  # as Token Prepending calls it

_SPANS = {"prompt": "the whole prompt", "text": "the text", "copy": "the second copy of the text"}


@dataclass(frozen=True, slots=True)
class PreviewedWording:
    """One wording as a model is fed it.

    Attributes:
        tokens: (id, string) of every token, in order; a placeholder is called "<PST>".
        slots: for each slot of the text, the stretches (first, one past the last) of its tokens.
        placeholders: positions of placeholders, increasing.
        read: positions whose answer is read, increasing; none of an auxiliary prompt.
        stretches: (first, one past the last, text) of the tokens in order, as a person would
            write them; cut where the text, a placeholder or what is read begins or ends.
    """

    tokens: tuple[tuple[int, str], ...]
    slots: tuple[tuple[tuple[int, int], ...], ...]
    placeholders: tuple[int, ...]
    read: tuple[int, ...]
    stretches: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """One text through one prompt and model.

    Attributes:
        form: name of the prompt's form that fits the model.
        wordings: every wording whose state is read.
        auxiliary: what contrastive prompting subtracts, or None.
        blocks: blocks below the state that is read; 0 for the embeddings.
        depth: blocks of the model.
        rules: what is read, and what is done on the way, one sentence each.
        words: (word of the text, amount), strongest first; see `amount`. A word has the largest
            amount of its pieces.
        amount: "weight" in the sparse row, or "probability" of being said next, in a prompt
            without sparse rows.
        silent: why there are no words, or "".
    """

    form: str
    wordings: tuple[PreviewedWording, ...]
    auxiliary: PreviewedWording | None
    blocks: int
    depth: int
    rules: tuple[str, ...]
    words: tuple[tuple[str, float], ...]
    amount: str
    silent: str


def preview_prompt(
    encoder: LLMEncoder, text: str, role: Role, top: int = 10, pieces: bool = False
) -> Preview:
    """Say what is fed for a text and what comes out.

    Args:
        encoder: of the prompt.
        text: what is put into it.
        role: side of the prompt.
        top: words.
        pieces: give the tokens that the model knows in place of the text's words.

    Raises:
        ValueError: a rule of the prompt does not fit the model, or the model gives NaN.
    """
    inputs, reading = encoder.fed(text, role), encoder.prompt.reading
    rules = [*_rules(encoder, role)]
    if reading.pool == "mean" and not all(
        len(read_positions(row, reading)) for row in inputs.wordings
    ):
        rules.append("The copy has no tokens to read, so the row is zeros.")
    if any(row.truncated for row in inputs.wordings):
        rules.append(f"The text was cut at {encoder.options.max_text_tokens} tokens.")
    words, silent = words_of(encoder, text, role, top, pieces), ""
    if not words:
        silent = _silence(reading)
    return Preview(
        form=encoder.reader.form.name,
        wordings=tuple(_wording(encoder, row, reading) for row in inputs.wordings),
        auxiliary=None if inputs.auxiliary is None else _wording(encoder, inputs.auxiliary, None),
        blocks=encoder.backbone.depth_of(reading.layer),
        depth=len(encoder.backbone.layers),
        rules=tuple(rules),
        words=tuple(words),
        amount="weight" if reading.sparse else "probability",
        silent=silent,
    )


def shortened(prompt: Prompt) -> tuple[Prompt, tuple[str, ...]]:
    """Leave out what needs more than one text and its model, and say what that is."""
    notes = []
    if prompt.rewrite is not None:
        notes.append("[rewrite] averages this with rewritings of the text, which are not shown.")
    if prompt.sample is not None and not prompt.examples:
        notes.append(
            f"[sample] puts {prompt.sample.count} texts of the collection before the text, "
            "which are not shown."
        )
    if prompt.adapt:
        notes.append("adapt changes the rows of queries beside words, which is not shown.")
    return replace(prompt, rewrite=None, sample=None, adapt=""), tuple(notes)


def _wording(
    encoder: LLMEncoder, row: TokenizedText, reading: ReadoutRules | None
) -> PreviewedWording:
    placeholder = encoder.reader.frames[Role.DOCUMENT][0].placeholder  # no id of the tokenizer's
    tokenizer = encoder.backbone.tokenizer
    name = tokenizer.convert_ids_to_tokens
    names = [PLACEHOLDER if token == placeholder else str(name(token)) for token in row.ids]
    slots = tuple(tuple((span.start, span.stop) for span in slot) for slot in row.text_spans)
    placeholders = tuple(at for at, token in enumerate(row.ids) if token == placeholder)
    read_at = tuple(read_positions(row, reading).tolist()) if reading is not None else ()
    borders = [end for slot in slots for span in slot for end in span]
    borders += [at + step for at in placeholders for step in (0, 1)]
    borders += {at for at in read_at} ^ {at + 1 for at in read_at}
    return PreviewedWording(
        tokens=tuple(zip(row.ids, names, strict=True)),
        slots=slots,
        placeholders=placeholders,
        read=read_at,
        stretches=tuple(
            (start, end, _text(tokenizer, names[start:end], start in placeholders))
            for start, end in cut_stretches(borders, len(names))
        ),
    )


def _text(tokenizer: "PreTrainedTokenizerBase", names: list[str], placeholder: bool) -> str:
    return f" {PLACEHOLDER}" if placeholder else join_tokens(tokenizer, names)


def _rules(encoder: LLMEncoder, role: Role) -> Iterator[str]:
    """Say what is read and what is done on the way, with depths as they are in this model."""
    prompt, reading = encoder.prompt, encoder.prompt.reading
    yield f"Read: {_describe_position(reading)}, {_describe_layer(encoder)}."
    yield _specials(encoder, role)
    if prompt.text_specials == "control":
        yield "Special tokens that a text spells act (text_specials = control)."
    if reading.attention == "bidirectional":
        yield "Every token sees all of the prompt (read.attention = bidirectional)."
    if reading.mode != "first-token":
        yield (
            f"Then up to {reading.generated_tokens} tokens are generated, and read as well "
            f"(read.mode = {reading.mode})."
        )
    if prompt.prepend is not None:
        yield _prepended(encoder, prompt.prepend)
    if prompt.contrast is not None:
        yield _contrasted(encoder, prompt.contrast)
    if prompt.select is not None:
        yield (
            "[select] Of these positions, those are averaged that the last token of "
            f"{prompt.select.ask!r} after each chunk looks at most."
        )
    if prompt.filter is not None:
        yield (
            f"[filter] A row keeps {encoder.width} directions of the middle of the LM head's "
            "spectrum."
        )
    wordings = len(encoder.reader.frames[role])
    if wordings > 1:
        first = ", each brought to unit length first" if reading.unit else ""
        yield f"The states of the {wordings} wordings are averaged{first}."


def _specials(encoder: LLMEncoder, role: Role) -> str:
    """Say which special tokens are put before the wording, and by which rule."""
    if encoder.prompt.specials == "none":
        return "Nothing is put before the wording (specials = none)."
    tokenizer = encoder.backbone.tokenizer
    own = list(leading_specials(tokenizer))
    names = " ".join(str(name) for name in tokenizer.convert_ids_to_tokens(own))
    if not own:
        return "This tokenizer puts nothing before the wording (specials = model)."
    if all(frame.lead for frame in encoder.reader.frames[role]):
        return f"The tokenizer's own {names} stands first (specials = model)."
    return f"The wording begins with the tokenizer's own {names}, which is not put first again."


def _describe_position(reading: ReadoutRules) -> str:
    if reading.at_last_token:
        return "the last token"
    span = _SPANS[reading.span]
    if reading.pool == "last":
        return f"the last token of {span}"
    if reading.pool == "max":
        return f"the largest ln(1 + relu(logit)) over the tokens before those of {span}"
    return f"the mean over {span}"


def _describe_layer(encoder: LLMEncoder) -> str:
    """Say which block is read, as "layer 0.84 = block 2 of 2, after the final norm"."""
    reading, depth = encoder.prompt.reading, len(encoder.backbone.layers)
    if reading.pool == "max":
        return "at the LM head"
    blocks = encoder.backbone.depth_of(reading.layer)
    block = f"block {blocks} of {depth}" if blocks else "the embeddings"
    normed = reading.norm == "always" or (reading.norm == "top" and blocks == depth)
    norm = f", {'after' if normed else 'before'} the final norm" if encoder.backbone.top else ""
    return f"layer {reading.layer} = {block}{norm}"


def _prepended(encoder: LLMEncoder, rule: PrependingRules) -> str:
    from embedder.methods.token_prepending import TokenPrepending

    frame = encoder.reader.frames[Role.DOCUMENT][0]
    blocks = TokenPrepending(encoder.backbone, rule, [], frame.placeholder).blocks
    before = f"block {blocks.start + 1}"
    if len(blocks) > 1:
        before = f"blocks {blocks.start + 1} to {blocks.stop}"
    source = "the last token's state"
    if "sentences" in frame.template.kinds:
        source = "the state at the end of its sentence"
    return (
        f"[prepend] Before {before} of {len(encoder.backbone.layers)}, "
        f"{PLACEHOLDER} takes {source} (start {rule.start}, exit {rule.exit})."
        f"{_too_high(encoder, blocks.start)}"
    )


def _contrasted(encoder: LLMEncoder, rule: ContrastRules) -> str:
    length = ", with the length of the first" if rule.restore else ""
    return (
        f"[contrast] In block {encoder.reader.block + 1} of {len(encoder.backbone.layers)}, the "
        f"last token's attention output becomes {rule.strength:g} x its difference from that of "
        f"the auxiliary prompt{length} (block {rule.block})."
        f"{_too_high(encoder, encoder.reader.block)}"
    )


def _too_high(encoder: LLMEncoder, block: int) -> str:
    """Say so where a block, counted from 0, lies above the state that is read."""
    above = block >= encoder.backbone.depth_of(encoder.prompt.reading.layer)
    return " That is above the block that is read, and changes no dense row." if above else ""


def _silence(reading: ReadoutRules) -> str:
    if reading.sparse is not None:
        return "the model gives no word of the text any weight."
    if reading.attention == "bidirectional":
        return "a bidirectional model is not about to say a word."
    return f"a word is said after the last token; here the row is {_describe_position(reading)}."
