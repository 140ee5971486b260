"""LightEncoder: queries of the bundled model, read by numpy; all else by the model as torch has it.

A process that asks one query would spend most of its time on importing torch and transformers.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.checkpoints.bundled import BUNDLED_MODEL, BUNDLED_NAME
from embedder.checkpoints.variant import DEFAULT_VARIANT
from embedder.encoders.batch_output import refuse_nan
from embedder.encoders.load import load_from_spec
from embedder.encoders.specs import EncoderSpec, LLMSpec
from embedder.inputs.prompt_facts import prompt_facts
from embedder.inputs.prompt_tokenizer import PromptTokenizer
from embedder.inputs.render import choose_form
from embedder.inputs.text_measure import TextMeasure
from embedder.inputs.vocabulary import TermVocabulary
from embedder.light.llama import LightLlama
from embedder.light.tokenizer import LightTokenizer
from embedder.locks import lock_of
from embedder.models.digests import tokenizer_digest
from embedder.models.loading import LLMOptions
from embedder.models.sparse_rows import to_rows
from embedder.prompts.prompt import Prompt
from embedder.text_encoder import TextEncoder
from embedder.types import Float32Array, Representation, Role, fingerprint_of, list_texts, unit_rows

if TYPE_CHECKING:
    from embedder.models.backbone import Backbone

_UNUSED = ("prepend", "contrast", "filter", "select", "rewrite", "sample")


def load_light(spec: EncoderSpec, options: LLMOptions) -> "LightEncoder | None":
    """Return the light encoder of a spec, or None where only `load_from_spec` can read it.

    Its rows are those of `load_from_spec` to 1e-6, and its fingerprint is the same.
    """
    if not isinstance(spec, LLMSpec) or spec.model != BUNDLED_NAME:
        return None
    plain = spec.variant == DEFAULT_VARIANT and spec.dtype == "float32"
    if not plain or options.device not in ("auto", "cpu", "cpu:0") or not _is_plain(spec.prompt):
        return None
    try:
        return LightEncoder(spec, lambda: load_from_spec(spec, options))
    except ValueError:  # the other way says what is wrong
        return None


class LightEncoder(TextEncoder):
    """An `LLMEncoder` of the bundled model that reads queries without torch, one by one.

    Documents, and whatever else an `LLMEncoder` does, go to one, which is loaded when it is first
    needed.
    """

    def __init__(self, spec: LLMSpec, load: Callable[[], TextEncoder]) -> None:
        """Read the bundled model.

        Args:
            spec: of a plain prompt, see `load_light`.
            load: returns what reads documents.

        Raises:
            ValueError: it cannot be read so.
        """
        self.spec = spec
        dense, sparse = "dense" in spec.reads, "sparse" in spec.reads
        self.prompt = spec.prompt.reading_only(dense=dense, sparse=sparse)
        self._model, self._tokenizer = LightLlama(BUNDLED_MODEL), LightTokenizer(BUNDLED_MODEL)
        form = choose_form(self.prompt, self._tokenizer)
        self._frames = {
            role: tuple(
                PromptTokenizer(template, self.prompt, self._tokenizer)
                for template in form.templates(role)
            )
            for role in Role
        }
        frames = [frame for of_role in self._frames.values() for frame in of_role]
        shape = self._model.shape
        room = min(shape.max_position_embeddings - len(frame) for frame in frames)
        if spec.max_text_tokens > room:
            raise ValueError(f"{spec.model}: a text and its prompt would not fit in the model")
        rules = self.prompt.reading.sparse
        self.table = TermVocabulary(self._tokenizer, shape.vocab_size, rules) if rules else None
        self._counts = Counter(texts=0, tokens=0, truncated=0, without_words=0)
        self._load, self._loading = load, Lock()
        self._full: TextEncoder | None = None
        self._fingerprint = fingerprint_of(
            kind="llm",
            architecture="LlamaForCausalLM",
            weights=self._model.digest,
            tokenizer=tokenizer_digest(self._tokenizer),
            dtype=spec.dtype,
            max_text_tokens=spec.max_text_tokens,
            **prompt_facts(self.prompt, self._frames),
        )

    @property
    def full(self) -> TextEncoder:
        """The encoder with torch."""
        with self._loading:
            self._full = self._full or self._load()
            return self._full

    @property
    def counts(self) -> Mapping[str, int]:
        """As an `LLMEncoder` counts."""
        others = self._full.counts if self._full else {}
        return {name: count + others.get(name, 0) for name, count in self._counts.items()}

    @property
    def backbone(self) -> "Backbone":
        """The model with torch."""
        backbone: Backbone = self.full.backbone  # type: ignore[attr-defined]
        return backbone

    @property
    def measure(self) -> TextMeasure:
        """How long documents are for it, before they are read."""
        measure: TextMeasure = self.full.measure  # type: ignore[attr-defined]
        return measure

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Name sparse columns; the texts are not needed, since a column is a vocabulary id."""
        return {int(term): self._vocabulary.readable(int(term)) for term in terms}

    def columns(self, words: Sequence[str]) -> Iterable[Iterable[int]]:
        """Return the sparse columns that each word stands in, read alone."""
        with lock_of(self._tokenizer):
            return self._vocabulary.allowed(words)

    @property
    def _vocabulary(self) -> TermVocabulary:
        if self.table is None:
            raise ValueError(f"prompt {self.prompt.name!r} reads no sparse rows")
        return self.table

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order; the empty string is legal."""
        role, listed = Role(role), list_texts(texts)
        if role is not Role.QUERY:
            return self.full.encode(listed, role)
        with lock_of(self._tokenizer):
            rows = self._frames[role][0].tokenize(listed, self.spec.max_text_tokens)
            allowed = self.table.allowed(listed) if self.table else []
            self._counts["texts"] += len(rows)
            self._counts["tokens"] += sum(len(row.ids) for row in rows)
            self._counts["truncated"] += sum(row.truncated for row in rows)
            self._counts["without_words"] += sum(len(columns) == 0 for columns in allowed)
        owner = np.arange(len(rows))
        states = [self._model.read(row.ids) for row in rows]
        refuse_nan(owner, states)
        dense = None
        if self.prompt.reading.dense:
            empty = np.zeros((0, self._model.shape.hidden_size), np.float32)
            dense = unit_rows(np.stack(states)) if states else empty
        sparse = None
        if self.table is not None:
            pairs = [
                choose_terms(self._model.logits(state), columns, self.table)
                for state, columns in zip(states, allowed, strict=True)
            ]
            refuse_nan(owner, [weights for _, weights in pairs])
            terms, weights = [one for one, _ in pairs], [other for _, other in pairs]
            sparse = to_rows(terms, weights, self.table.columns, self.table.rules.scale)
        return Representation(dense, sparse, owner)


def choose_terms(
    logits: Float32Array, allowed: NDArray[np.int64], table: TermVocabulary
) -> tuple[NDArray[np.int64], Float32Array]:
    """Keep the strongest terms of one text; see `embedder.models.sparse.select`.

    Args:
        logits: (vocab,).
        allowed: columns of the text's words, increasing; empty where it has none.
        table: the vocabulary and the rules.

    Returns:
        Columns, each once, and their weights; 0 means none.
    """
    rules, weights = table.rules, np.log1p(np.maximum(logits, 0))
    if table.canonical is not None:
        merged = np.zeros_like(weights)
        np.maximum.at(merged, table.canonical, weights)
        weights = merged
    chosen = [_strongest(weights, allowed, rules.top)]
    if not len(allowed):
        chosen.append(_strongest(weights, np.arange(len(weights)), rules.fallback))
    if rules.expansion:
        outside = np.setdiff1d(np.flatnonzero(table.expandable), allowed)
        chosen.append(_strongest(weights, outside, rules.expansion))
    terms = np.concatenate(chosen)
    return terms, weights[terms]


def _strongest(weights: Float32Array, columns: NDArray[np.int64], top: int) -> NDArray[np.int64]:
    """Return the columns with the largest weights; equal ones in their order."""
    order: NDArray[np.int64] = columns[np.argsort(-weights[columns], kind="stable")[:top]]
    return order


def _is_plain(prompt: Prompt) -> bool:
    """Tell whether a prompt is one wording for each role, read at its last token at the top."""
    reading = prompt.reading
    templates = [
        template for form in prompt.forms for role in Role for template in form.templates(role)
    ]
    return (
        prompt.reads_last_tokens_only
        and (reading.layer, reading.norm) == (-1, "top")
        and all(getattr(prompt, name) is None for name in _UNUSED)
        and not prompt.adapt
        and len(templates) == len(Role) * len(prompt.forms)
        and all(template.texts == 1 and not template.chat for template in templates)
    )
