"""Conversations: turns, and the token ids after which a model answers them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from embedder.inputs.chat_template import render_turns
from embedder.inputs.render import leading_specials, text_ids
from embedder.inputs.text_tokens import TextTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BLANK_LINE = "\n\n"  # parts the exchanges of a plain transcript, and ends its answer
_SENTINEL = "lastwordanswerslot"  # one word that no chat template changes
_ORDER = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


def prompt_ids(turns: Sequence[Turn], tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Return the ids after which the model answers, BOS first where the tokenizer puts one.

    Special tokens act where the chat template writes them; what a turn spells is text. A
    tokenizer with a chat template renders through it. Without one the turns are a transcript: the
    user's text, a new line, the assistant's, a blank line.

    Raises:
        ValueError: the turns are not an optional system turn, then user and assistant in turn,
            the user last; or the chat template refuses them.
    """
    roles = [turn.role for turn in turns]
    others = roles[1:] if roles[:1] == ["system"] else roles
    if not len(others) % 2 or any(role != _ORDER[at % 2] for at, role in enumerate(others)):
        raise ValueError(
            "a conversation is an optional system turn, then user and assistant in turn, with "
            f"the user last; got {', '.join(roles) or 'nothing'}"
        )
    cutter = TextTokenizer(tokenizer)
    turns = [replace(turn, text=cutter.disguise(turn.text)) for turn in turns]
    if tokenizer.chat_template:
        text = _render(turns, tokenizer)
    else:
        text = "".join(t.text + ("\n" if t.role == "user" else BLANK_LINE) for t in turns)
    ids = cutter.encode([cutter.runs(text)])[0].ids
    leading = list(leading_specials(tokenizer))
    return ids if ids[: len(leading)] == leading else [*leading, *ids]


def _render(turns: Sequence[Turn], tokenizer: "PreTrainedTokenizerBase") -> str:
    return render_turns(tokenizer, [(turn.role, turn.text) for turn in turns], BLANK_LINE)


def ends(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Return the ids that end an answer: EOS, and what the chat template puts after a turn."""
    known = getattr(model.generation_config, "eos_token_id", None)
    ids = [*(known if isinstance(known, list) else [known]), tokenizer.eos_token_id]
    if tokenizer.chat_template:  # fine-tuned models often forget to say that it ends an answer
        answered = _render([Turn("user", "a"), Turn("assistant", _SENTINEL)], tokenizer)
        after = text_ids(tokenizer, answered.rpartition(_SENTINEL)[2].lstrip())
        special = tokenizer.added_tokens_decoder
        ids += [token for token in after[:1] if token in special and special[token].special]
    return sorted({end for end in ids if isinstance(end, int)})
