"""Tokenise strings of wording and texts: control tokens act in the wording, a text stays text."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from embedder.inputs.marked_tokenizer import (
    APART,
    JOINED,
    Marks,
    control_tokens,
    marked_copy,
    unspelled,
)
from embedder.locks import lock_of
from embedder.prompts.template import TextRun

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


# Private characters around the number of a control token.
_OPEN, _SHUT = "\ue002", "\ue003"
_STAND_IN = re.compile(f"{_OPEN}([0-9]{{1,9}}){_SHUT}")


@dataclass(frozen=True, slots=True)
class TokenizedString:
    """A string as token ids.

    Attributes:
        ids: every token, without any that a tokenizer adds by itself.
        offsets: for each token, the characters (first, one past the last) that it stands for;
            None where the tokenizer does not tell.
        bounds: for each run, the characters that it takes in the string that was cut.
    """

    ids: list[int]
    offsets: Sequence[tuple[int, int]] | None
    bounds: Sequence[tuple[int, int]]

    def stretch(self, runs: range) -> range:
        """Return the positions of the tokens that stand for runs; empty where none does."""
        start, stop = self.bounds[runs.start][0], self.bounds[runs.stop - 1][1]
        inside = [at for at, (a, b) in enumerate(self.offsets or ()) if a < stop and b > start]
        return range(inside[0], inside[-1] + 1) if inside else range(0)


class TextTokenizer:
    """Cuts strings as a tokenizer does, but that no text can spell a control token.

    Attributes:
        placeholder: the id that stands for a placeholder, the first above the tokenizer's own.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", acting: bool = False) -> None:
        """Wrap a tokenizer.

        Args:
            tokenizer: stays as it is.
            acting: let the special tokens that a text spells act, as most programs do.
        """
        self._tokenizer = tokenizer
        self._acting = acting
        self._controls = _controls_of(tokenizer)
        self._names, self._marks = self._controls.names, self._controls.marks
        self.placeholder = self._controls.placeholder
        self._unknown = str(tokenizer.unk_token or "")
        # Unknown characters become this id too, so that it does not tell of a spelled token.
        self._control = set(self._names.values()) - {tokenizer.unk_token_id}

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Cut texts, each for itself."""
        if not texts:
            return []
        with lock_of(self._tokenizer):
            output = self._tokenizer(list(texts), add_special_tokens=False, verbose=False).input_ids
            rows = [list(ids) for ids in output]
            for at, text in enumerate(texts):
                run = TextRun("text", text)
                if not self._acting and self._is_suspect([run], rows[at]):
                    rows[at] = self._cut_marked([[run]])[0].ids
        return rows

    def encode(self, strings: Sequence[Sequence[TextRun]]) -> list[TokenizedString]:
        """Cut strings, each in one go."""
        with lock_of(self._tokenizer):  # it keeps how it was called last
            return self._encode(strings)

    def _encode(self, strings: Sequence[Sequence[TextRun]]) -> list[TokenizedString]:
        direct = [
            at for at, runs in enumerate(strings) if all(run.kind != "placeholder" for run in runs)
        ]
        texts = [[run.text for run in strings[at]] for at in direct]
        tokenized = dict(zip(direct, _call(self._tokenizer, texts), strict=True))
        for at in direct:
            if not self._acting and self._spells(strings[at], tokenized[at]):
                del tokenized[at]
        waiting = [at for at in range(len(strings)) if at not in tokenized]
        tokenized |= zip(waiting, self._cut_marked([strings[at] for at in waiting]), strict=True)
        return [tokenized[at] for at in range(len(strings))]

    def _spells(self, runs: Sequence[TextRun], tokenized: TokenizedString) -> bool:
        """Tell whether a text among the runs has become a control token, or may have."""
        if not self._is_suspect(runs, tokenized.ids):
            return False
        if self._spells_unknown(runs):
            return True
        if tokenized.offsets is None:
            acting = sum(token in self._control for token in tokenized.ids)
            return acting != sum(self._marks.count(r.text) for r in runs if r.kind == "wording")
        stretches = [tokenized.bounds[at] for at, run in enumerate(runs) if run.kind == "text"]
        return any(
            token in self._control and any(a < stop and b > start for start, stop in stretches)
            for token, (a, b) in zip(tokenized.ids, tokenized.offsets, strict=True)
        )

    def _is_suspect(self, runs: Sequence[TextRun], ids: Sequence[int]) -> bool:
        """Tell whether there is any control token, be it of the wording."""
        return not self._control.isdisjoint(ids) or self._spells_unknown(runs)

    def _spells_unknown(self, runs: Sequence[TextRun]) -> bool:
        known = self._unknown in self._names
        return known and any(self._unknown in run.text for run in runs if run.kind == "text")

    def _cut_marked(self, strings: Sequence[Sequence[TextRun]]) -> list[TokenizedString]:
        marked = self.marked if strings else None  # a copy takes long
        if marked is None:
            return [self._cut_in_segments(runs) for runs in strings]
        return [self._cut_one_marked(marked, runs) for runs in strings]

    def _cut_one_marked(
        self, tokenizer: "PreTrainedTokenizerBase", runs: Sequence[TextRun]
    ) -> TokenizedString:
        places = sum(run.kind == "placeholder" for run in runs)
        for mark in (JOINED, APART):
            texts = [mark if run.kind == "placeholder" else self._marked_text(run) for run in runs]
            (tokenized,) = _call(tokenizer, [texts])
            here = tokenizer.convert_tokens_to_ids(mark)
            if tokenized.ids.count(here) == places:
                break
        ids = [self.placeholder if places and token == here else token for token in tokenized.ids]
        return TokenizedString(ids, tokenized.offsets, tokenized.bounds)

    def _marked_text(self, run: TextRun) -> str:
        acts = run.kind == "wording" or self._acting
        return self._marks.mark(run.text) if acts else unspelled(run.text)

    def disguise(self, text: str) -> str:
        """Return a text with stand-ins for the control tokens that it spells.

        It can go through a chat template, after which `runs` tells the text's from the template's.
        """
        parts = self._marks.split(text)
        numbers = {name: at for at, name in enumerate(self._names)}
        return "".join(
            f"{_OPEN}{numbers[part]}{_SHUT}" if at % 2 else part for at, part in enumerate(parts)
        )

    def runs(self, string: str) -> list[TextRun]:
        """Return a string with stand-ins as wording and the texts that they stand for."""
        names = list(self._names)
        runs = []
        for at, part in enumerate(_STAND_IN.split(string)):
            if at % 2 and int(part) < len(names):
                runs.append(TextRun("text", names[int(part)]))
            else:
                runs.append(TextRun("wording", f"{_OPEN}{part}{_SHUT}" if at % 2 else part))
        return runs

    def count_spelled(self, text: str) -> int:
        """Count control tokens that a string spells, in any case."""
        return self._marks.count_any_case(text)

    def mark(self, wording: str) -> str:
        """Return a wording as `marked` reads it."""
        return self._marks.mark(wording)

    @property
    def marked(self) -> "PreTrainedTokenizerBase | None":
        """The copy that finds control tokens by their marks; None where there can be none."""
        return self._controls.copy_of(self._tokenizer)

    def _cut_in_segments(self, runs: Sequence[TextRun]) -> TokenizedString:
        """Cut what stands between control tokens, for tokenizers that are written in Python."""
        ids: list[int] = []
        open_text = ""
        for run in runs:
            acts = run.kind == "wording" or self._acting
            parts = self._marks.split(run.text) if acts else [run.text]
            if run.kind == "placeholder":
                parts = ["", "", ""]
            for at, part in enumerate(parts):
                if at % 2 == 0:
                    open_text += part
                    continue
                ids += self._segment(open_text)
                ids.append(self.placeholder if run.kind == "placeholder" else self._names[part])
                open_text = ""
        return TokenizedString([*ids, *self._segment(open_text)], None, [(0, 0)] * len(runs))

    def _segment(self, text: str) -> list[int]:
        if not text:
            return []
        output = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False
        )
        return list(output["input_ids"])


class _Controls:
    """The control tokens of a tokenizer, and its copy, made where a text first needs it."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.names = control_tokens(tokenizer)
        self.marks = Marks(self.names)
        self.placeholder = max(tokenizer.get_vocab().values(), default=-1) + 1
        self._lock = threading.Lock()
        self._copies: list[PreTrainedTokenizerBase | None] = []

    def copy_of(self, tokenizer: "PreTrainedTokenizerBase") -> "PreTrainedTokenizerBase | None":
        with self._lock:  # large vocabularies take a second
            if not self._copies:
                self._copies.append(marked_copy(tokenizer, self.names, self.marks))
        return self._copies[0]


