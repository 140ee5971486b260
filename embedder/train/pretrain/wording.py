"""Put prompts round token ids exactly as the model will be used, and pad."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedder.text.stop_words import stop_words
from embedder.train.data.corpus import TokenIds
from embedder.train.pretrain.settings import PHRASINGS
from embedder.train.pretrain.tokenizer import BOS, PAD
from embedder.types import Role

if TYPE_CHECKING:
    from tokenizers import Tokenizer

OWN_SHARE = 0.5  # of batches that are phrased in the model's own prompt
# Signs that stand inside words (3.14, 1,000, don't) are looked up with these words at use, so
# the model has to learn that they weigh nothing; all others never name a word.
SIGNS_OUTSIDE_WORDS = '!"#$%&()*+-/:;<=>?@[\\]^_`{|}~'


class Prompted(NamedTuple):
    """Texts inside their prompt, padded on the right.

    Attributes:
        ids: (n, length) int64.
        last: (n,) int64 position of each prompt's last token.
    """

    ids: NDArray[np.int64]
    last: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PromptIds:
    """The prompts in token ids, and which ids may stand for a text.

    Attributes:
        before: ids in front of the text by role, for each phrasing; BOS first.
        after: ids behind the text by role, for each phrasing.
        pad: id of padding.
        silent: (vocabulary,) bool, ids of stop words, signs and special tokens, and those in
            which prompts end.
    """

    before: dict[Role, tuple[TokenIds, ...]]
    after: dict[Role, tuple[TokenIds, ...]]
    pad: int
    silent: NDArray[np.bool_]

    @classmethod
    def of(cls, tokenizer: "Tokenizer") -> "PromptIds":
        """Tokenise prefix and suffix of each template apart from the text."""

        def ids(text: str) -> list[int]:
            return list(tokenizer.encode(text, add_special_tokens=False).ids)

        bos = tokenizer.token_to_id(BOS)
        before: dict[Role, tuple[TokenIds, ...]] = {}
        after: dict[Role, tuple[TokenIds, ...]] = {}
        for role in (Role.QUERY, Role.DOCUMENT):
            split = [phrasing[role].split("{text}") for phrasing in PHRASINGS.values()]
            before[role] = tuple(np.array([bos, *ids(a)], dtype=np.uint16) for a, _ in split)
            after[role] = tuple(np.array(ids(b), dtype=np.uint16) for _, b in split)
        silent = np.zeros(tokenizer.get_vocab_size(), dtype=np.bool_)
        silent[:4] = True  # the special tokens come first
        alone = [ids(word) for word in (*sorted(stop_words("english")), *SIGNS_OUTSIDE_WORDS)]
        silent[[token_ids[0] for token_ids in alone if len(token_ids) == 1]] = True
        silent[[end[-1] for ends in after.values() for end in ends]] = True
        return cls(before, after, int(tokenizer.encode(PAD).ids[-1]), silent)

    @property
    def prompt_ids(self) -> NDArray[np.int64]:
        """The ids that stand in prompts, whatever the text."""
        parts = [*self.before.values(), *self.after.values()]
        return np.unique(np.concatenate([ids for part in parts for ids in part])).astype(np.int64)

    def drawn(self, rng: np.random.Generator) -> int:
        """Draw a phrasing: the model's own half of the time, else any other."""
        others = len(self.before[Role.QUERY]) - 1
        return 0 if rng.random() < OWN_SHARE else 1 + int(rng.integers(others))

    def wrap(self, texts: Sequence[TokenIds], role: Role, phrasing: int = 0) -> Prompted:
        """Surround texts with a role's prompt."""
        before, after = self.before[role][phrasing], self.after[role][phrasing]
        around = len(before) + len(after)
        last = np.array([len(text) + around - 1 for text in texts], dtype=np.int64)
        ids = np.full((len(texts), int(last.max()) + 1), self.pad, dtype=np.int64)
        for row, text in zip(ids, texts, strict=True):
            row[: len(text) + around] = np.concatenate([before, text, after])
        return Prompted(ids, last)

    def own(self, texts: Sequence[TokenIds]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (rows, ids): the different content ids of each text, sorted by text, then id."""
        own_terms = [np.unique(text) for text in texts]
        terms = [ids[~self.silent[ids]].astype(np.int64) for ids in own_terms]
        rows = np.repeat(np.arange(len(terms)), [len(ids) for ids in terms])
        return rows, np.concatenate(terms)
