"""A copy of a tokenizer that texts cannot command: its control tokens have names nobody spells.

Special tokens such as `</s>` or `<|im_end|>` are found by their spelling, wherever it comes from.
The copy finds them by a mark instead, which is put in their place where a wording spells them and
nowhere else. Its ids, and all the rest of the way from string to ids, are those of the original.
"""

import copy
import json
import re
from collections.abc import Mapping
from itertools import product
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Plain ASCII without spaces: no normaliser changes it, whereas some drop private characters.
_STEM = "<lastword-"
_NO_STEM = "<lastword\ufffd"  # equally long, so that offsets stay true
_BYTE = re.compile("<0x[0-9A-F]{2}>")

# The placeholder of token prepending as the authors add it, found after normalisation, when a
# metaspace tokenizer has put a word mark before it; and one for where no space stands before it.
JOINED, APART = f"{_STEM}placeholder>", f"{_STEM}placeholder-apart>"


def control_tokens(tokenizer: "PreTrainedTokenizerBase") -> dict[str, int]:
    """Return the tokens that a text must not spell, name -> id.

    These are the special ones, and those that the chat template writes and that look like markup.
    A name that is an ordinary token of the model as well, such as a padding token called "!", is
    not among them: text that holds it has always become that id.
    """
    template = str(tokenizer.chat_template or "")
    backend = getattr(tokenizer, "backend_tokenizer", None) if tokenizer.is_fast else None
    special = set(tokenizer.all_special_tokens)  # some are not marked as such where they are added
    ids_by_name = {}
    for token_id, token in tokenizer.added_tokens_decoder.items():
        name = token.content
        ordinary = backend is not None and backend.model.token_to_id(name) is not None
        if ordinary and _BYTE.fullmatch(name):  # what unknown characters are spelled with
            continue
        if _is_markup(name):
            controls = token.special or name in special or name in template
        else:
            controls = (token.special or name in special) and bool(name) and not ordinary
        if controls:
            ids_by_name[name] = int(token_id)
    return ids_by_name


def unspelled(text: str) -> str:
    """Return a text in which no mark is spelled, as long as it was."""
    return text.replace(_STEM, _NO_STEM)


class Marks:
    """The marks of a tokenizer's control tokens.

    Attributes:
        of: name of a control token -> its mark.
    """

    def __init__(self, names: Mapping[str, int]) -> None:
        letters = map("".join, product(ascii_lowercase, repeat=4))
        self.of = {name: f"{_STEM}{mark}>" for name, mark in zip(names, letters, strict=False)}
        longest_first = sorted(names, key=lambda name: (-len(name), name))
        pattern = "|".join(map(re.escape, longest_first)) or r"(?!)"
        self._pattern = re.compile(pattern)
        self._any_case = re.compile(pattern, re.IGNORECASE)
        self._firsts = {case for name in names for case in (name[0].lower(), name[0].upper())}

    def mark(self, wording: str) -> str:
        """Put marks in the place of the control tokens that a wording spells."""
        return self._pattern.sub(lambda match: self.of[match.group()], unspelled(wording))

    def split(self, wording: str) -> list[str]:
        """Cut a wording at its control tokens, which stand at the odd places."""
        parts, end = [], 0
        for match in self._pattern.finditer(wording):
            parts += [wording[end : match.start()], match.group()]
            end = match.end()
        return [*parts, wording[end:]]

    def count_any_case(self, text: str) -> int:
        """Count what may be control tokens to a tokenizer that does not tell cases apart."""
        if self._firsts.isdisjoint(text):  # a large model has hundreds of names, which take long
            return 0
        return sum(1 for _ in self._any_case.finditer(text))

    def count(self, wording: str) -> int:
        """Count the control tokens that a wording spells."""
        return sum(1 for _ in self._pattern.finditer(wording))


def marked_copy(
    tokenizer: "PreTrainedTokenizerBase", names: Mapping[str, int], marks: Marks
) -> "PreTrainedTokenizerBase | None":
    """Return a copy that knows control tokens by their marks only, and both placeholders.

    Returns:
        None where the tokenizer is written in Python, in whole or in part.
    """
    from tokenizers import AddedToken, Tokenizer

    if not tokenizer.is_fast:
        return None
    try:
        data = json.loads(tokenizer.backend_tokenizer.to_str())
    except Exception:  # the bindings raise it bare for parts that are written in Python
        return None
    data["truncation"] = data["padding"] = None
    for token in data["added_tokens"]:
        if token["content"] in marks.of:
            # No special one: those are passed over where a tokenizer splits special tokens.
            token |= {"content": marks.of[token["content"]], "special": False}
    _rename(data["model"], marks.of)
    backend = Tokenizer.from_str(json.dumps(data))
    backend.add_tokens([AddedToken(JOINED, normalized=True), AddedToken(APART, normalized=False)])
    ids = {token.content: at for at, token in tokenizer.added_tokens_decoder.items()} | dict(names)
    if any(backend.token_to_id(marks.of.get(name, name)) != at for name, at in ids.items()):
        return None
    copied = copy.copy(tokenizer)
    copied._tokenizer = backend
    copied._special_tokens_map = {
        key: marks.of.get(str(token), token) for key, token in tokenizer._special_tokens_map.items()
    }
    return copied


def _rename(model: dict[str, Any], names: Mapping[str, str]) -> None:
    """Rename control tokens in the model's own vocabulary, where it would find them in a text."""
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):  # Unigram: [token, score]
        model["vocab"] = [[names.get(token, token), score] for token, score in vocabulary]
        return
    inside = {name for name in names if name in vocabulary}
    model["vocab"] = {names.get(token, token): at for token, at in vocabulary.items()}
    if model.get("unk_token") in inside:
        model["unk_token"] = names[model["unk_token"]]
    if "merges" in model:
        pairs: list[list[str]] = model["merges"]
        model["merges"] = [pair for pair in pairs if inside.isdisjoint((*pair, "".join(pair)))]


def _is_markup(name: str) -> bool:
    """Tell names such as <s>, [SEP] or <|im_end|> from words, signs and white space."""
    edges = name[:1] + name[-1:]
    return len(name) >= 3 and not any(map(str.isalnum, edges)) and any(map(str.isalnum, name))
