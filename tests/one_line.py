"""A wrong call from Python: the error says what was wrong, in one line."""

import re
from collections.abc import Callable

import pytest


def check_one_line(call: Callable[[], object], error: type[Exception], message: str) -> None:
    """Demand that a call raises an error of one line with this message in it."""
    with pytest.raises(error, match=re.escape(message)) as caught:
        call()
    assert "\n" not in str(caught.value)
