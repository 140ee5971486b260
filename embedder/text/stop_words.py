"""Stop-word lists, and the words of a text without them."""

import string
from functools import cache
from pathlib import Path
from typing import Literal

from embedder.text.words import find_words

Segmentation = Literal["unicode", "nltk"]
STOP_WORDS = Path(__file__).parent / "stop_words"

_PUNCTUATION = frozenset(string.punctuation)


@cache
def stop_words(name: str) -> frozenset[str]:
    """Read a stop-word list by name; "" is the empty list."""
    if not name:
        return frozenset()
    known = sorted(path.stem for path in STOP_WORDS.glob("*.txt"))
    if name not in known:
        raise ValueError(f"no stop-word list is called {name!r}; there is {', '.join(known)}")
    lines = (STOP_WORDS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("# "))


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
