"""Find the headings of a text: Markdown, underlined lines, and short lines that stand alone."""

import regex  # type: ignore[import-untyped]

LONGEST = 120  # characters of a heading
_WORDS = 12  # of a line that only its place and its first letter make a heading

_FENCE = regex.compile(r"^ {0,3}(```|~~~)", regex.MULTILINE)
_MARKED = r" {0,3}#{1,6}[ \t]+\S[^\n]*+"
_UNDERLINED = rf"[^\s=~*#|>-][^\n]{{0,{LONGEST}}}+\n(?P<rule>[=~^*+-])(?P=rule){{2,}}+[ \t]*+"
_NUMBER = r"(?:\p{Nd}{1,3}(?:\.\p{Nd}{1,3}){0,4}\.?[ \t]+)?"
_ALONE = (
    rf"(?<=\A|\n[ \t]{{0,8}}\n){_NUMBER}\p{{Lu}}[^\n]{{1,{LONGEST}}}"
    r"(?<![.!?,;:\u3002\uff01\uff1f])(?=[ \t]*\n[ \t]*\n\s*\S)"  # a line with a stop is a sentence
)
_HEADING = regex.compile(rf"(?V1)(?m)^(?:(?:{_MARKED}|{_UNDERLINED})$|{_ALONE})")


def find_headings(text: str) -> list[tuple[int, int]]:
    """Return where the headings of a text start and end, in characters and in order.

    A heading is a line that begins with "#", one that is underlined ("===", "---"), or a line of
    at most 12 words between blank lines that begins with a capital, perhaps behind a number, and
    ends without a stop. Lines of fenced code are none.
    """
    if "\n" not in text and not text.lstrip(" ").startswith("#"):
        return []  # quicker to see than by the patterns
    fences = [match.start() for match in _FENCE.finditer(text)]
    found = []
    for match in _HEADING.finditer(text):
        start, end = match.span()
        inside_code = sum(fence < start for fence in fences) % 2 == 1 if fences else False
        alone = match["rule"] is None and not match[0].lstrip(" ").startswith("#")
        if inside_code or (alone and len(match[0].split()) > _WORDS):
            continue
        found.append((start, end))
    return found
