"""Texts under several prompts of one model: what the prompts have in common is computed once."""

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.batch_output import BatchOutput
from embedder.encoders.endings import choose_batch, read_after, read_heads
from embedder.encoders.llm import WINDOW, LLMEncoder
from embedder.inputs.render import text_ids
from embedder.inputs.tokenized import ModelInput, shared_length
from embedder.models.workers import RunBatch
from embedder.progress import tell_encoded
from embedder.prompts.readout_rules import Norm
from embedder.types import Representation, Role

if TYPE_CHECKING:
    from embedder.models.backbone import Backbone
    from embedder.models.request import ForwardOutput, ReadRequest


def encode_prompts_together(
    encoders: Sequence[LLMEncoder], texts: Sequence[str], role: Role
) -> list[Representation]:
    """Encode texts under the prompt of each encoder.

    Prompts that read texts of this role alike are read once. Where they differ after the text
    only, as `shared_head` tells, wording and text are read once and every ending after them. What
    is left is encoded prompt by prompt.

    Args:
        encoders: of one backbone; the texts count for each of them as if it were alone.
        texts: in order.
        role: side of the search.

    Returns:
        The rows of each encoder, in order.
    """
    rows_of: dict[str, Representation] = {}
    for group in group_prompts(encoders, role):
        if len(group) == 1:
            rows = [group[0].encode(texts, role)]
        else:
            rows = _encode_group(group, texts, role)
        keys = [role_fingerprint(encoder, role) for encoder in group]
        rows_of |= zip(keys, rows, strict=True)
    return [rows_of[role_fingerprint(encoder, role)] for encoder in encoders]


def group_prompts(encoders: Sequence[LLMEncoder], role: Role) -> list[list[LLMEncoder]]:
    """Return which encoders are read together; of those that read alike only the first."""
    groups: dict[Hashable, list[LLMEncoder]] = {}
    distinct = {role_fingerprint(encoder, role): encoder for encoder in reversed(encoders)}
    for fingerprint, encoder in distinct.items():
        head = shared_head(encoder, role)
        groups.setdefault(fingerprint if head is None else head, []).insert(0, encoder)
    return list(reversed(groups.values()))


def role_fingerprint(encoder: LLMEncoder, role: Role) -> str:
    """Return canonical JSON of everything that changes the rows of one role's texts."""
    facts = json.loads(encoder.fingerprint)
    other = Role.DOCUMENT if role is Role.QUERY else Role.QUERY
    for fact in (f"{other.value}_prompt", f"{other.value}_text_read"):
        facts.pop(fact, None)
    facts.pop("task")  # spelled out in the wording
    return json.dumps(facts | {"side": role.value}, sort_keys=True)


def shared_head(encoder: LLMEncoder, role: Role) -> Hashable | None:
    """Return what is equal for prompts that differ after the text only; None if not of the kind.

    Such a prompt has one wording with the text in it once, and is read at its last token. The
    layer, the rules of sparse rows and a filter may differ: they act on what the model computes
    on its way.
    """
    prompt, frames = encoder.prompt, encoder.reader.frames[role]
    head = frames[0].head if len(frames) == 1 else None
    if head is None or not (encoder.backbone.shares_prefix and prompt.reads_last_tokens_only):
        return None
    rules = (prompt.text_rules, encoder.options.max_text_tokens)
    return (id(encoder.backbone), *rules, *head)


@dataclass(frozen=True, slots=True, eq=False)
class GroupTokens:
    """Tokens that a group is fed for some texts, told by tokenising them.

    A token that generating modes write counts as one that is fed, at the most that they may
    write. The tokens that all texts begin with count for each text, as in an encoder's counts.

    Attributes:
        role: side of the search.
        encoders: the group.
        lengths: (n,) tokens of each text, summed over the prompts.
        heads: (n,) tokens of each text that all prompts begin with; there is more in each.
    """

    role: Role
    encoders: tuple[LLMEncoder, ...]
    lengths: NDArray[np.int64]
    heads: NDArray[np.int64]

    @staticmethod
    def of(encoder: LLMEncoder, texts: Sequence[str], role: Role) -> "GroupTokens":
        """Count the tokens of one encoder."""
        lengths, heads = [], []
        for start in range(0, len(texts), WINDOW):
            inputs = _feed(encoder, texts[start : start + WINDOW], role)
            lengths += [text.tokens + _more(encoder, text) for text in inputs]
            heads += [len(text.wordings[0].ids) - 1 for text in inputs]
        return GroupTokens(role, (encoder,), np.array(lengths, np.int64), np.array(heads, np.int64))

    @property
    def tokens(self) -> int:
        """Tokens in all."""
        return int((self.lengths - (len(self.encoders) - 1) * self.heads).sum())

    def joined(self, encoder: LLMEncoder, texts: Sequence[str]) -> "GroupTokens":
        """Return the tally with one more prompt that begins alike."""
        tally = GroupTokens.of(encoder, texts, self.role)
        heads = [
            shared_length([first.wordings[0].ids, second.wordings[0].ids])
            for start in range(0, len(texts), WINDOW)
            for first, second in zip(
                _feed(self.encoders[0], texts[start : start + WINDOW], self.role),
                _feed(encoder, texts[start : start + WINDOW], self.role),
                strict=True,
            )
        ]
        return GroupTokens(
            self.role,
            (*self.encoders, encoder),
            self.lengths + tally.lengths,
            np.minimum(self.heads, np.array(heads, np.int64)),
        )


