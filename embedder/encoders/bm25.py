"""BM25 text analysis: a text becomes the counts of its stemmed words; weighing is the index's."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy

import numpy as np
from scipy.sparse import csr_matrix

from embedder.encoders.specs import BM25Spec
from embedder.text.fields import FieldedText, format_fields, parse_fields
from embedder.text.language_detection import LanguageDetector, detector_version
from embedder.text.languages import language_name, split_languages
from embedder.text.term_counts import count_columns
from embedder.text.word_terms import ANALYSIS as ANALYSIS
from embedder.text.word_terms import WHITESPACE as WHITESPACE
from embedder.text.word_terms import WordTerms, own_list, snowball_version
from embedder.text_encoder import TextEncoder
from embedder.types import Representation, Role, fingerprint_of, list_texts

_SUBTAG = re.compile("[-_]")  # what follows says more of a language: de-AT


class BM25Encoder(TextEncoder):
    """Encode a text as the counts of its terms, in a vocabulary that needs no state.

    Text is NFKC-normalised, case-folded and cut by `find_words`; stop words of the language are
    left out and the rest is stemmed by Snowball. Runs of a script without spaces become single
    characters and pairs of neighbours; beside a word in Hangul stand its pairs of syllables, and
    beside an emoji its parts. The column of a term is a 62-bit hash of it, so shards
    that were encoded apart agree. Queries and documents are treated alike.

    Of several languages a document is read as the one that it is in. A query is read as all of
    them, its terms united: it is too short to tell, and may be meant for documents in any. A term
    that several languages make of it counts once.

    Args:
        language: a Snowball algorithm ("english", "german", "porter", ...) or its ISO code, or
            "none" for text that is not to be stemmed; or several, "de,en,fr". "whitespace" takes
            what white space separates as it is: for the terms of other programs.
        stop_words: the words to leave out; or the name of a list in
            embedder/text/stop_words, "" for none; by default the language's own where there is one.
        analysis: 1 for an index that was made by the first rules, 2 for one whose languages had
            no stop words but English; by default the newest.
        fields: weights of a document's fields, "title^2,text": the counts of a term in each are
            multiplied by the field's weight and added (Robertson, Zaragoza and Taylor, CIKM
            2004). "" counts title and text together.
        language_field: a field that names a document's language, of several; where it names none
            of them, the text tells.

    >>> lw.BM25Encoder("en,de", fields="title^3,text").fields
    {'title': 3.0, 'text': 1.0}
    """

    def __init__(
        self,
        language: str = "english",
        stop_words: str | Sequence[str] | None = None,
        analysis: int | None = None,
        fields: str = "",
        language_field: str = "",
    ) -> None:
        names = split_languages(language)
        self._stop_words: str | tuple[str, ...] | None = (
            stop_words if stop_words is None or isinstance(stop_words, str) else tuple(stop_words)
        )
        self._language = ",".join(names)
        self._words = {name: WordTerms(name, self._stop_words, analysis) for name in names}
        self._detector = LanguageDetector(names) if len(names) > 1 else None
        if language_field and self._detector is None:
            raise ValueError(
                f"the field {language_field!r} chooses among several languages; "
                f"got {language!r}: give them as in 'de,en'"
            )
        self._fields = parse_fields(fields) if fields else {}
        self._language_field = language_field
        self._asked = names
        self._counts = Counter(texts=0, without_words=0)

    def asked_in(self, language: str) -> "BM25Encoder":
        """Return an encoder that reads queries in one of the languages, and documents alike.

        Raises:
            ValueError: it is none of them.
        """
        name = language_name(language)
        if name not in self._words:
            raise ValueError(
                f"bm25 of this index reads {', '.join(self._words)}; got the query language "
                f"{language!r}"
            )
        other = copy(self)
        other._asked = [name]
        return other

    @property
    def spec(self) -> BM25Spec | None:
        """What an index keeps of the encoder; a list by the name of another has no place."""
        words = self._stop_words
        if isinstance(words, str):
            own = {own_list(name, each.analysis) for name, each in self._words.items()} == {words}
            if words and not own:
                return None
            words = None if own else ()
        return BM25Spec(
            self._language,
            self._analysis,
            stop_words=words,
            fields=format_fields(self._fields),
            language_field=self._language_field,
        )

    @property
    def fingerprint(self) -> str:
        """Languages, stop words, fields and the versions of the rules."""
        words = self._words.values()
        listed = "\n\n".join("\n".join(sorted(each.stops)) for each in words).encode()
        facts: dict[str, object] = {}
        if self._fields:
            facts["fields"] = format_fields(self._fields)
        if self._detector is not None:
            facts["detector"] = detector_version()
        if self._language_field:
            facts["language_field"] = self._language_field
        return fingerprint_of(
            kind="bm25",
            language=self._language,
            stemmer=snowball_version(),
            stop_words=",".join(each.list_name for each in words),
            stop_words_hash=hashlib.blake2b(listed, digest_size=8).hexdigest(),
            analysis=self._analysis,
            **facts,
        )

    @property
    def _analysis(self) -> int:
        return max(each.analysis for each in self._words.values())

    @property
    def fields(self) -> Mapping[str, float]:
        """Weights of fields by name; empty where title and text are one."""
        return dict(self._fields)

    @property
    def reads_fields(self) -> bool:
        """Whether `encode_fields` gives other rows than `encode` of title and text."""
        return bool(self._fields) or self._detector is not None

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Count terms: sparse (len(texts), 2**62) float32 counts; a text may have none."""
        role, texts = Role(role), list_texts(texts)
        if role is Role.DOCUMENT and self._detector is not None:
            columns = self._columns_in([self._detect(text) for text in texts], texts)
        elif len(self._asked) == 1:
            return self._represent(self._words[self._asked[0]].count(texts))
        else:
            columns = self._united(texts, self._asked)
        return self._represent(count_columns(columns))

    def note_encoded(self, texts: int, without_words: int) -> None:
        """Count texts as encoded; also those that another process has encoded for this one."""
        self._counts.update(texts=texts, without_words=without_words)

    def encode_fields(self, passages: Sequence[FieldedText]) -> Representation:
        """Count the terms of passages, each in its language and times the weight of its field."""
        languages = self._languages_of(passages)
        if not self._fields:
            texts = [passage.content for passage in passages]
            return self._represent(count_columns(self._columns_in(languages, texts)))
        parts = []
        for name, weight in self._fields.items():
            texts = [passage.read(name) for passage in passages]
            self._counts[f"without_{name}"] += sum(not text for text in texts)
            parts.append(count_columns(self._columns_in(languages, texts)) * np.float32(weight))
        return self._represent(sum(parts[1:], start=parts[0]))

    def weigh_fields(self, passage: FieldedText, parts: Mapping[int, float]) -> dict[str, float]:
        """Share parts of a score among the fields that brought them, by their weighted counts.

        Args:
            passage: that was scored.
            parts: column -> part of the score.
        """
        (language,) = self._languages_of([passage])
        weighted = {
            name: Counter(self._words[language].columns([passage.read(name)])[0])
            for name in self._fields
        }
        totals = {
            column: sum(self._fields[name] * counts[column] for name, counts in weighted.items())
            for column in parts
        }
        return {
            name: math.fsum(
                part * self._fields[name] * counts[column] / totals[column]
                for column, part in parts.items()
                if counts[column]
            )
            for name, counts in weighted.items()
        }

    def columns(self, texts: Iterable[str]) -> list[list[int]]:
        """Return the columns that the terms of each text stand in, of all languages united."""
        return self._united(list(texts), list(self._words))

    def _united(self, texts: Sequence[str], languages: Sequence[str]) -> list[list[int]]:
        united, *others = (self._words[language].columns(texts) for language in languages)
        for columns in others:
            pairs = zip(map(Counter, united), map(Counter, columns), strict=True)
            united = [[*(one | other).elements()] for one, other in pairs]
        return united

    def term_names(self, terms: Sequence[int], texts: Sequence[str]) -> dict[int, str]:
        """Name columns by the first word of `texts` that stands in them; "<id>" if none does."""
        names = {term: f"<{term}>" for term in terms}
        unnamed = set(terms)
        for text in texts:
            for words in self._words.values():
                for column, word, _ in words.stems(text):
                    if column in unnamed:
                        names[column] = word
                        unnamed.discard(column)
        return names

    def learn_stems(self, texts: Iterable[str], stems: dict[int, str]) -> None:
        """Add column -> term as it is counted, for the terms of texts."""
        for text in texts:
            for words in self._words.values():
                for column, _, stem in words.stems(text):
                    stems.setdefault(column, stem)

    def overlooks(self, texts: Iterable[str]) -> bool:
        """Tell whether today's rules see terms in texts that those of this encoder do not."""
        if self._analysis > 1:
            return False
        today = BM25Encoder(self._language, self._stop_words)
        return any(not set(self.terms(text)).issuperset(today.terms(text)) for text in texts)

    def terms(self, text: str) -> Iterator[str]:
        """Yield the words of a text before they are stemmed, stop words among them, in order."""
        for words in self._words.values():
            yield from words.words(text)

    def _represent(self, rows: csr_matrix) -> Representation:
        self.note_encoded(rows.shape[0], int((np.diff(rows.indptr) == 0).sum()))
        return Representation(None, rows, np.arange(rows.shape[0]))

    def _columns_in(self, languages: Sequence[str], texts: Sequence[str]) -> list[list[int]]:
        """Return the columns of each text as its language has them."""
        pairs = zip(languages, texts, strict=True)
        return [self._words[language].columns([text])[0] for language, text in pairs]

    def _languages_of(self, passages: Sequence[FieldedText]) -> list[str]:
        """Return the language of each passage's document, and count them."""
        if self._detector is None:
            return [self._language] * len(passages)
        detected: dict[str, str] = {}
        languages = []
        for passage in passages:
            language = self._named(passage)
            if not language:
                if passage.opening not in detected:
                    detected[passage.opening] = self._detect(passage.opening)
                language = detected[passage.opening]
            self._counts[f"in_{language}"] += 1
            languages.append(language)
        return languages

    def _named(self, passage: FieldedText) -> str:
        """Return the language that the document names, "" where it is none of these."""
        if not self._language_field:
            return ""
        code = _SUBTAG.split(passage.read(self._language_field).strip().lower())[0]
        name = language_name(code)
        self._counts["other_language"] += name not in self._words
        return name if name in self._words else ""

    def _detect(self, text: str) -> str:
        """Return the language that a text is in, the first where nothing tells it."""
        assert self._detector is not None
        language = self._detector.detect(text)
        self._counts["undetected"] += language is None
        return language or next(iter(self._words))
