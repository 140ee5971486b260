"""From the inputs of a request to rows, read together with those of other clients."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from embedder.rerank.reranker import PairReranker
from embedder.types import RefusedTextError, Role, unit_rows
from lastword.server.batching import estimate_tokens
from lastword.server.embeddings.encoders import (
    DenseRow,
    ReadText,
    ServedEncoder,
    TooLongError,
    WrongTokenError,
    served_encoders,
)
from lastword.server.embeddings.reranking import ServedReranker
from lastword.server.errors import ServedError
from lastword.server.state import ServerState, state_of
from lastword.server.turns import Answer, in_turn

OneInput = str | Sequence[int]


@dataclass(frozen=True, slots=True)
class WantedRows:
    """How the inputs of a request are read.

    Attributes:
        inputs: texts, or token ids that stand for one.
        role: "query", or anything else for documents.
        cut: whether texts that are too long are cut.
        from_start: cut them at their beginning.
    """

    inputs: Sequence[OneInput]
    role: Role
    cut: bool = False
    from_start: bool = False

    @staticmethod
    def of(inputs: Any, prompt_name: str | None, cut: bool | None, direction: str) -> "WantedRows":  # noqa: ANN401
        """Read a request, one of whose inputs may stand alone."""
        return WantedRows(
            listed(inputs), role_of(prompt_name), bool(cut), direction.lower() == "left"
        )


class EmbeddingModels:
    """What a server embeds and reranks with."""

    def __init__(self, state: ServerState, reranker: PairReranker | None) -> None:
        self.served = served_encoders(state.engines)
        self.reranker = None if reranker is None else ServedReranker(reranker)

    def names(self, *kinds: str) -> list[str]:
        """Return the indexes that have an encoder of one of some kinds, in their order."""
        return list(dict.fromkeys(name for name, kind in self.served if kind in kinds))

    def find(self, state: ServerState, index: str | None, *kinds: str) -> ServedEncoder:
        """Return the encoder of an index, of the first kind that it has.

        Raises:
            ServedError: 404 there is no such index, 424 it has no such encoder.
        """
        name, _ = state.engine(index)
        for kind in kinds:
            if (name, kind) in self.served:
                return self.served[name, kind]
        raise ServedError(424, f"index {name!r} has no {' or '.join(kinds)} encoder")


def models_of(request: Request) -> EmbeddingModels:
    """Return what the server of a request embeds with."""
    models: EmbeddingModels = request.app.state.embeddings
    return models


def listed(inputs: Any) -> list[OneInput]:  # noqa: ANN401
    """Return inputs as a list, of which one may have stood alone."""
    alone = isinstance(inputs, str) or isinstance(inputs[0], int)
    return [inputs] if alone else list(inputs)


def role_of(prompt_name: str | None) -> Role:
    """Return the role of a prompt's name; documents by default."""
    return Role.QUERY if prompt_name == "query" else Role.DOCUMENT


async def read_rows(
    request: Request, served: ServedEncoder, wanted: WantedRows
) -> tuple[list[Any], int]:
    """Return a row for each input, and how many tokens were read.

    Raises:
        ServedError: see `in_turn`; 422 an input cannot be read, 424 the model fails.
        TooLongError: one is too long, and is not to be cut.
    """
    state = state_of(request)

    async def compute() -> tuple[list[Any], int]:
        run = served.batches[wanted.role]
        items = [
            ReadText(given, number, wanted.cut, wanted.from_start)
            for number, given in enumerate(wanted.inputs, 1)
        ]
        if len(items) == 1:
            answers = [await state.queue.submit(run, items[0], _size(items[0]))]
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(state.queue.submit(run, item, _size(item))) for item in items
                ]
            answers = [task.result() for task in tasks]
        return [row for row, _ in answers], sum(tokens for _, tokens in answers)

    return await computed(request, compute())


async def computed(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """Await the work of a request in its turn; what a model raises becomes a status."""
    try:
        return await in_turn(request, work)
    except ExceptionGroup as errors:
        raise _told(errors.exceptions[0]) from errors
    except (ValueError, OSError) as error:
        raise _told(error) from error


def cut_rows(rows: Sequence[DenseRow], dimensions: int | None) -> Sequence[DenseRow]:
    """Keep the first numbers of rows, and give them unit length again.

    Raises:
        ServedError: 422, they have not so many.
    """
    if dimensions is None:
        return rows
    if dimensions > len(rows[0]):
        raise ServedError(422, f"dimensions: rows have {len(rows[0])} numbers; got {dimensions}")
    return [unit_rows(row[:dimensions]) for row in rows]


def _told(error: BaseException) -> BaseException:
    """Return what a route raises for an error of the library."""
    if isinstance(error, ServedError | TooLongError):
        return error
    of_input = isinstance(error, RefusedTextError | WrongTokenError)
    return ServedError(422 if of_input else 424, str(error))


def _size(item: ReadText) -> int:
    """Return about how many tokens an input has."""
    return estimate_tokens(item.given) if isinstance(item.given, str) else len(item.given)