def _feed(encoder: LLMEncoder, texts: Sequence[str], role: Role) -> list[ModelInput]:
    return encoder.reader.feed(texts, role, encoder.options.max_text_tokens)


def _more(encoder: LLMEncoder, text: ModelInput) -> int:
    """Return tokens beside those of the rows: the most that are written, and what is asked."""
    more = 0
    if encoder.reader.generates:
        more += encoder.prompt.reading.generated_tokens * len(text.wordings)
    if encoder.prompt.select is not None:
        ask = len(text_ids(encoder.backbone.tokenizer, encoder.prompt.select.ask))
        more += ask * sum(len(row.chunks) for row in text.wordings)
    return more


def _encode_group(
    group: Sequence[LLMEncoder], texts: Sequence[str], role: Role
) -> list[Representation]:
    windows = [
        _read_window(group, texts[start : start + WINDOW], role)
        for start in range(0, max(1, len(texts)), WINDOW)
    ]
    return [Representation.concatenate(parts, WINDOW) for parts in zip(*windows, strict=True)]


def _read_window(
    group: Sequence[LLMEncoder], texts: Sequence[str], role: Role
) -> list[Representation]:
    """Read texts whose prompts begin with equally many ids, batch by batch."""
    windows = [encoder.prepare(texts, role) for encoder in group]
    rows = [[window[at].wordings[0].ids for window in windows] for at in range(len(texts))]
    heads = [shared_length(of_text) for of_text in rows]
    lengths = [sum(map(len, of_text)) for of_text in rows]
    endings = [length - len(group) * head for length, head in zip(lengths, heads, strict=True)]
    backbone, prefix = group[0].backbone, group[0].reader.frames[role][0].prefix
    parts = _parts(group)
    deepest = max(
        (request for request, _ in parts),
        key=lambda request: (request.logits, backbone.depth_of(request.layer)),
    )

    def choose(waiting: list[int]) -> NDArray[np.int64]:
        waits = ([heads[at] for at in waiting], [endings[at] for at in waiting])
        return choose_batch(*waits, group[0].room.tokens)

    def read_batch(own: "Backbone", batch: NDArray[np.int64]) -> list[BatchOutput]:
        head, texts = heads[batch[0]], [rows[at] for at in batch]
        before = read_heads(own, prefix, texts, head, deepest)
        read: dict[int, BatchOutput] = {}
        for request, places in parts:
            endings = [[of_text[at][head:] for at in places] for of_text in texts]
            output = read_after(own, before, endings, request)
            for nth, at in enumerate(places):
                mine = _own_rows(group[at], output, slice(nth, None, len(places)))
                read[at] = group[at].keep_terms(windows[at], batch, mine)
        return [read[at] for at in range(len(group))]

    def runs(count: int) -> list[RunBatch[list[BatchOutput]]]:
        return [partial(read_batch, own) for own in backbone.replicas(count)]

    outputs = group[0].room.run_batches(lengths, choose, runs, tell_encoded)
    return [
        encoder.collect([of_batch[at] for of_batch in outputs]) for at, encoder in enumerate(group)
    ]


def _own_rows(encoder: LLMEncoder, output: "ForwardOutput", mine: slice) -> BatchOutput:
    """Take the rows of one prompt out of those of its part of the group."""
    reading = encoder.prompt.reading
    hidden = output.hidden[mine] if reading.dense and output.hidden is not None else None
    logits = output.logits[mine] if reading.sparse and output.logits is not None else None
    return encoder.reader.combine([hidden], [logits])


def _parts(group: Sequence[LLMEncoder]) -> list[tuple["ReadRequest", list[int]]]:
    """Return what is read of a group, layer by layer, and the places of the prompts it is for."""
    from embedder.models.request import ReadRequest

    by_layer: dict[tuple[int | float, Norm], list[int]] = {}
    for at, encoder in enumerate(group):
        reading = encoder.prompt.reading
        by_layer.setdefault((reading.layer, reading.norm), []).append(at)
    return [
        (
            ReadRequest(
                layer=layer,
                hidden=any(group[at].prompt.reading.dense for at in places),
                logits=any(group[at].prompt.reading.sparse is not None for at in places),
                norm=norm,
            ),
            places,
        )
        for (layer, norm), places in by_layer.items()
    ]
