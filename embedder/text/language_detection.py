"""Tell which of some languages a text is in."""

import threading
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any

from embedder.text.languages import LANGUAGES

READ = 500  # characters of a text, from its beginning
_NOTHING = -1e38  # log-likelihoods stay above it where a text has anything to tell by


class LanguageDetector:
    """Tells languages by naive Bayes over byte n-grams (langid.py, Lui and Baldwin, ACL 2012).

    The model is that of py3langid, 4.6 MB of plain arrays, loaded with the first text. A text's
    answer depends on nothing but the text and the languages.

    Args:
        languages: at least two, by the names of `LANGUAGES`.

    Raises:
        ValueError: py3langid is not installed.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        codes = {name: code for code, name in LANGUAGES.items()}
        self._names = {codes[name]: name for name in languages}
        self._lock = threading.Lock()
        _langid()

    def detect(self, text: str) -> str | None:
        """Return the language of a text's beginning, None where nothing tells it."""
        with self._lock:  # the model is loaded once
            model = self._model
        code, likelihood = model.classify(text[:READ])
        return self._names[code] if likelihood > _NOTHING else None

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401  (the package has no types)
        module = _langid()
        model = module.LanguageIdentifier.from_model_file(module.MODEL_FILE)
        model.set_languages([*self._names])
        return model


def detector_version() -> str:
    """Name the release whose model tells languages: another may tell otherwise."""
    return "py3langid " + ".".join(version("py3langid").split(".")[:2])


def _langid() -> Any:  # noqa: ANN401
    try:
        from py3langid import langid  # type: ignore[import-untyped]
    except ImportError as error:
        raise ValueError(
            "several languages are told apart by the package py3langid: pip install py3langid"
        ) from error
    return langid
