"""Encoders of several prompts that are read together; rows are kept on disk for each prompt."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from embedder.encoders.cached import CachedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.shared_prefix import encode_prompts_together, group_prompts, role_fingerprint
from embedder.progress import watching
from embedder.prompts.prompt import Prompt
from embedder.types import Representation, Role


class SharedRows:
    """One pass over texts for several encoders of a model.

    The first request for rows computes those of all prompts and writes them down; the others are
    read from disk, also after the process was killed.

    Args:
        encoders: read together, see `group_prompts`.
        role: side of the search.
        folder: where rows are kept, those of equal sides once.
        watched: texts whose reading is told, and no others': not the pseudo-queries that
            post-processing is fitted to.
        advance: called with the number of further texts read, as a share of the passes.
    """

    def __init__(
        self,
        encoders: Sequence[LLMEncoder],
        role: Role,
        folder: Path,
        watched: Sequence[str] = (),
        advance: Callable[[int], None] = lambda texts: None,
    ) -> None:
        self.role = role
        self.seconds = 0.0
        self._encoders = list(encoders)
        self._watched, self._advance = frozenset(watched), advance
        self._texts: tuple[str, ...] | None = None
        self._results: list[tuple[Representation, Counter[str]]] = []
        sides = [
            _SharedPrompt(self, at, role_fingerprint(prompt, role))
            for at, prompt in enumerate(encoders)
        ]
        self.readers = [CachedEncoder(prompt, folder) for prompt in sides]

    @property
    def share(self) -> float:
        """Seconds that reading took for each of the prompts."""
        return self.seconds / len(self._encoders)

    def rows(self, at: int, texts: Sequence[str]) -> tuple[Representation, Counter[str]]:
        """Return the rows of one encoder and its counts; new texts are read for all encoders."""
        if self._texts != tuple(texts):
            started = time.perf_counter()
            before = [Counter(encoder.counts) for encoder in self._encoders]
            passes, moved = len(group_prompts(self._encoders, self.role)), 0
            told = all(text in self._watched for text in texts)
            advance = self._advance if told else lambda _: None

            def move(done: int) -> None:
                nonlocal moved
                advance(done // passes - moved)
                moved = done // passes

            with watching(move, passes * len(texts)):
                rows = encode_prompts_together(self._encoders, texts, self.role)
            added = [Counter(encoder.counts) for encoder in self._encoders]
            for counts, earlier in zip(added, before, strict=True):
                counts.subtract(earlier)
            self._results = list(zip(rows, added, strict=True))
            self._texts = tuple(texts)
            self.seconds += time.perf_counter() - started
            for place, reader in enumerate(self.readers):
                if place != at:
                    reader.encode(texts, self.role)  # written down under each prompt
            advance(len(texts) - moved)
        return self._results[at]


class _SharedPrompt:
    """One prompt's part of a pass, as an encoder."""

    def __init__(self, shared: SharedRows, at: int, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._shared, self._at = shared, at
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals since creation."""
        return dict(self._counts)

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts, and those of the other prompts with them."""
        rows, counts = self._shared.rows(self._at, texts)
        self._counts.update(counts)
        return rows


class SharedEncoder:
    """An encoder whose work is shared with others, each side of the search with its own."""

    def __init__(self, encoder: LLMEncoder, sides: Mapping[Role, CachedEncoder]) -> None:
        self.encoder = encoder
        self._sides = sides

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the encoder inside."""
        return self.encoder.fingerprint

    @property
    def prompt(self) -> Prompt:
        """The prompt of the encoder inside."""
        return self.encoder.prompt

    @property
    def counts(self) -> Mapping[str, int]:
        """What the prompt does to texts where it is read alone."""
        return dict(sum((Counter(reader.counts) for reader in self._sides.values()), Counter()))

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Return rows, computed now or before."""
        return self._sides[role].encode(texts, role)

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Ask the encoder inside."""
        return self.encoder.term_names(terms, texts)


def digest(*texts: str) -> str:
    """Return 16 hex digits that stand for texts in order."""
    state = hashlib.blake2b(digest_size=8)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()
