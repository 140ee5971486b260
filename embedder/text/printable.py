"""Make the characters visible that steer a terminal or a page instead of being read."""

import re

_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: escape sequences begin with one of these
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they turn the order of letters round
    "\u2028\u2029\ufeff\ufff9-\ufffb\ufffe\uffff"  # line ends, byte-order marks, no characters
    "\ud800-\udfff]"  # halves of a pair, which no encoding of text can write
)


def printable(text: str, keep: str = "") -> str:
    r"""Write control characters as escapes: an ESC becomes the four characters \x1b.

    What scripts and emoji need (joiners, variation selectors) stays as it is.

    Args:
        text: of any origin: an id, a title, a file name, a message.
        keep: characters to leave alone, such as line feeds between lines of our own.
    """
    return _STEERING.sub(
        lambda match: match[0] if match[0] in keep else ascii(match[0])[1:-1], text
    )


def escape_json(text: str) -> str:
    """Write the control characters that JSON lets pass (DEL, C1, bidi) as its own escapes.

    Args:
        text: JSON; such characters can only stand inside its strings.
    """
    return _STEERING.sub(
        lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text
    )
