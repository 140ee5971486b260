"""Cut text into words by Unicode character classes; no data files, case kept."""

import regex  # type: ignore[import-untyped]

# Han, kana and the scripts of South-East Asia are written without spaces between words. The
# prolonged sound marks belong to both kana scripts, so that Unicode gives them to neither.
_UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\N{KATAKANA-HIRAGANA PROLONGED SOUND MARK}"
    r"\N{HALFWIDTH KATAKANA-HIRAGANA PROLONGED SOUND MARK}"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
)
_RUN = rf"[[\p{{L}}\p{{N}}]&&[{_UNSPACED}]][[\p{{L}}\p{{N}}\p{{M}}]&&[{_UNSPACED}\p{{M}}]]*"
_START = rf"[[\p{{L}}\p{{N}}]--[{_UNSPACED}]]"
_LETTER = rf"[\p{{L}}--[{_UNSPACED}]]\p{{M}}*"
# Joiners and the soft hyphen are invisible and stand inside words (Persian, Indic, hyphenation).
_REST = rf"[[\p{{L}}\p{{N}}\p{{M}}\N{{SOFT HYPHEN}}\u200c\u200d]--[{_UNSPACED}]]*"
_WORDS = regex.compile(
    rf"(?V1){_RUN}"
    rf"|{_LETTER}(?:\.{_LETTER})+(?![\p{{L}}\p{{N}}])"
    rf"|{_START}{_REST}(?:(?:['\u2019](?=\p{{L}})|(?<=\p{{Nd}})[.,](?=\p{{Nd}})){_START}{_REST})*"
)
_UNSPACED_START = regex.compile(rf"(?V1)[{_UNSPACED}]")


def words(text: str) -> list[str]:
    """List the words of a text, in order, in the case that they were written in.

    A word is a longest run of letters, digits and the marks on them, after UAX 29, and

    - an apostrophe between letters joins (don't, l'eau), a full stop or comma between digits
      joins (3.14, 1,000), a full stop between single letters joins (U.S.A);
    - everything else separates, also the hyphen, the underscore and a full stop between longer
      words, where UAX 29 would join "end.Next";
    - scripts without spaces (Han, kana, Thai, Lao, Khmer, Myanmar) are kept as one run, apart
      from neighbours of other scripts: cutting them needs a dictionary or `is_unspaced` bigrams.
    """
    found: list[str] = _WORDS.findall(text)
    return found


def is_unspaced(word: str) -> bool:
    """Tell whether an item of `words` is a run of a script written without spaces."""
    return not word.isascii() and _UNSPACED_START.match(word) is not None
