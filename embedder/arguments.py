"""Checks of what people give to `lastword` from Python: one line that says what was expected."""

from numbers import Integral


def check_text(value: object, name: str, advice: str = "") -> None:
    """Refuse what is no text.

    Args:
        value: of an argument.
        name: of the argument, as errors begin with it.
        advice: what errors end with.

    Raises:
        TypeError: it is no str.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str; got {type(value).__name__}{advice}")


def check_query(value: object, name: str, advice: str = "") -> None:
    """Refuse what no encoder can read as a query; see `check_text`.

    Raises:
        TypeError: it is no str.
        ValueError: it holds half of a character.
    """
    check_text(value, name, advice)
    try:
        str(value).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} is not legal Unicode ({error})") from None


def check_count(value: object, name: str) -> int:
    """Return a whole number, also one of NumPy, as an int.

    Raises:
        TypeError: it is none; True is none either.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number; got {value!r:.60}")
    return int(value)
