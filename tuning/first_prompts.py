"""What every search for prompts tries first, and what it may change."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from embedder.encoders.adapted import AdaptedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import SLOT, Template, template_parts
from embedder.types import Role
from eval.fusion.sweep import Setting, grid
from tuning.objectives.prompt_encoder import PromptEncoder, prompt_of
from tuning.search.space import Around, Space
from tuning.search.types import FIRST_PROMPTS, Proposal

ENSEMBLE = 4  # wordings whose states are averaged
FUSION_STEP = 0.2
QUERY, DOCUMENT, BOTH, READING = "query", "document", "both", "reading"
KINDS = (QUERY, DOCUMENT, BOTH, READING)
_ROLES = {QUERY: (Role.QUERY,), DOCUMENT: (Role.DOCUMENT,), BOTH: (Role.QUERY, Role.DOCUMENT)}


def read_kinds(text: str) -> list[str]:
    """Read what is tuned: some of KINDS with commas.

    Raises:
        ValueError: anything else.
    """
    kinds = [kind.strip() for kind in text.split(",")]
    if not set(kinds) <= set(KINDS) or len(set(kinds)) != len(kinds):
        raise ValueError(f"what is tuned is some of {', '.join(KINDS)}, each once; got {text!r}")
    return kinds


def space_of(
    encoder: PromptEncoder, kinds: Sequence[str], channels: Sequence[str], fusion: str
) -> Space:
    """Say what may be changed of the prompt that an encoder reads by.

    Args:
        encoder: of the default prompt.
        kinds: some of KINDS.
        channels: that are fused.
        fusion: by which they are fused now.

    Raises:
        ValueError: the prompt cannot be tuned.
    """
    default = replace(_with_task(prompt_of(encoder)), fusion=fusion)
    roles = tuple(dict.fromkeys(role for kind in kinds for role in _ROLES.get(kind, ())))
    documents = Role.DOCUMENT in roles
    if documents and not isinstance(encoder, LLMEncoder | AdaptedEncoder):
        raise ValueError(
            "documents' words are tuned for language models; of other models tune query or reading"
        )
    genes = _genes(encoder, channels, documents) if READING in kinds else {}
    return Space(default, roles, genes)


def _with_task(prompt: Prompt) -> Prompt:
    """Put the instruction in the place of {task} in queries, which are read the same by it."""
    if any(part.kind != "literal" for part in template_parts(prompt.task)):
        return prompt
    form = prompt.forms[0]
    query = tuple(
        replace(template, text=template.text.replace("{task}", prompt.task))
        for template in form.query
    )
    return replace(prompt, forms=(replace(form, query=query),))


def _genes(
    encoder: PromptEncoder, channels: Sequence[str], documents: bool
) -> dict[str, tuple[Any, ...]]:
    """Rules of reading; all but the fusion change documents as well as queries."""
    genes: dict[str, tuple[Any, ...]] = {}
    if len(channels) > 1:
        genes["fusion"] = tuple(fusion_settings(channels))
    if documents and isinstance(encoder, LLMEncoder | AdaptedEncoder):
        depth = len(encoder.backbone.layers)
        genes["layer"] = (-1, *(-at for at in range(2, min(depth, 8) + 1)))
        if encoder.prompt.reading.sparse is not None:
            genes["sparse_top"] = (16, 32, 64, 128, 256)
        if any(form.query[0].has_placeholder for form in encoder.prompt.forms):
            genes["prepend"] = (None, *((1, stop) for stop in range(2, depth + 1)))
    return genes


def fusion_settings(channels: Sequence[str]) -> dict[str, Setting]:
    """Return the fusions that are tuned, by the text that a prompt names each by."""
    settings = grid(len(channels), ["minmax"], FUSION_STEP)
    return {setting.text(channels): setting for setting in settings}


def first_proposals(space: Space, others: Sequence[tuple[str, Prompt]]) -> tuple[Proposal, ...]:
    """Return the default, the empty prompt, others' wordings, and the mean of several.

    Args:
        space: what may be changed.
        others: (what it is called, prompt): the model's own, the user's, the library's. Only the
            words around the text are taken of them.
    """
    proposals = [Proposal(space.default, FIRST_PROMPTS, "default")]
    if not space.roles:
        return tuple(proposals)
    proposals.append(Proposal(space.empty(), FIRST_PROMPTS, "no words at all"))
    for name, prompt in others:
        words = worded_as(space, prompt)
        if words is not None:
            proposals.append(Proposal(words, FIRST_PROMPTS, name))
            proposals += _beside(space, words, name)
    unique: dict[object, Proposal] = {}
    for proposal in proposals:
        unique.setdefault(proposal.prompt.forms[0].all, proposal)
    proposals = list(unique.values())
    return (*proposals, *_ensemble(space, proposals))


def worded_as(space: Space, prompt: Prompt) -> Prompt | None:
    """Take the words around the text from another prompt; None where it has none to take.

    Of a chat the user's turn and how the answer begins; {task} is the prompt's.
    """
    forms = [form for form in prompt.forms if form.needs in ("", "chat")]
    for form in sorted(forms, key=lambda form: form.needs):  # plain ones first
        words = {}
        for role in space.roles:
            chat = space.default.forms[0].templates(role)[0].chat
            around = _words_around(form.templates(role)[0], prompt.task, chat)
            if around is not None:
                words[role] = around
        if len(words) == len(space.roles):
            return space.reworded(space.default, words)
    return None


def _words_around(template: Template, task: str, chat: bool) -> Around | None:
    """Return the words around a text, for a chat or a plain prompt; None of a text read twice."""
    text = template.text
    if template.chat and template.prefill and not chat:
        text = f"{text}\n{template.prefill}"
    for slot, words in (("{task}", task), ("{bos}", ""), ("{eos}", ""), ("{|}", "")):
        text = text.replace(slot, words)
    if {part.kind for part in template_parts(text)} - {"text", "literal"} or text.count(SLOT) != 1:
        return None
    return Around(*text.split(SLOT))


def _beside(space: Space, worded: Prompt, name: str) -> Iterator[Proposal]:
    """Put a wording in the place of the first of the default's, whose states are averaged."""
    form = space.default.forms[0]
    several = [role for role in space.roles if len(form.templates(role)) > 1]
    for role in several:
        new = worded.forms[0].templates(role)[0]
        form = replace(form, **{role.value: (new, *form.templates(role)[1:])})  # type: ignore[arg-type]
    if several:
        prompt = replace(space.default, forms=(form,))
        yield Proposal(prompt, FIRST_PROMPTS, f"{name}, beside the default's other wording")


def _ensemble(space: Space, proposals: Sequence[Proposal]) -> Iterator[Proposal]:
    """Average the states of several wordings (CuPL, Pratt et al., ICCV 2023)."""
    empty = space.empty()
    worded = [each.prompt for each in proposals if each.prompt != empty][:ENSEMBLE]
    if len(worded) < 2 or space.roles != (Role.QUERY,):
        return
    form = space.default.forms[0]
    several = tuple(each.forms[0].query[0] for each in worded)
    prompt = replace(space.default, forms=(replace(form, query=several),))
    yield Proposal(prompt, FIRST_PROMPTS, f"mean of {len(several)} wordings", prompted=False)
