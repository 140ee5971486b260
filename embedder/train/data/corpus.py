"""Read training passages and pairs from a corpus folder into flat arrays of token ids."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from embedder.files.config_file import parse_json
from embedder.files.durable import replacing
from embedder.files.lines import read_lines, shorten

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TokenIds = NDArray[np.uint16]
PASSAGE_FILES = ("passages.jsonl.xz", "extra.jsonl.xz")  # the second may be absent
PAIR_FILE = "pairs.jsonl.xz"
PASSAGE_TOKENS = 256  # longer passages are cut: training sees far fewer
QUERY_TOKENS = 64
TEXTS, NUMBERS = ("passages", "titles", "queries"), ("positives", "cuts")


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedTexts:
    """Many texts in one array: text i is tokens[starts[i]:starts[i + 1]].

    Attributes:
        tokens: (total,) uint16 token ids.
        starts: (n + 1,) int64, non-decreasing, from 0 to total.
    """

    tokens: TokenIds
    starts: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.starts[0] != 0 or self.starts[-1] != len(self.tokens):
            raise ValueError(f"starts must run from 0 to {len(self.tokens)} tokens")

    @staticmethod
    def of(texts: Sequence[TokenIds]) -> "TokenizedTexts":
        """Put texts one after another."""
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        tokens = np.concatenate([np.zeros(0, dtype=np.uint16), *texts])
        return TokenizedTexts(tokens, np.concatenate([[0], np.cumsum(lengths)]))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, text: int) -> TokenIds:
        return self.tokens[self.starts[text] : self.starts[text + 1]]


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """Passages with their titles, and queries whose answers they are.

    Attributes:
        passages: n texts.
        titles: n texts, the title of each passage (the same for the passages of one section).
        queries: m texts.
        positives: (m,) int64 passage that answers each query.
        cuts: (m,) int64 tokens to take off the front of that passage, as they are the query.
    """

    passages: TokenizedTexts
    titles: TokenizedTexts
    queries: TokenizedTexts
    positives: NDArray[np.int64]
    cuts: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write everything to one .npz file."""
        arrays: dict[str, Any] = {}
        for name in NUMBERS:
            arrays[name] = getattr(self, name)
        for name in TEXTS:
            texts: TokenizedTexts = getattr(self, name)
            arrays |= {f"{name}_tokens": texts.tokens, f"{name}_starts": texts.starts}
        with replacing(path) as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Corpus":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:

            def texts(name: str) -> TokenizedTexts:
                return TokenizedTexts(arrays[f"{name}_tokens"], arrays[f"{name}_starts"])

            return cls(
                passages=texts("passages"),
                titles=texts("titles"),
                queries=texts("queries"),
                positives=arrays["positives"],
                cuts=arrays["cuts"],
            )


def read_records(path: Path, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the objects of a .jsonl.xz file.

    Raises:
        ValueError: a line is not a JSON object, or one of `fields` is no text in it; names the
            line.
    """
    for place, line in read_lines(path):
        record = parse_json(line, place, finite=False, encodable=True)
        if not isinstance(record, dict):
            raise ValueError(f"{place}: expected a JSON object; got {type(record).__name__}")
        wrong = [name for name in fields if not isinstance(record.get(name), str)]
        if wrong:
            text = shorten(record.get(wrong[0]))
            raise ValueError(f"{place}: expected text in {', '.join(fields)}; {wrong[0]} is {text}")
        yield record


def passage_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield every passage of a corpus folder, in order."""
    for name in PASSAGE_FILES:
        if (folder / name).exists():
            yield from read_records(folder / name, ("id", "title", "text"))
        elif name == PASSAGE_FILES[0]:
            raise FileNotFoundError(f"a corpus folder holds {name}; {folder} does not")


def tokenizer_texts(folder: Path, every: int) -> Iterator[str]:
    """Yield the text of every n-th passage: enough to learn merges from."""
    for number, line in enumerate(passage_lines(folder)):
        if number % every == 0:
            yield line["text"]


def read_corpus(folder: Path, tokenizer: "Tokenizer") -> Corpus:
    """Tokenise a corpus folder.

    A pair of kind "first_sentence" has a passage that begins with its query; `cuts` says how
    many tokens that is. Pairs that name an unknown passage are an error.
    """
    rows: dict[str, int] = {}

    def texts() -> Iterator[str]:
        for line in passage_lines(folder):
            rows[line["id"]] = len(rows)
            yield line["title"]
            yield line["text"]

    both = _tokenise(texts(), tokenizer, PASSAGE_TOKENS)
    titles, passages = TokenizedTexts.of(both[0::2]), TokenizedTexts.of(both[1::2])
    pairs = list(read_records(folder / PAIR_FILE, ("query", "positive_id", "kind")))
    unknown = next((pair for pair in pairs if pair["positive_id"] not in rows), None)
    if unknown is not None:
        raise ValueError(f"a pair names passage {unknown['positive_id']!r}, which is not there")
    query_texts = (pair["query"] for pair in pairs)
    queries = TokenizedTexts.of(_tokenise(query_texts, tokenizer, QUERY_TOKENS))
    first = np.array([pair["kind"] == "first_sentence" for pair in pairs], dtype=np.bool_)
    return Corpus(
        passages=passages,
        titles=titles,
        queries=queries,
        positives=np.array([rows[pair["positive_id"]] for pair in pairs], dtype=np.int64),
        # Words keep their ids in any company, so the query's tokens open the passage's.
        cuts=np.where(first, np.diff(queries.starts), 0),
    )


def _tokenise(texts: Iterable[str], tokenizer: "Tokenizer", limit: int) -> list[TokenIds]:
    tokenized: list[TokenIds] = []
    stream = iter(texts)
    while batch := list(islice(stream, 4096)):
        tokenizer.encode_special_tokens = True  # what a text spells is text
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            tokenized.append(np.array(encoding.ids[:limit], dtype=np.uint16))
        tokenizer.encode_special_tokens = False
    return tokenized
