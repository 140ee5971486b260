"""Reader: a prompt on a model; rows of token ids become hidden states and logits."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from embedder.encoders.batch_output import BatchOutput
from embedder.encoders.endings import choose_batch, read_endings
from embedder.inputs.prompt_tokenizer import PromptTokenizer
from embedder.inputs.render import choose_form
from embedder.inputs.tokenized import ModelInput, TokenizedText
from embedder.locks import lock_of
from embedder.methods.contrastive import (
    CaptureAttentionOutput,
    ContrastiveSubtraction,
    contrast_block,
)
from embedder.methods.embed_filter import filter_basis
from embedder.methods.scsp import read_selected
from embedder.methods.token_prepending import TokenPrepending, prepend_blocks
from embedder.models.backbone import Backbone
from embedder.models.batching import plan
from embedder.models.greedy import greedy_answers, pool_answers
from embedder.models.pooling import find_pooling, read_positions
from embedder.models.request import Intervention, ReadRequest
from embedder.prompts.method_rules import SelectionRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import TEXT_SLOTS, share_head
from embedder.types import Role

if TYPE_CHECKING:
    from torch import Tensor


class PromptReader:
    """Reads texts by a prompt's rules.

    Attributes:
        form: the prompt's form that suits the model.
        frames: for each role, one frame for each wording.
        other: the frame of contrastive prompting, or None.
    """

    def __init__(self, backbone: Backbone, prompt: Prompt) -> None:
        self.backbone, self.prompt, self.reading = backbone, prompt, prompt.reading
        self.form = choose_form(prompt, backbone.tokenizer)
        frames = {
            template: PromptTokenizer(template, prompt, backbone.tokenizer)
            for template in self.form.all
        }
        self.frames: Mapping[Role, tuple[PromptTokenizer, ...]] = {
            role: tuple(frames[template] for template in self.form.templates(role)) for role in Role
        }
        self.other: PromptTokenizer | None = None
        if prompt.contrast is not None:
            self.other = PromptTokenizer(prompt.contrast.template, prompt, backbone.tokenizer)
            self.block = contrast_block(prompt.contrast, backbone)
        if prompt.prepend is not None:
            prepend_blocks(prompt.prepend, backbone)  # or say now that the first does not exist
        backbone.depth_of(self.reading.layer)
        self.generates = self.reading.mode != "first-token"
        reads_words = self.reading.sparse is not None or self.reading.pool == "max"
        if reads_words or self.generates or prompt.filter is not None:
            backbone.check_head()
        if self.reading.attention != "bidirectional" or self.generates:
            backbone.check_causal()
        if prompt.filter is not None:  # what it asks for is there, or it is said now
            prompt.filter.span(self._filtered_head().shape[1])
        self._fans = {role: self._fans_out(role) for role in Role}

    @cached_property
    def spectrum(self) -> "Tensor":
        """The directions that a spectral filter keeps, (dim, kept) float32."""
        if self.prompt.filter is None:
            raise ValueError(f"prompt {self.prompt.name!r} has no [filter]")
        head, rules = self._filtered_head(), self.prompt.filter
        # A weight's version changes with every step of training.
        key = ("filter", rules, id(head), head._version)
        return self.backbone.compute_once(key, lambda: filter_basis(head, rules))

    def _filtered_head(self) -> "Tensor":
        head: Tensor = self.backbone.model.get_output_embeddings().weight
        width = self.state_width
        if head.shape[1] != width:
            raise ValueError(
                f"[filter] keeps directions of an LM head of width {head.shape[1]}, and the states "
                f"read have {width}; read this model at the top, or leave [filter] out"
            )
        return head

    @property
    def width(self) -> int:
        """Width of a dense row."""
        if self.prompt.filter is not None:
            return int(self.spectrum.shape[1])
        return self.backbone.vocab if self.reading.pool == "max" else self.state_width

    @property
    def state_width(self) -> int:
        """Width of the states that are read."""
        top = self.backbone.depth_of(self.reading.layer) == len(self.backbone.layers)
        if self.reading.norm == "always" or (top and self.reading.norm == "top"):
            head = self.backbone.model.get_output_embeddings()  # some OPT project states for it
            return int(head.weight.shape[1])
        return int(self.backbone.model.config.get_text_config().hidden_size)

    def feed(self, texts: Sequence[str], role: Role, limit: int) -> list[ModelInput]:
        """Tokenise texts, each cut to at most `limit` tokens of its own."""
        with lock_of(self.backbone.tokenizer):
            by_frame = [frame.tokenize(texts, limit) for frame in self.frames[role]]
            others = self.other.tokenize(texts, limit) if self.other else [None] * len(texts)
        rows = list(zip(*by_frame, strict=True))
        return [ModelInput(mine, other) for mine, other in zip(rows, others, strict=True)]

    def next_batch(self, texts: Sequence[ModelInput], role: Role, budget: int) -> NDArray[np.int64]:
        """Choose the texts that go through the model first: the longest that fit together."""
        if self._fans[role]:
            endings = sum(len(frame.ending) for frame in self.frames[role])
            return choose_batch(
                [self._head(text, role) for text in texts], [endings] * len(texts), budget
            )
        prefix = max(len(frame.prefix) for frame in self.frames[role])
        lengths = [max(len(row.ids) for row in text.wordings) - prefix for text in texts]
        return plan(lengths, prefix, budget, equal=self.generates)[0]

    def read(self, texts: Sequence[ModelInput], role: Role) -> BatchOutput:
        """Run one batch through the model."""
        return self._filtered(self._read(texts, role))

    def replicas(self, count: int) -> "list[PromptReader]":
        """Return so many readers that may read at the same time; else this one alone."""
        if self.generates or self.prompt.select is not None:
            return [self]  # what they do besides passes was not made for threads
        if self.prompt.filter is not None:
            self.width  # noqa: B018  (finds the spectrum, once for all)
        replicas = []
        for backbone in self.backbone.replicas(count):
            replicas.append(copy(self))
            replicas[-1].backbone = backbone
        return replicas

    def combine(
        self, hidden: Sequence["Tensor | None"], logits: Sequence["Tensor | None"]
    ) -> BatchOutput:
        """Combine what was read under each wording, (n, dim) and (n, vocab) each."""
        return self._filtered(self._stacked(hidden, logits))

    def _filtered(self, output: BatchOutput) -> BatchOutput:
        if self.prompt.filter is None or output.states is None:
            return output
        return replace(output, states=output.states @ self.spectrum)

    def _read(self, texts: Sequence[ModelInput], role: Role) -> BatchOutput:
        if self.generates:
            return self._generate(texts, role)
        if self.prompt.select is not None:
            return self._select(texts, role, self.prompt.select)
        if self._fans[role] and self._head(texts[0], role) > len(self.frames[role][0].prefix):
            return self._fan(texts, role)
        hidden, logits = [], []
        other = self._other_states(texts)
        for at, frame in enumerate(self.frames[role]):
            rows = [text.wordings[at] for text in texts]
            prefix = self._prefix(frame, rows)
            step = self.backbone.read(
                prefix,
                [row.ids[len(prefix) :] for row in rows],
                self._read_request(rows),
                interventions=self._interventions(frame, rows, other),
            )
            hidden.append(step.hidden)
            logits.append(step.logits)
        return self._stacked(hidden, logits)

    def _stacked(
        self, hidden: Sequence["Tensor | None"], logits: Sequence["Tensor | None"]
    ) -> BatchOutput:
        states = [part.float() for part in hidden if part is not None]
        scores = [part for part in logits if part is not None]
        n = len((states or scores)[0])
        return BatchOutput(
            np.arange(n),
            torch.stack(states) if states else None,
            None if not scores else scores[0] if len(scores) == 1 else torch.stack(scores).mean(0),
        )

    def _read_request(self, rows: Sequence[TokenizedText]) -> ReadRequest:
        reading = self.reading
        return ReadRequest(
            layer=reading.layer,
            hidden=reading.dense,
            logits=reading.sparse is not None,
            norm=reading.norm,
            pooling=None if reading.at_last_token else find_pooling(rows, reading),
            pool_logits=reading.pool == "max",
            bidirectional=reading.attention == "bidirectional",
        )

    def _prefix(self, frame: PromptTokenizer, rows: Sequence[TokenizedText]) -> tuple[int, ...]:
        """Return the ids that are shared, or none where a text has merged with the wording."""
        length = len(frame.prefix)
        apart = self.reading.prefix_apart and all(
            len(row.ids) > length
            and tuple(row.ids[:length]) == frame.prefix
            and read_positions(row, self.reading).min(initial=length) >= length
            for row in rows
        )
        return frame.prefix if apart else ()

    def _interventions(
        self, frame: PromptTokenizer, rows: Sequence[TokenizedText], other: "Tensor | None"
    ) -> list[Intervention]:
        done: list[Intervention] = []
        if self.prompt.prepend is not None:
            done.append(
                TokenPrepending(self.backbone, self.prompt.prepend, rows, frame.placeholder)
            )
        if self.prompt.contrast is not None and other is not None:
            compared = self.backbone.attention_output(self.block)
            done.append(ContrastiveSubtraction(self.prompt.contrast, compared, rows, other))
        return done

    def _other_states(self, texts: Sequence[ModelInput]) -> "Tensor | None":
        """Run the auxiliary prompt up to the block whose attention output is compared."""
        rows = [text.auxiliary for text in texts if text.auxiliary is not None]
        if self.other is None or not rows:
            return None
        capture = CaptureAttentionOutput(self.backbone.attention_output(self.block), rows)
        prefix = self._prefix(self.other, rows)
        ids = [row.ids[len(prefix) :] for row in rows]
        self.backbone.read(prefix, ids, ReadRequest(hidden=False, logits=False), False, [capture])
        return capture.states

    def _generate(self, texts: Sequence[ModelInput], role: Role) -> BatchOutput:
        (frame,) = self.frames[role]
        rows = [text.wordings[0] for text in texts]
        prefix = self._prefix(frame, rows)
        ids = [row.ids[len(prefix) :] for row in rows]
        answers = greedy_answers(self.backbone, prefix, ids, self.reading.generated_tokens)
        rules = self.reading.mode, self.reading.last_generated
        pooled = [pool_answers(answer, *rules) for answer in answers]
        return BatchOutput(
            np.repeat(np.arange(len(texts)), [len(states) for states, _ in pooled]),
            torch.cat([states for states, _ in pooled])[None],
            torch.cat([scores for _, scores in pooled]),
        )

    def _select(self, texts: Sequence[ModelInput], role: Role, rule: SelectionRules) -> BatchOutput:
        states = []
        for at, frame in enumerate(self.frames[role]):
            rows = [text.wordings[at] for text in texts]
            prefix = self._prefix(frame, rows)
            vectors = (
                read_selected(self.backbone, prefix, row, self.reading, rule) for row in rows
            )
            states.append(torch.cat(list(vectors)))
        return BatchOutput(np.arange(len(texts)), torch.stack(states))

    def _fans_out(self, role: Role) -> bool:
        """Tell whether wordings differ after the text only, so that it is read once for all."""
        frames = self.frames[role]
        return (
            self.backbone.shares_prefix
            and self.prompt.reads_last_tokens_only
            and frames[0].template.tokens == "pieces"
            and share_head([frame.head for frame in frames])
        )

    def shares_repeated_text(self, role: Role) -> bool:
        """Tell whether what wordings share holds the text more than once.

        What stood after the first of them was once left out; those rows were others.
        """
        kinds = [part.kind for part in self.frames[role][0].parts]
        return self._fans[role] and sum(kind in TEXT_SLOTS for kind in kinds) > 1

    def _head(self, text: ModelInput, role: Role) -> int:
        """Return the tokens up to the end of the text, which wordings that fan out share."""
        return len(text.wordings[0].ids) - len(self.frames[role][0].ending)

    def _fan(self, texts: Sequence[ModelInput], role: Role) -> BatchOutput:
        """Read prefix and text once, and every ending after it."""
        frames, head = self.frames[role], self._head(texts[0], role)
        rows = [[row.ids for row in text.wordings] for text in texts]
        step = read_endings(self.backbone, frames[0].prefix, rows, head, self._read_request([]))
        shape = (len(texts), len(frames))
        hidden, logits = step.hidden, step.logits
        if hidden is not None:
            hidden = hidden.view(*shape, -1).transpose(0, 1).float()
        if logits is not None:
            logits = logits.view(*shape, -1).mean(1)
        return BatchOutput(np.arange(len(texts)), hidden, logits)
