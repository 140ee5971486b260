"""Cut text into sentences by Unicode rules, and pack sentences into chunks; no data files.

The classes of characters are those of UAX 29 (terminators, closers). Three things differ from it:
`!` and `?` need a space after them (an address may hold them), abbreviations of English are known,
and a full stop before a lower-case letter ends a sentence, for text that has no capitals at all.
"""

from collections.abc import Sequence

import regex  # type: ignore[import-untyped]

# No full stop after these ends a sentence: titles, and what is only written before something.
_ANY_CASE = "dr|mr|mrs|prof|sgt|capt|vs|cf|viz|approx|resp"
_CAPITAL = "Ms|Mx|St|Mt|Rev|Hon|Gen|Col|Lt|Sen|Rep|Gov|Messrs|Mme|Mlle|Fig|Figs|Eq|Eqs|Sec"
# Nor after these where a number follows ("No. 5", but not "No. I am sure").
_BEFORE_NUMBER = (
    "nos?|figs?|eqs?|secs?|chs?|vols?|refs?|tab|pp?|c|ca"
    "|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)
# After these only where a capital follows ("etc. The", but not "etc. and", "et al. (2020)").
_BEFORE_SMALL = "etc|al|inc|ltd|co|corp|jr|sr|dept|est|max|min"
_NOT_IN_WORD = r"(?<![\p{L}\p{N}\p{M}.])"

_NARROW = ".!?\u2026\u203c\u203d\u2047\u2048\u2049"  # a space must follow
_WIDE = rf"(?:[\p{{SB=STerm}}--[{_NARROW}]]|\uff0e(?!\p{{Nd}}))"  # none need follow
_CLOSERS = r"[\p{Pe}\p{Pf}\"']"
# Some languages close with a mark that opens in others; right after a stop it closes. French
# parts the mark from the stop by a space that does not break.
_NARROW_CLOSERS = r"(?:[\p{Pe}\p{Pf}\p{Pi}\"']++|[\u00a0\u202f][\u00bb\u203a])"

_ONE_STOP = rf"""
    \.(?![{_NARROW}])(?={_NARROW_CLOSERS}?(?:\s|\Z))  # most stops inside words end here
    (?<!{_NOT_IN_WORD}(?:(?i:{_ANY_CASE})|{_CAPITAL})\.)
    (?<!{_NOT_IN_WORD}(?:\p{{Lu}}|(?:\p{{L}}{{1,2}}\.){{1,5}}\p{{L}}{{1,2}})\.)  # J. U.S.A. e.g.
    (?<!^[^\S\n]{{0,9}}[(\[]?\d{{1,3}}\.)  # the number of an item
    (?:(?<!{_NOT_IN_WORD}(?i:{_BEFORE_NUMBER})\.)|(?!\s*[(\[]?\p{{Nd}}))
    (?:(?<!{_NOT_IN_WORD}(?i:{_BEFORE_SMALL})\.)|(?={_CLOSERS}*\s+[\p{{Pi}}"']*\p{{Lu}}))
"""
_END = regex.compile(
    rf"""(?V1)(?xm)
    (?<![{_NARROW}])
    (?: [.\u2026]{{2,}}+(?![{_NARROW}]|\s+\p{{Ll}}) | \u2026(?![{_NARROW}]|\s+\p{{Ll}})
      | (?=[.\u2026]*+[!?\u203c\u203d\u2047-\u2049])[{_NARROW}]++
      | {_ONE_STOP}
    )
    (?:{_NARROW_CLOSERS}(?!\s+\p{{Ll}}))?+  # "Stop!" he said.
    (?:\s++|\Z)
    | {_WIDE}(?:{_WIDE}|[{_NARROW}])*+{_CLOSERS}*+(?P<on>(?=[,;:\u3001\uff0c\uff1b\uff1a]))?+\s*+
    | (?:\n[^\S\n]*+\n|\u2029)\s*+  # a blank line
    """
)
_NUMBER_OF_ITEM = regex.compile(r"[(\[]?\p{Nd}{1,3}\.\s*")


def split_sentences(text: str) -> list[str]:
    """Cut a text into sentences which, joined, are the text again.

    The space between two sentences belongs to the first, so that no sentence is empty or blank,
    unless the whole text is blank.

    Returns:
        One string per sentence; none for an empty text.
    """
    pieces, start = [], 0
    first = len(text) - len(text.lstrip())  # blank lines before the text end nothing
    for match in _END.finditer(text, first):
        goes_on = match["on"] is not None  # a comma after the stop
        if goes_on or _NUMBER_OF_ITEM.fullmatch(text, start, match.end()):
            continue
        pieces.append(text[start : match.end()])
        start = match.end()
    if start < len(text):
        pieces.append(text[start:])
    return pieces


def pack_sentences(lengths: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Pack consecutive sentences into chunks of at most `limit` tokens, each as full as it gets.

    Args:
        lengths: (n,) tokens of each sentence.
        limit: tokens per chunk, at least 1; a sentence longer than it stands alone.

    Returns:
        The [start, end) of every chunk in sentences; chunks follow one another and are not empty.

    Raises:
        ValueError: the limit is below 1.
    """
    if limit < 1:
        raise ValueError(f"a chunk holds at least 1 token, got a limit of {limit}")
    chunks, start, tokens = [], 0, 0
    for position, length in enumerate(lengths):
        if position > start and tokens + length > limit:
            chunks.append((start, position))
            start, tokens = position, 0
        tokens += length
    if len(lengths):
        chunks.append((start, len(lengths)))
    return chunks
