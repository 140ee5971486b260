"""A prompt's wording for sentence-transformers models, and what they cannot follow of a prompt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embedder.checkpoints.variant import DEFAULT_VARIANT, ModelVariant
from embedder.files.name_lists import suggest_names
from embedder.inputs.render import choose_form, leading_specials, rendered, text_ids
from embedder.prompts.plain_rules import check_plain, refuse_rules
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import SLOT, Template, TemplatePart
from embedder.types import Role

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer, SparseEncoder
    from transformers import PreTrainedTokenizerBase

# Where a model keeps its own prompts, as its encode_query and encode_document look for them.
_OWN = {Role.QUERY: ("query",), Role.DOCUMENT: ("document", "passage", "corpus")}
_LIBRARY = "sentence-transformers"


@dataclass(frozen=True, slots=True)
class SbertWording:
    """What stands around a text.

    Attributes:
        prompt: given to sentence-transformers as `prompt`; models such as INSTRUCTOR and GritLM
            read it and leave it out of what they pool.
        joint: spaces between the two. They are fed with the text, since most tokenizers join
            them to its first word, which would be taken for a part of the prompt.
        after: appended to every text.
    """

    prompt: str = ""
    joint: str = ""
    after: str = ""

    def body(self, text: str) -> str:
        """Return what is given beside the prompt."""
        return self.joint + text + self.after

    def whole(self, text: str) -> str:
        """Return the string that the tokenizer sees."""
        return self.prompt + self.body(text)

    def shortened(self, text: str, limit: int, tokenizer: "PreTrainedTokenizerBase") -> str:
        """Cut a text so that what comes after it is still within `limit` tokens."""
        tokenized = tokenizer(
            text,
            add_special_tokens=False,
            return_offsets_mapping=bool(tokenizer.is_fast),
            verbose=False,
        )
        body, length = text, len(tokenized.input_ids)
        while length and (over := token_counts([self.whole(body)], tokenizer)[0] - limit) > 0:
            length = max(0, length - over)
            if not tokenizer.is_fast:
                body = str(tokenizer.decode(tokenized.input_ids[:length]))
            else:
                body = text[: tokenized.offset_mapping[length - 1][1]] if length else ""
        return body


def own_wordings(
    model: "SentenceTransformer | SparseEncoder", variant: ModelVariant = DEFAULT_VARIANT
) -> Mapping[Role, SbertWording]:
    """Return the prompts that a model's configuration names, or those that a variant chooses.

    Raises:
        ValueError: the model has no prompt of a name.
    """
    default = model.default_prompt_name or ""
    wordings = {}
    for role, names in _OWN.items():
        chosen = variant.prompt_name(role is Role.QUERY)
        if chosen and chosen not in model.prompts:
            names_of_it = ", ".join(model.prompts) or "none"
            hint = suggest_names(chosen, model.prompts, f"it has {names_of_it}")
            raise ValueError(f"the model carries no prompt {chosen!r}; {hint}")
        known = (name for name in (chosen, *names, default) if name in model.prompts)
        wordings[role] = SbertWording(next((model.prompts[name] for name in known), ""))
    return wordings


def sbert_wordings(
    prompt: Prompt, model: "SentenceTransformer | SparseEncoder"
) -> Mapping[Role, SbertWording]:
    """Return a prompt's wording for each role.

    Raises:
        ValueError: the prompt asks for more than a wording, or for another pooling than the
            model has.
    """
    form = choose_form(prompt, model.tokenizer)
    wordings = {}
    for role in Role:
        templates = form.templates(role)
        check_plain(prompt, templates, _LIBRARY, ("bos", "eos"))
        wordings[role] = _wording(templates[0], prompt, model.tokenizer)
    if any(wording.prompt for wording in wordings.values()):
        refuse_rules(prompt, _in_pooling(prompt, model), _LIBRARY)
    return wordings


def token_counts(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Count the tokens of whole strings, the tokenizer's own special tokens included."""
    tokenized = tokenizer(list(texts), truncation=False, add_special_tokens=True, verbose=False)
    return [len(ids) for ids in tokenized.input_ids]


def _wording(
    template: Template, prompt: Prompt, tokenizer: "PreTrainedTokenizerBase"
) -> SbertWording:
    pieces = rendered(template, prompt, tokenizer)
    at = next(place for place, part in enumerate(pieces) if part.kind == "text")
    before = _joined(pieces[:at], tokenizer)
    after = _joined(pieces[at + 1 :], tokenizer)
    first, last = _own_specials(tokenizer)
    missing = prompt.specials == "none" and not before.startswith(first)
    rule = f"specials = none, since its tokenizer puts {first} before every text"
    refuse_rules(prompt, [(missing, rule)], _LIBRARY)
    before, after = before.removeprefix(first), after.removesuffix(last)
    # {|} right before the text says that the spaces before it are the prompt's.
    spoken = before if f"{{|}}{SLOT}" in template.text else before.rstrip(" ")
    return SbertWording(spoken, before[len(spoken) :], after)


def _joined(pieces: Sequence[TemplatePart], tokenizer: "PreTrainedTokenizerBase") -> str:
    if any(part.kind == "eos" for part in pieces) and not tokenizer.eos_token:
        raise ValueError("the prompt ends in {eos}, and the tokenizer has no such token")
    return "".join(str(tokenizer.eos_token) if part.kind == "eos" else part.text for part in pieces)


def _own_specials(tokenizer: "PreTrainedTokenizerBase") -> tuple[str, str]:
    """Return what the tokenizer itself puts before and after a text, e.g. "<s>" and "</s>"."""
    first = len(leading_specials(tokenizer))
    full = list(tokenizer("a", add_special_tokens=True, verbose=False).input_ids)
    tokens = tokenizer.convert_ids_to_tokens(full)
    end = first + len(text_ids(tokenizer, "a"))
    return "".join(tokens[:first]), "".join(tokens[end:])


def _in_pooling(
    prompt: Prompt, model: "SentenceTransformer | SparseEncoder"
) -> list[tuple[bool, str]]:
    """Find what the model's own pooling contradicts; models with code of their own do not say."""
    reading = prompt.reading
    poolings: list[Any] = [part for part in model.modules() if hasattr(part, "include_prompt")]
    modes = {
        mode
        for part in poolings
        for mode in (
            [part.pooling_mode] if isinstance(part.pooling_mode, str) else part.pooling_mode
        )
    }
    return [
        (
            "message" in getattr(model[0], "modality_config", ()),
            "a wording where the model puts texts into a chat of its own",
        ),
        (
            reading.span == "text" and any(part.include_prompt for part in poolings),
            "read.span = text with this model, whose Pooling has include_prompt = true",
        ),
        (
            reading.pool == "mean"
            and bool(modes)
            and not any(mode.startswith("mean") for mode in modes),
            f"read.pool = mean with this model, which pools {', '.join(sorted(modes))}",
        ),
    ]
