"""LLMEncoder: prompt + backbone + sparsify; one forward pass gives dense and sparse rows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.batch_output import (
    BatchOutput,
    in_order,
    refuse_nan,
    to_host,
)
from embedder.inputs.prompt_facts import prompt_facts
from embedder.inputs.render import text_ids
from embedder.inputs.text_measure import TextMeasure
from embedder.inputs.tokenized import ModelInput
from embedder.locks import lock_of
from embedder.models import sparse as sparsify
from embedder.models.anatomy import context_length
from embedder.models.batching import AdaptiveBudget
from embedder.models.digests import weights_digest
from embedder.models.loading import LLMOptions
from embedder.models.sparse_rows import to_rows
from embedder.models.workers import RunBatch
from embedder.progress import tell_encoded
from embedder.prompts.prompt import Prompt
from embedder.text_encoder import TextEncoder
from embedder.types import Representation, Role, fingerprint_of, list_texts, unit_rows

if TYPE_CHECKING:
    from embedder.encoders.reader import PromptReader
    from embedder.encoders.specs import LLMSpec
    from embedder.models.backbone import Backbone

WINDOW = 256  # texts that are sorted by length together, while the next are tokenised


class LLMEncoder(TextEncoder):
    """Any causal LM as a dense and sparse encoder, read at its last token.

    A text that is longer than the limit is cut and counted in `counts["truncated"]`; the words
    it may be described with are taken from the whole of it, as in PromptReps (Zhuang et al.,
    EMNLP 2024).
    """

    def __init__(self, backbone: "Backbone", prompt: Prompt, options: LLMOptions) -> None:
        from embedder.encoders.reader import PromptReader

        _check_ready(prompt)
        self.backbone = backbone
        self.prompt = prompt
        self.spec: LLMSpec | None = None  # `load_encoder` knows the model's name
        rules = prompt.reading.sparse
        with lock_of(backbone.tokenizer):
            self.reader = PromptReader(backbone, prompt)
            self.options = _within_context(options, self.reader)
            self.table = backbone.vocabulary(rules) if rules else None
        self.room = AdaptiveBudget(self.options.token_budget)
        self._counts = Counter(texts=0, tokens=0, truncated=0, without_words=0)
        with lock_of(backbone.tokenizer):
            self._fingerprint = self._describe()

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order; the empty string is legal."""
        windows = [self.collect(done) for done in self._windows(texts, role)]
        return Representation.concatenate(windows, WINDOW)

    def states(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Return what is read of each text before it gets unit length, (n, dim) float32.

        Raises:
            ValueError: the prompt reads no dense rows, or several for one text.
        """
        averaged: NDArray[np.float32] = self.states_each(texts, role).mean(axis=0)
        return averaged

    def states_each(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Return the states of each wording of the prompt apart, (wordings, n, dim) float32.

        Wordings that differ after the text only are read in one go: prefix and text once, and
        every ending after them.
        """
        if not self.prompt.reading.dense or self.prompt.reading.mode.endswith("-multi"):
            raise ValueError(f"prompt {self.prompt.name!r} does not read one dense row per text")
        parts = [in_order(done) for done in self._windows(texts, role)]
        hidden = [states for _, states in parts if states is not None]
        empty = np.zeros((len(self.reader.frames[role]), 0, self.width), np.float32)
        return np.concatenate(hidden or [empty], axis=1)

    @property
    def width(self) -> int:
        """Width of a dense row."""
        return self.reader.width

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Name sparse columns; the texts are not needed, since a column is a vocabulary id."""
        if self.table is None:
            raise ValueError(f"prompt {self.prompt.name!r} reads no sparse rows")
        return {int(term): self.table.readable(int(term)) for term in terms}

    def columns(self, words: Sequence[str]) -> Iterable[Iterable[int]]:
        """Return the sparse columns that each word stands in, read alone."""
        if self.table is None:
            raise ValueError(f"prompt {self.prompt.name!r} reads no sparse rows")
        with lock_of(self.backbone.tokenizer):
            return self.table.allowed(words)

    def fed(self, text: str, role: Role) -> ModelInput:
        """Return the tokens that a text is fed as, cut at the limit, with their marks."""
        return self.reader.feed([text], role, self.options.max_text_tokens)[0]

    @property
    def measure(self) -> TextMeasure:
        """How long documents are for it, before they are read."""

        def count_long(texts: Sequence[str], limit: int) -> list[bool]:
            return [text.truncated for text in self.reader.feed(texts, Role.DOCUMENT, limit)]

        return TextMeasure(self.backbone.tokenizer, self.options.max_text_tokens, count_long)

    def _windows(self, texts: Sequence[str], role: Role) -> Iterator[list[BatchOutput]]:
        role, listed = Role(role), list_texts(texts)
        windows = [listed[at : at + WINDOW] for at in range(0, len(listed), WINDOW)]
        for window in self._prepared(windows or [[]], role):
            yield self._read_window(window, role)

    def _prepared(self, windows: list[list[str]], role: Role) -> Iterator[list[ModelInput]]:
        """Tokenise the next window while the model runs on this one."""
        if len(windows) == 1:
            yield self.prepare(windows[0], role)
            return
        with ThreadPoolExecutor(max_workers=1) as pool:
            coming = pool.submit(self.prepare, windows[0], role)
            for following in windows[1:]:
                ready = coming.result()
                coming = pool.submit(self.prepare, following, role)
                yield ready
            yield coming.result()

    def prepare(self, texts: Sequence[str], role: Role) -> list[ModelInput]:
        """Tokenise at most WINDOW texts, find the columns they may use, and count them."""
        with lock_of(self.backbone.tokenizer):
            inputs = self.reader.feed(texts, role, self.options.max_text_tokens)
            allowed = self.table.allowed(texts) if self.table else []
            self._counts["texts"] += len(texts)
            self._counts["tokens"] += sum(text.tokens for text in inputs)
            self._counts["truncated"] += sum(text.truncated for text in inputs)
            self._counts["without_words"] += sum(len(columns) == 0 for columns in allowed)
        if not self.table:
            return inputs
        return [
            replace(text, columns=columns) for text, columns in zip(inputs, allowed, strict=True)
        ]

    def _read_window(self, window: list[ModelInput], role: Role) -> list[BatchOutput]:
        def choose(waiting: list[int]) -> NDArray[np.int64]:
            return self.reader.next_batch([window[i] for i in waiting], role, self.room.tokens)

        def read_batch(reader: "PromptReader", batch: NDArray[np.int64]) -> BatchOutput:
            output = reader.read([window[i] for i in batch], role)
            return self.keep_terms(window, batch[output.owner], output)

        def runs(count: int) -> list[RunBatch[BatchOutput]]:
            return [partial(read_batch, reader) for reader in self.reader.replicas(count)]

        lengths = [text.tokens for text in window]
        return self.room.run_batches(lengths, choose, runs, tell_encoded)

    def keep_terms(
        self, window: Sequence[ModelInput], owner: NDArray[np.int64], output: BatchOutput
    ) -> BatchOutput:
        """Keep the strongest terms of the logits; `owner` are the rows' texts in the window."""
        if self.table is None or output.logits is None:
            return BatchOutput(owner, output.states)
        allowed = [columns for i in owner if (columns := window[i].columns) is not None]
        terms, weights = sparsify.select(output.logits, allowed, self.table)
        return BatchOutput(owner, output.states, None, terms, weights)

    def collect(self, done: list[BatchOutput]) -> Representation:
        """Bring a window's rows to the host and back into the order of its texts."""
        if not done:
            return self._nothing()
        owner = np.concatenate([rows.owner for rows in done])
        order = np.argsort(owner, kind="stable")
        _, states = in_order(done)
        dense = None if states is None else self._unit_rows(states)
        sparse = None
        if self.table is not None:
            pairs = [
                pair
                for rows in done
                for pair in zip(to_host(rows.terms), to_host(rows.weights), strict=True)
            ]
            weights = [pairs[i][1] for i in order]
            refuse_nan(owner[order], weights)
            sparse = to_rows(
                [pairs[i][0] for i in order],
                weights,
                self.table.columns,
                self.table.rules.scale,
            )
        return Representation(dense, sparse, owner[order].astype(np.int64))

    def _unit_rows(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Average over wordings, (wordings, n, dim) -> (n, dim) of unit length."""
        if self.prompt.reading.unit:
            states = unit_rows(states)
        return unit_rows(states.mean(axis=0))

    def _nothing(self) -> Representation:
        return Representation(
            np.zeros((0, self.width), np.float32) if self.prompt.reading.dense else None,
            to_rows([], [], self.table.columns) if self.table else None,
            np.zeros(0, np.int64),
        )

    def _describe(self) -> str:
        repeated = [role for role in Role if self.reader.shares_repeated_text(role)]
        return fingerprint_of(
            kind="llm",
            architecture=type(self.backbone.model).__name__,
            weights=weights_digest(self.backbone.model, self.backbone.missing_head),
            tokenizer=self.backbone.tokenizer_digest,
            dtype=self.options.dtype,
            max_text_tokens=self.options.max_text_tokens,
            **self.options.variant.changes,
            **prompt_facts(self.prompt, self.reader.frames, repeated),
        )


def _within_context(options: LLMOptions, reader: "PromptReader") -> LLMOptions:
    """Lower the text limit where prompt and text would not fit in the model's context."""
    config = reader.backbone.model.config.get_text_config()
    context = context_length(reader.backbone.model)
    if not context:
        return options
    frames = [frame for role in reader.frames.values() for frame in role]
    select, tokenizer = reader.prompt.select, reader.backbone.tokenizer
    ask_length = len(text_ids(tokenizer, select.ask)) if select else 0
    room = min(
        (context - len(frame) - ask_length) // frame.template.texts
        for frame in (*frames, *([reader.other] if reader.other else []))
    )
    if room < 1:
        examples = " with its examples" if reader.prompt.examples else ""
        raise ValueError(
            f"{config.name_or_path}: the prompt{examples} takes all of the model's context of "
            f"{context} tokens; "
            "use a shorter prompt, fewer demonstrations, or another model"
        )
    return replace(options, max_text_tokens=min(options.max_text_tokens, room))


def _check_ready(prompt: Prompt) -> None:
    if prompt.sample is not None and not prompt.examples:
        raise ValueError(
            f"prompt {prompt.name!r} shows the model texts of your collection, which `lastword "
            "index` draws; elsewhere give them as [[example]] in a prompt file"
        )
    if prompt.adapt:
        raise ValueError(
            f"prompt {prompt.name!r} adapts query rows by {prompt.adapt}: "
            "embedder.encoders.load.load_encoder applies that"
        )
    if prompt.rewrite is not None:
        raise ValueError(
            f"prompt {prompt.name!r} averages over rewritings: "
            "embedder.encoders.load.load_encoder brings the model that writes them"
        )
