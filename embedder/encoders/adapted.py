"""What changes query rows beside words: soft tokens before a prompt, a map of dense rows."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.batch_output import BatchOutput
from embedder.encoders.llm import WINDOW, LLMEncoder
from embedder.files.durable import filling
from embedder.inputs.tokenized import ModelInput
from embedder.models.anatomy import context_length
from embedder.models.loading import LLMOptions
from embedder.models.soft_prompt import soft_logits, soft_states
from embedder.prompts.prompt import Prompt
from embedder.text_encoder import TextEncoder
from embedder.types import Float32Array, Representation, Role, fingerprint_of, list_texts, unit_rows

if TYPE_CHECKING:
    from embedder.encoders.specs import LLMSpec
    from embedder.models.backbone import Backbone

BATCH = 64  # queries


@dataclass(frozen=True, slots=True, eq=False)
class QueryAdapter:
    """Arrays that are learned or computed; None where there is no such thing.

    Attributes:
        soft: (experts, m, dim) soft tokens that are fed before everything but the BOS token.
        router: (dim, experts) weighs experts by the mean input embedding of the query.
        matrix: (dim, dim) and `offset` (dim,): a dense row becomes unit(matrix @ row + offset).
        offset: see matrix.
    """

    soft: Float32Array | None = None
    router: Float32Array | None = None
    matrix: Float32Array | None = None
    offset: Float32Array | None = None

    def __post_init__(self) -> None:
        shapes = {name: array.shape for name, array in self.arrays.items()}
        if not shapes:
            raise ValueError("an adaptation adapts something; all of it is None")
        ranks = {"soft": 3, "router": 2, "matrix": 2, "offset": 1}
        if any(len(shape) != ranks[name] for name, shape in shapes.items()) or (
            self.soft is not None and (len(self.soft) > 1) != (self.router is not None)
        ):
            raise ValueError(
                "expected soft (experts, m, dim), router (dim, experts) with several experts, "
                f"matrix (dim, dim), offset (dim,); got {shapes}"
            )
        if not all(np.isfinite(array).all() for array in self.arrays.values()):
            raise ValueError("an adaptation holds numbers that are not finite")

    @property
    def arrays(self) -> dict[str, Float32Array]:
        """What there is, by name."""
        named = {
            "soft": self.soft, "router": self.router, "matrix": self.matrix, "offset": self.offset
        }  # fmt: skip
        return {name: array for name, array in named.items() if array is not None}

    @property
    def digest(self) -> str:
        """16 hex digits of names, shapes and values."""
        digest = hashlib.sha256()
        for name, array in self.arrays.items():
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array, np.float32).tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder: Path) -> str:
        """Write a file into a folder; return "FILE#DIGEST" as a prompt's `adapt` names it."""
        from safetensors.numpy import save_file

        path = folder / f"adapt-{self.digest}.safetensors"
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {name: np.ascontiguousarray(a, np.float32) for name, a in self.arrays.items()}
        with filling(folder) as new:
            save_file(arrays, new / path.name)
        return f"{path.resolve()}#{self.digest}"

    @staticmethod
    def load(named: str) -> "QueryAdapter":
        """Read what `save` returned the name of.

        Raises:
            ValueError: there is no such file, it is damaged, or its content is another.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path, _, digest = named.rpartition("#")
        if not Path(path).is_file():
            raise ValueError(f"the prompt adapts query rows by {path!r}, and there is no such file")
        try:
            adapter = QueryAdapter(
                **{name: array.astype(np.float32) for name, array in load_file(path).items()}
            )
        except (SafetensorError, TypeError) as error:
            raise ValueError(f"{path} is no adaptation: {error}") from error
        if adapter.digest != digest:
            raise ValueError(
                f"{path} holds other numbers ({adapter.digest}) than the prompt's {digest}"
            )
        return adapter

    def mapped(self, dense: Float32Array) -> Float32Array:
        """Map (n, dim) unit rows."""
        if self.matrix is not None:
            dense = dense @ self.matrix.T
        if self.offset is not None:
            dense = dense + self.offset
        return unit_rows(dense)


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
        if adaptation.soft is not None:
            check_plain(inner)
        _check_widths(inner, adaptation)
        facts = json.loads(inner.fingerprint)
        self._fingerprint = fingerprint_of(**facts, query_adaptation=adaptation.digest)

    @property
    def soft_tokens(self) -> int:
        """Soft tokens before each query."""
        return 0 if self.adaptation.soft is None else self.adaptation.soft.shape[1]

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
        rows = self.inner.encode(texts, role) if self.adaptation.soft is None else self._soft(texts)
        if rows.dense is None or (
            self.adaptation.matrix is None and self.adaptation.offset is None
        ):
            return rows
        return Representation(self.adaptation.mapped(rows.dense), rows.sparse, rows.owner)

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

        soft, router = self.adaptation.soft, self.adaptation.router
        assert soft is not None
        tensors = [None if array is None else torch.from_numpy(array) for array in (soft, router)]
        ids = [window[at].wordings[0].ids for at in batch]
        _check_room(self.backbone, ids, self.soft_tokens)
        logits = None
        if self.inner.table is None:
            states = soft_states(self.backbone, ids, tensors[0], tensors[1])
        else:
            states, logits = soft_logits(self.backbone, ids, tensors[0], tensors[1])
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
            f"before it, which is over the model's context of {context}; lower max_text_tokens "
            f"by {longest + soft_tokens - context}"
        )


def _check_widths(inner: LLMEncoder, adaptation: QueryAdapter) -> None:
    """Refuse arrays that were made for another model."""
    width = int(inner.backbone.model.get_input_embeddings().weight.shape[1])
    widths = {"soft": width, "router": width, "matrix": inner.width, "offset": inner.width}
    for name, array in adaptation.arrays.items():
        sides = {"soft": array.shape[-1:], "router": array.shape[:1]}.get(name, array.shape)
        if set(sides) != {widths[name]}:
            raise ValueError(
                f"the adaptation's {name} is {array.shape}, and the model's width is "
                f"{widths[name]}: it was made for another model"
            )
