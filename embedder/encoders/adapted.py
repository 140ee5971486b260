"""A language model whose queries are adapted: by soft tokens, by a map of dense rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.batch_output import BatchOutput
from embedder.encoders.llm import WINDOW, LLMEncoder
from embedder.inputs.tokenized import ModelInput, TokenizedText
from embedder.models.anatomy import context_length
from embedder.models.loading import LLMOptions
from embedder.models.soft_prompt import SoftTokens, soft_logits, soft_states
from embedder.prompts.prompt import Prompt
from embedder.prompts.query_adapter import QueryAdapter
from embedder.text_encoder import TextEncoder
from embedder.types import Representation, Role, fingerprint_of, list_texts

if TYPE_CHECKING:
    from embedder.encoders.specs import LLMSpec
    from embedder.models.backbone import Backbone

BATCH = 64  # queries


class AdaptedEncoder(TextEncoder):
    """An LLMEncoder whose queries are adapted; documents are as they were."""

    def __init__(self, inner: LLMEncoder, adaptation: QueryAdapter, named: str) -> None:
        """Take an encoder and what changes its queries.

        Args:
            inner: reads the prompt's words.
            adaptation: what is changed.
            named: as the prompt has it.

        Raises:
            ValueError: soft tokens with a prompt that is not read at its last token, at the top;
                arrays of another width than the model's.
        """
        self.inner, self.adaptation = inner, adaptation
        self.prompt = replace(inner.prompt, adapt=named)
        self.spec: LLMSpec | None = None
        self.backbone, self.options, self.reader = inner.backbone, inner.options, inner.reader
        if adaptation.tokens is not None:
            check_plain(inner)
        _check_widths(inner, adaptation)
        facts = json.loads(inner.fingerprint)
        self._fingerprint = fingerprint_of(**facts, query_adaptation=adaptation.digest)

    @cached_property
    def before_map(self) -> "LLMEncoder | AdaptedEncoder":
        """The encoder that reads the same tokens, and maps no rows."""
        adaptation = self.adaptation
        if not adaptation.maps:
            return self
        if adaptation.tokens is None:
            return self.inner
        named = f"{self.prompt.adapt}-before-map"
        return AdaptedEncoder(self.inner, replace(adaptation, matrix=None, offset=None), named)

    def map_rows(self, rows: Representation) -> Representation:
        """Map dense rows of queries as they are compared with documents."""
        if rows.dense is None or not self.adaptation.maps:
            return rows
        return Representation(self.adaptation.mapped(rows.dense), rows.sparse, rows.owner)

    @property
    def soft_tokens(self) -> int:
        """Soft tokens of each query."""
        tokens = self.adaptation.tokens
        return 0 if tokens is None else tokens.shape[1]

    @property
    def counts(self) -> Mapping[str, int]:
        """As the inner encoder counts; soft tokens are not counted."""
        return self.inner.counts

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Name sparse columns."""
        return self.inner.term_names(terms, texts)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order."""
        role, texts = Role(role), list_texts(texts)
        if role is not Role.QUERY:
            return self.inner.encode(texts, role)
        plain = self.adaptation.tokens is None
        rows = self.inner.encode(texts, role) if plain else self._soft(texts)
        return self.map_rows(rows)

    def _soft(self, texts: Sequence[str]) -> Representation:
        import torch

        parts = []
        for start in range(0, len(texts), WINDOW):
            window = self.inner.prepare(texts[start : start + WINDOW], Role.QUERY)
            order = np.argsort([-text.tokens for text in window], kind="stable")
            batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
            with torch.inference_mode():
                parts.append(self.inner.collect([self._read(window, batch) for batch in batches]))
        return Representation.concatenate(parts or [self.inner.encode([], Role.QUERY)], WINDOW)

    def _read(self, window: list[ModelInput], batch: NDArray[np.int64]) -> BatchOutput:
        import torch

        tokens, router = self.adaptation.tokens, self.adaptation.router
        assert tokens is not None
        rows = [window[at].wordings[0] for at in batch]
        _check_room(self.backbone, [row.ids for row in rows], self.soft_tokens)
        soft = SoftTokens(
            torch.from_numpy(tokens),
            None if router is None else torch.from_numpy(router),
            None if self.adaptation.after is None else ends_of_text(rows),
        )
        logits = None
        if self.inner.table is None:
            states = soft_states(self.backbone, [row.ids for row in rows], soft)
        else:
            states, logits = soft_logits(self.backbone, [row.ids for row in rows], soft)
        hidden = states.float()[None] if self.prompt.reading.dense else None
        answer = BatchOutput(np.arange(len(batch)), hidden, logits)
        return self.inner.keep_terms(window, batch, answer)


def encoder_of(
    backbone: "Backbone", prompt: Prompt, options: LLMOptions
) -> LLMEncoder | AdaptedEncoder:
    """Return the encoder of a prompt, adapted if it says so.

    Raises:
        ValueError: the file that it names cannot be used.
    """
    inner = LLMEncoder(backbone, replace(prompt, adapt=""), options)
    if not prompt.adapt:
        return inner
    return AdaptedEncoder(inner, QueryAdapter.load(prompt.adapt), prompt.adapt)


def ends_of_text(rows: Sequence[TokenizedText]) -> list[int]:
    """Return where the text of each row ends, which soft tokens may follow."""
    return [row.text_spans[-1][-1].stop if row.text_spans else len(row.ids) for row in rows]


def check_plain(encoder: LLMEncoder) -> None:
    """Refuse a prompt that is not one wording read at its last token, at the top.

    Raises:
        ValueError: it is another; says what.
    """
    prompt, reading = encoder.prompt, encoder.prompt.reading
    top = encoder.backbone.depth_of(reading.layer) == len(encoder.backbone.layers)
    extras = (prompt.prepend, prompt.contrast, prompt.filter, prompt.select, prompt.rewrite)
    plain = reading.mode == "first-token" and reading.at_last_token and reading.norm != "never"
    if not (plain and top and reading.attention == "causal" and extras == (None,) * 5):
        raise ValueError(
            f"prompt {prompt.name!r} is not read at its last token at the top, without further "
            "rules; soft tokens and gradients need that"
        )
    if len(encoder.reader.frames[Role.QUERY]) != 1 or not hasattr(
        encoder.backbone.model, "lm_head"
    ):
        raise ValueError("soft tokens and gradients need one wording, and a model with lm_head")


def _check_room(backbone: "Backbone", ids: Sequence[Sequence[int]], soft_tokens: int) -> None:
    """Refuse queries that do not fit in the context once soft tokens stand before them."""
    context = context_length(backbone.model)
    longest = max(len(row) for row in ids)
    if context and longest + soft_tokens > context:
        raise ValueError(
            f"a query takes {longest} tokens in its prompt, and {soft_tokens} soft tokens stand "
            f"beside it, which is over the model's context of {context}; lower max_text_tokens "
            f"by {longest + soft_tokens - context}"
        )


def _check_widths(inner: LLMEncoder, adaptation: QueryAdapter) -> None:
    """Refuse arrays that were made for another model."""
    width = int(inner.backbone.model.get_input_embeddings().weight.shape[1])
    cut = inner.prompt.post.dim if inner.prompt.post is not None else 0
    widths = dict.fromkeys(("soft", "after", "router"), width)
    widths |= dict.fromkeys(("matrix", "offset"), cut or inner.width)
    for name, array in adaptation.arrays.items():
        tokens, router = array.shape[-1:], array.shape[:1]
        sides = {"soft": tokens, "after": tokens, "router": router}.get(name, array.shape)
        if set(sides) != {widths[name]}:
            raise ValueError(
                f"the adaptation's {name} is {array.shape}, and the model's width is "
                f"{widths[name]}: it was made for another model"
            )
