"""Encoders whose prompt can be tuned, and what tuning asks of them, whatever model they are of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from embedder.encoders.adapted import AdaptedEncoder, encoder_of
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.sbert import SbertEncoder
from embedder.inputs.render import choose_form
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import SLOT, PromptVariant, Template
from embedder.remote.encoder import RemoteEncoder
from embedder.types import Encoder, Role
from tuning.search.space import key_of

PromptEncoder = LLMEncoder | AdaptedEncoder | SbertEncoder | RemoteEncoder
BYTES = 4  # of a token, about, where a server keeps its tokenizer to itself


def prompt_of(encoder: PromptEncoder) -> Prompt:
    """Return the prompt that an encoder reads by, in the one form that suits its model.

    A sentence-transformers model or a server without a prompt of ours has what stands around its
    texts by itself as one.
    """
    if isinstance(encoder, LLMEncoder | AdaptedEncoder):
        return replace(encoder.prompt, forms=(encoder.reader.form,))
    if encoder.prompt is None:
        return Prompt("own", (_own_wording(encoder),))
    if isinstance(encoder, SbertEncoder):
        form = choose_form(encoder.prompt, encoder.model.tokenizer)
    else:
        form = next(form for form in encoder.prompt.forms if not form.needs)
    return replace(encoder.prompt, forms=(form,))


def tuned_channels(encoders: Mapping[str, Encoder]) -> dict[str, PromptEncoder]:
    """Return the channels that the first model with a prompt reads: one prompt is tuned for them.

    Raises:
        ValueError: no model with a prompt reads any.
    """
    prompted = {name: each for name, each in encoders.items() if isinstance(each, PromptEncoder)}
    if not prompted:
        raise ValueError(
            f"no model with a prompt reads {', '.join(encoders)}; only prompts can be tuned"
        )
    first = next(iter(prompted.values()))
    return {
        name: each
        for name, each in prompted.items()
        if each is first or (_model_of(each) == _model_of(first) is not None)
    }


def own_prompts(encoder: SbertEncoder) -> Iterator[tuple[str, Prompt]]:
    """Yield what a sentence-transformers model names as its prompts, as wordings of both roles."""
    for name, words in encoder.model.prompts.items():
        if words and SLOT not in words:
            template = (Template(words + SLOT),)
            yield (
                f"the model's prompt {name}",
                Prompt("own", (PromptVariant("", template, template),)),
            )


def with_prompt(encoder: PromptEncoder, prompt: Prompt) -> PromptEncoder:
    """Return the encoder of another prompt on the same model.

    Raises:
        ValueError: the model cannot be read with it.
    """
    if isinstance(encoder, AdaptedEncoder):
        encoder = encoder.inner
    if isinstance(encoder, LLMEncoder):
        return encoder_of(encoder.backbone, prompt, encoder.options)
    return encoder.with_prompt(prompt)


def fed_tokens(encoder: PromptEncoder, texts: Sequence[str], role: Role = Role.QUERY) -> int:
    """Count the tokens that texts are fed as, soft ones among them; of a server about."""
    return sum(fed_lengths(encoder, texts, role))


def fed_lengths(encoder: PromptEncoder, texts: Sequence[str], role: Role = Role.QUERY) -> list[int]:
    """Count the tokens that each text is fed as: arguments as of `fed_tokens`."""
    if isinstance(encoder, SbertEncoder):
        return encoder.fed_lengths(texts, role)
    if isinstance(encoder, RemoteEncoder):
        strings = [encoder.wordings[role].whole(text) for text in texts]
        return [-(-len(string.encode()) // BYTES) for string in strings]
    inputs = encoder.reader.feed(texts, role, encoder.options.max_text_tokens)
    soft = encoder.soft_tokens if isinstance(encoder, AdaptedEncoder) and role is Role.QUERY else 0
    return [text.tokens + soft for text in inputs]


class QueryLengths:
    """How many tokens queries are under prompts; each is cut into tokens once.

    Budgets ask many times before a prompt is scored, and again when its run is shown.
    """

    def __init__(
        self, texts: Mapping[str, str], encoder_of: Callable[[Prompt], PromptEncoder]
    ) -> None:
        """Take the queries by id, and what makes the encoder of a prompt."""
        self._texts, self._encoder_of = texts, encoder_of
        self._known: dict[str, dict[str, int]] = {}  # key of a prompt -> query id -> tokens

    def total(self, prompt: Prompt, query_ids: Sequence[str]) -> int:
        """Count the tokens of queries under a prompt.

        Raises:
            ValueError: the model cannot be read with it.
        """
        known = self._known.get(key_of(prompt))
        if known is None:
            self._encoder_of(prompt)
            known = self._known[key_of(prompt)] = {}
        if missing := [query for query in query_ids if query not in known]:
            texts = [self._texts[query] for query in missing]
            known.update(zip(missing, fed_lengths(self._encoder_of(prompt), texts), strict=True))
        return sum(known[query] for query in query_ids)


def _model_of(encoder: PromptEncoder) -> str | None:
    return encoder.spec.model if encoder.spec else None


def _own_wording(encoder: SbertEncoder | RemoteEncoder) -> PromptVariant:
    query, document = (encoder.wordings[role].whole(SLOT) for role in Role)
    if not document.startswith(SLOT):  # as the model has it: its last space is no part of the text
        document = document.replace(SLOT, "{|}" + SLOT)
    return PromptVariant("", (Template(query),), (Template(document),))