# By tokenizer, and by what else the control tokens depend on. No value holds its tokenizer.
_KNOWN: "WeakKeyDictionary[PreTrainedTokenizerBase, dict[object, _Controls]]" = WeakKeyDictionary()


def _controls_of(tokenizer: "PreTrainedTokenizerBase") -> _Controls:
    key = (str(tokenizer.chat_template), len(tokenizer))
    by_key = _KNOWN.setdefault(tokenizer, {})
    if key not in by_key:
        by_key.setdefault(key, _Controls(tokenizer))
    return by_key[key]


def _call(
    tokenizer: "PreTrainedTokenizerBase", strings: Sequence[Sequence[str]]
) -> list[TokenizedString]:
    """Cut strings, each given as the texts of its runs."""
    if not strings:
        return []
    joined, fast = ["".join(texts) for texts in strings], bool(tokenizer.is_fast)
    output = tokenizer(joined, add_special_tokens=False, verbose=False, return_offsets_mapping=fast)
    offsets = output["offset_mapping"] if fast else [None] * len(joined)
    bounds = [list(pairwise(accumulate(map(len, texts), initial=0))) for texts in strings]
    return [
        TokenizedString(list(ids), token_offsets, run_bounds)
        for ids, token_offsets, run_bounds in zip(output["input_ids"], offsets, bounds, strict=True)
    ]
