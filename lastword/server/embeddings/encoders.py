"""The encoders that a server embeds with: those of its indexes, and batches of texts as rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.encoders.prompted import with_task
from embedder.encoders.specs import LLMSpec, WordSpec, spec_of
from embedder.types import Encoder, Representation, Role, before_map
from lastword.engine import SearchEngine
from lastword.server.batching import estimate_tokens
from lastword.server.embeddings.tokens import TextTokens, tokens_of

DenseRow = NDArray[np.float32]
SparseRow = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Columns, rising, and weights."""


class TooLongError(ValueError):
    """A text is longer than its model reads, and shall not be cut."""


class WrongTokenError(ValueError):
    """An input cannot be read as tokens, or cut as it is asked."""


@dataclass(frozen=True, slots=True)
class ReadText:
    """An input of a request, in a batch with those of others.

    Attributes:
        given: a text, or token ids that stand for one; not empty.
        number: its place in the request, from 1.
        cut: whether it may be cut where the model reads no more.
        from_start: cut it at its beginning.
    """

    given: str | Sequence[int]
    number: int = 1
    cut: bool = False
    from_start: bool = False


@dataclass(frozen=True, eq=False)
class ServedEncoder:
    """The rows of one kind of an index, for texts that anybody gives.

    Attributes:
        index: its name.
        channel: of the index.
        kind: "dense" or "sparse".
        encoder: reads nothing but such rows.
        tokens: None where its tokenizer is not at hand.
        batches: role -> what a `BatchQueue` runs, the same object each time.
    """

    index: str
    engine: SearchEngine
    channel: str
    kind: str
    encoder: Encoder
    tokens: TextTokens | None
    batches: Mapping[Role, "_RoleBatch"] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "batches", {role: _RoleBatch(self, role) for role in Role})

    def read(self, items: Sequence[ReadText], role: Role) -> list[Any]:
        """Read inputs, each as an index holds documents or is searched by queries.

        Returns:
            For each its row, a DenseRow or a SparseRow, and how many tokens were read; or a
            TooLongError or WrongTokenError.

        Raises:
            TooLongError: one was cut that must not be.
            ValueError: it reads several rows of a text, or one that is no row.
            OSError: the model is behind an address, and does not answer.
        """
        answers: list[Any] = self._measured(items, role)
        ready = [at for at, each in enumerate(answers) if not isinstance(each, Exception)]
        if ready:
            texts = [answers[at][0] for at in ready]
            rows = self._encoded(texts, [items[at] for at in ready], role)
            for at, row in zip(ready, rows, strict=True):
                answers[at] = (row, answers[at][1])
        return answers

    def _measured(
        self, items: Sequence[ReadText], role: Role
    ) -> list[tuple[str, int] | ValueError]:
        """Return each input as the text that is read, with its tokens."""
        if self.tokens is None:
            return [_estimated(item) for item in items]
        answers: list[tuple[str, int] | ValueError] = [self._written(item) for item in items]
        ready = [(at, each[0]) for at, each in enumerate(answers) if isinstance(each, tuple)]
        lengths = self.tokens.measure([text for _, text in ready], role) if ready else []
        for (at, text), length in zip(ready, lengths, strict=True):
            item = items[at]
            answers[at] = (text, length.read)
            if length.over and not item.cut:
                answers[at] = TooLongError(
                    f"text {item.number} is too long: it has {length.over} more tokens than the "
                    f"{self.tokens.limit} that the model reads"
                )
            elif length.over and item.from_start:
                answers[at] = self._cut_start(text, length.read, role)
        return answers

    def _written(self, item: ReadText) -> tuple[str, int] | ValueError:
        if isinstance(item.given, str):
            return item.given, 0
        assert self.tokens is not None, self.index
        try:
            return self.tokens.write(item.given), 0
        except ValueError as error:
            return WrongTokenError(str(error))

    def _cut_start(self, text: str, read: int, role: Role) -> tuple[str, int] | ValueError:
        assert self.tokens is not None, self.index
        try:
            return self.tokens.cut_start(text, role), read
        except ValueError as error:
            return WrongTokenError(str(error))

    def _encoded(
        self, texts: list[str], items: Sequence[ReadText], role: Role
    ) -> list[DenseRow] | list[SparseRow]:
        counts: Mapping[str, int] = getattr(self.encoder, "counts", {})
        before = counts.get("truncated", 0)
        reader = before_map(self.encoder) if role is Role.QUERY else self.encoder
        rows = reader.encode(texts, role)
        refuse_cut(items, getattr(self.encoder, "counts", {}).get("truncated", 0) - before)
        if not np.array_equal(rows.owner, np.arange(len(texts))):
            raise ValueError(f"index {self.index!r} reads several rows of a text")
        return self._rows(rows, role)

    def _rows(self, rows: Representation, role: Role) -> list[DenseRow] | list[SparseRow]:
        with self.engine.reading() as retriever:
            post = retriever.index.channels[self.channel].post
            if role is Role.QUERY:
                rows = retriever.query_rows(self.channel, rows)
            elif post is not None:
                rows = post.change_rows(rows, role)
        if self.kind == "dense":
            assert rows.dense is not None, self.channel
            return list(rows.dense)
        assert rows.sparse is not None, self.channel
        table, bounds = rows.sparse, rows.sparse.indptr.tolist()
        spans = [slice(*bounds[at : at + 2]) for at in range(len(rows))]
        return [(table.indices[span], table.data[span]) for span in spans]


@dataclass(frozen=True)
class _RoleBatch:
    served: ServedEncoder
    role: Role

    def __call__(self, items: list[ReadText]) -> Sequence[Any]:
        return self.served.read(items, self.role)


def _estimated(item: ReadText) -> tuple[str, int] | ValueError:
    """Return a text whose tokenizer is elsewhere, with about as many tokens as it has."""
    if item.from_start or not isinstance(item.given, str):
        return WrongTokenError("its tokenizer is not here: give texts, which are cut at their end")
    return item.given, estimate_tokens(item.given)


def refuse_cut(items: Sequence[Any], truncated: int) -> None:
    """Refuse a batch of which texts were cut; one by one, whoever allows it is answered.

    Raises:
        TooLongError: some were, and not all items have `cut`.
    """
    if truncated and not all(item.cut for item in items):
        raise TooLongError("a text is too long for the model, which would cut it")


def served_encoders(engines: Mapping[str, SearchEngine]) -> dict[tuple[str, str], ServedEncoder]:
    """Return the encoders of indexes, by the name of the index and "dense" or "sparse"."""
    served: dict[tuple[str, str], ServedEncoder] = {}
    for name, engine in engines.items():
        with engine.reading() as retriever:
            kinds = {each: retriever.index.channels[each].kind for each in retriever.encoders}
            for channel, encoder in retriever.encoders.items():
                kind = "dense" if kinds[channel] == "dense" else "sparse"
                if isinstance(spec_of(encoder), WordSpec) or (name, kind) in served:
                    continue
                alone = _reading_only(encoder, kind)
                served[name, kind] = ServedEncoder(
                    name, engine, channel, kind, alone, tokens_of(encoder)
                )
    return served


def _reading_only(encoder: Encoder, kind: str) -> Encoder:
    """Return an encoder of the same weights that computes rows of one kind alone."""
    spec = spec_of(encoder)
    if isinstance(spec, LLMSpec) and len(spec.reads) > 1:
        return with_task(encoder, "", (kind,))
    return encoder
