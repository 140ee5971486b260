"""Stop-word lists, and the words of a text without them."""

import string
from functools import cache
from pathlib import Path
from typing import Literal

from embedder.files.config_file import decode, read_small_file
from embedder.text.words import find_words

Segmentation = Literal["unicode", "nltk"]
STOP_WORDS = Path(__file__).parent / "stop_words"

_LONGEST = 1 << 20  # bytes of a file of somebody's own
_PUNCTUATION = frozenset(string.punctuation)


@cache
def stop_words(name: str) -> frozenset[str]:
    """Read a stop-word list by name; "" is the empty list."""
    if not name:
        return frozenset()
    known = sorted(path.stem for path in STOP_WORDS.glob("*.txt"))
    if name not in known:
        raise ValueError(f"no stop-word list is called {name!r}; there is {', '.join(known)}")
    return frozenset(_words_of((STOP_WORDS / f"{name}.txt").read_text(encoding="utf-8")))


def read_word_list(path: Path) -> tuple[str, ...]:
    """Read a file of stop words, one on each line; lines that start with "# " are comments.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no text in UTF-8, holds no words, or more than a MiB.
    """
    data = read_small_file(path, _LONGEST)
    words = tuple(dict.fromkeys(_words_of(decode(data, str(path)))))
    if not words:
        raise ValueError(f"{path} holds no words; to leave out none, say --stop-words none")
    return words


def _words_of(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines() if not line.startswith("# "))
    return [line for line in lines if line]


def content_words(text: str, segmentation: Segmentation, stops: frozenset[str]) -> list[str]:
    """Return the lower-cased words of a text without stop words and punctuation, in order.

    A word that occurs twice is returned twice (PromptReps, Zhuang et al., EMNLP 2024).
    """
    lowered = text.lower()
    if segmentation == "nltk":
        words = nltk_words(lowered)
    else:  # the stop list writes its contractions with a straight apostrophe
        words = find_words(lowered.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return [word for word in words if word not in stops and word not in _PUNCTUATION]


def nltk_words(text: str) -> list[str]:
    """Split as `nltk.word_tokenize` does, which needs its punkt_tab data."""
    try:
        import nltk
    except ImportError as error:
        raise ValueError('words = "nltk" needs the nltk package: pip install nltk') from error
    try:
        return list(nltk.word_tokenize(text))
    except LookupError as error:
        raise ValueError(
            'words = "nltk" needs the punkt_tab data of nltk, which is not installed: '
            "python -m nltk.downloader punkt_tab, or set NLTK_DATA, or use the prompt promptreps"
        ) from error
