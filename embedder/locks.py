"""One lock for each loaded model and each tokenizer, whoever uses it.

Hooks sit in a model's modules, where every pass that runs meanwhile would meet them, and a
tokenizer keeps how it was called last; so passes through one model, and calls of one tokenizer,
go one after the other. A thread that holds a tokenizer's lock may take the model's, never the
other way round.
"""

from threading import Lock, RLock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from _thread import RLock as Reentrant
    from collections.abc import Hashable

_locks: "WeakKeyDictionary[Hashable, Reentrant]" = WeakKeyDictionary()
_choosing = Lock()


def lock_of(thing: "Hashable") -> "Reentrant":
    """Return the lock of a model or tokenizer: the same for the same object."""
    with _choosing:
        if thing not in _locks:
            _locks[thing] = RLock()
        return _locks[thing]
