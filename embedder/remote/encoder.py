"""A model behind an address as an Encoder: batches, several at once, and which text is refused."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from threading import Event

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from embedder.checkpoints.addresses import parse_remote
from embedder.checkpoints.variant import ModelVariant
from embedder.locks import lock_of
from embedder.progress import tell_encoded
from embedder.prompts.prompt import Prompt
from embedder.prompts.query_adapter import MappingEncoder
from embedder.remote.answers import COLUMNS, FaultyRowError, ServerRows, sparse_rows
from embedder.remote.http_client import (
    TOO_LARGE,
    JsonClient,
    RefusedRequestError,
    RetryRules,
    ServerError,
)
from embedder.remote.in_flight import do_at_once
from embedder.remote.openai import KEYS as OPENAI_KEYS
from embedder.remote.openai import OpenAIServer
from embedder.remote.spec import RemoteSpec
from embedder.remote.tei import KEYS as TEI_KEYS
from embedder.remote.tei import TeiServer
from embedder.remote.wording import plain_wordings
from embedder.types import (
    RefusedTextError,
    Representation,
    Role,
    fingerprint_of,
    list_texts,
    unit_rows,
)

IN_FLIGHT = 8  # requests at once
BATCH = 32  # texts of a request
CHARACTERS = 200_000  # of a request; servers take bodies of 2 MB and more
LEAST_CHARACTERS = 16  # to which a text is shortened in search of what a server reads
_SPLIT = (400, TOO_LARGE, 422, 424)  # refusals that may be about one text, or about too many
_TOO_LONG = re.compile(
    r"context length|must have less than|too (long|large|many)|maximum .*(tokens|length)|exceed",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _TextGroup:
    """Texts of one request, with their places among those of the call."""

    places: Sequence[int]
    texts: Sequence[str]

    def halves(self) -> "tuple[_TextGroup, _TextGroup]":
        half = len(self.texts) // 2
        first, last = slice(None, half), slice(half, None)
        return (
            _TextGroup(self.places[first], self.texts[first]),
            _TextGroup(self.places[last], self.texts[last]),
        )


class RemoteEncoder(MappingEncoder):
    """The dense or sparse rows that a server computes.

    An empty text has a row of zeros, or without terms, and is not sent: servers refuse it. Other
    texts whose rows come so are counted, as `zeros`. A text that is longer than the model reads is
    cut and counted.

    Args:
        server: one that is there.
        prompt: a plain wording; None sends texts as they are.
        variant: of the model.
    """

    def __init__(
        self,
        server: TeiServer | OpenAIServer,
        prompt: Prompt | None = None,
        variant: ModelVariant | None = None,
    ) -> None:
        self.server, self.prompt = server, prompt
        self.sparse = server.sparse
        self.spec: RemoteSpec | None = None  # `load_encoder` knows the name
        self._variant = variant or ModelVariant()
        self.wordings = plain_wordings(prompt)
        self._counts = Counter(texts=0, empty=0, zeros=0, truncated=0, tokens=0)
        self._full_width = COLUMNS if self.sparse else self._probe()
        self._width = self._variant.truncate_dim or self._full_width
        if self._width > self._full_width:
            raise ValueError(
                f"truncate_dim is {self._width}, and rows of the server have "
                f"{self._full_width} numbers"
            )
        wordings = {role.value: asdict(wording) for role, wording in self.wordings.items()}
        self._fingerprint = fingerprint_of(
            **server.facts,
            output="sparse" if self.sparse else "dense",
            width=self._width,
            wordings=wordings,
            **self._variant.facts,
            **self.map_facts,
        )

    @staticmethod
    def load(
        name: str,
        prompt: Prompt | None = None,
        variant: ModelVariant | None = None,
        retries: RetryRules | None = None,
    ) -> "RemoteEncoder":
        """Ask a server which model it has.

        Args:
            name: "tei:URL" or "openai:MODEL@URL".
            prompt: as for the class.
            variant: of the model.
            retries: see there.

        Raises:
            ValueError: the name is none, or the model has no such variant or prompt.
            ServerError: the server does not answer, or is another.
        """
        remote, variant = parse_remote(name), variant or ModelVariant()
        retries = retries or RetryRules()
        if remote.kind == "tei":
            client = JsonClient(remote.address, TEI_KEYS, retries=retries)
            return RemoteEncoder(TeiServer(client, variant), prompt, variant)
        client = JsonClient(remote.address, OPENAI_KEYS, retries=retries)
        return RemoteEncoder(OpenAIServer(client, remote.model, variant), prompt, variant)

    def with_prompt(self, prompt: Prompt) -> "RemoteEncoder":
        """Return the encoder of another prompt on the same server."""
        encoder = RemoteEncoder(self.server, prompt, self._variant)
        encoder.spec = self.spec and replace(self.spec, prompt=prompt)
        return encoder

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order.

        Raises:
            RefusedTextError: the server refuses a text; says which.
            ServerError: it does not answer, whatever the text.
        """
        role, texts = Role(role), list_texts(texts)
        batches = self._batches(texts, role)
        places = [place for batch in batches for place in batch.places]
        parts = self._answers(batches, role)
        with lock_of(self):  # other threads may count too
            for part in parts:
                self._counts.update(part.counts)
            self._counts.update(texts=len(texts), empty=len(texts) - len(places))
        owner = np.arange(len(texts), dtype=np.int64)
        if self.sparse:
            terms = _placed(parts, places, len(texts))
            self._count_zeros(np.diff(terms.indptr)[places])
            return Representation(None, terms, owner)
        rows = np.zeros((len(texts), self._width), np.float32)
        if places:
            rows[places] = self._kept(parts, places)
            self._count_zeros(np.abs(rows[places]).max(axis=1))
        read = Representation(rows, None, owner)
        return self.map_rows(read) if role is Role.QUERY else read

    def _count_zeros(self, filled: NDArray[np.generic]) -> None:
        """Count texts that were sent and have nothing in their rows."""
        with lock_of(self):
            self._counts["zeros"] += len(filled) - int(np.count_nonzero(filled))

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Ask the server what its columns are called."""
        server = self._server_of_terms()
        windows = [terms[at : at + BATCH] for at in range(0, len(terms), BATCH)]
        names = [name for window in windows for name in server.name_terms(list(map(int, window)))]
        return {int(term): name for term, name in zip(terms, names, strict=True)}

    def columns(self, words: Sequence[str]) -> Iterable[Iterable[int]]:
        """Return the sparse columns that each word stands in, read alone."""
        server = self._server_of_terms()
        size = min(BATCH, server.most_texts)
        windows = [words[at : at + size] for at in range(0, len(words), size)]
        return [terms for window in windows for terms in server.find_terms(window)]

    def _server_of_terms(self) -> TeiServer:
        if not self.sparse or not isinstance(self.server, TeiServer):
            raise ValueError("this server gives dense rows, which have no terms to name")
        return self.server

    def _probe(self) -> int:
        """Return the width of the server's dense rows."""
        answer = self._embed(_TextGroup([0], ["a text"]), Role.DOCUMENT, Event())[0]
        assert answer.dense is not None, self.server
        return int(answer.dense.shape[1])

    def _batches(self, texts: Sequence[str], role: Role) -> list[_TextGroup]:
        """Cut texts into requests; those that are empty are in none."""
        wording = self.wordings[role]
        most = min(BATCH, self.server.most_texts)
        groups: list[list[int]] = []
        length = 0
        for place, text in enumerate(texts):
            whole = len(wording.whole(text))
            if not whole:
                continue
            if not groups or len(groups[-1]) == most or length + whole > CHARACTERS:
                groups.append([])
                length = 0
            groups[-1].append(place)
            length += whole
        return [_TextGroup(group, [texts[place] for place in group]) for group in groups]

    def _answers(self, batches: Sequence[_TextGroup], role: Role) -> list[ServerRows]:
        """Ask for batches, several at once; answers in order."""
        stopped = Event()
        embed = partial(self._embed, role=role, stopped=stopped)
        coming = do_at_once(embed, batches, min(IN_FLIGHT, self.server.most_requests), stopped)
        parts: list[ServerRows] = []
        with closing(coming):
            for batch, rows in zip(batches, coming, strict=True):
                parts += rows
                tell_encoded(len(batch.texts))
        return parts

    def _embed(self, batch: _TextGroup, role: Role, stopped: Event) -> list[ServerRows]:
        """Ask for a batch; one that is refused is halved, to find the text that is at fault."""
        wording, address = self.wordings[role], self.server.client.address
        strings = [wording.whole(text) for text in batch.texts]
        try:
            return [self.server.embed(strings, role, bool(wording.after), stopped)]
        except RefusedRequestError as refusal:
            if refusal.status not in _SPLIT:
                raise
            if len(strings) > 1:
                halves = [self._embed(half, role, stopped) for half in batch.halves()]
                return [*halves[0], *halves[1]]
            too_long = refusal.status == TOO_LARGE or _TOO_LONG.search(str(refusal))
            shorter = batch.texts[0][: len(batch.texts[0]) * 3 // 4]
            if not too_long or len(shorter) < LEAST_CHARACTERS or stopped.is_set():
                raise RefusedTextError(batch.places[0], str(refusal)) from refusal
            (rows,) = self._embed(_TextGroup(batch.places, [shorter]), role, stopped)
            return [replace(rows, counts={**rows.counts, "truncated": 1})]
        except FaultyRowError as fault:
            place = batch.places[fault.at]
            raise RefusedTextError(place, f"{address} answered {fault}") from fault
        except RefusedTextError:
            raise
        except ValueError as fault:
            raise ServerError(f"{address} gave no such rows: {fault}") from fault

    def _kept(self, parts: Sequence[ServerRows], places: Sequence[int]) -> NDArray[np.float32]:
        """Return dense rows of the width that the server began with, cut where that is chosen."""
        rows = [row for part in parts if part.dense is not None for row in part.dense]
        for place, row in zip(places, rows, strict=True):
            if len(row) != self._full_width:
                raise RefusedTextError(
                    place,
                    f"{self.server.client.address} answered a row of {len(row)} numbers; "
                    f"its rows had {self._full_width} before",
                )
        return unit_rows(np.stack(rows)[:, : self._width])


def _placed(parts: Sequence[ServerRows], places: Sequence[int], texts: int) -> csr_matrix:
    """Return sparse rows of all texts; those that were not sent have no terms."""
    none = sparse_rows([])
    rows = vstack([none, *(part.sparse for part in parts if part.sparse is not None)], "csr")
    lengths = np.zeros(texts, np.int64)
    lengths[list(places)] = np.diff(rows.indptr)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    return csr_matrix((rows.data, rows.indices, bounds), shape=(texts, COLUMNS))
