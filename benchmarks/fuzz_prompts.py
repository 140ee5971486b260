"""Prompt files: those of the library, with keys, values, templates or bytes changed at random.

Each is shown, and in every third trial a small collection is indexed with it and searched: an
index that was made must answer.
"""

import json
import math
import tomllib
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from typing import Any

import numpy as np

from benchmarks.fuzz_trial import Trial, judge_index, pick
from embedder.checkpoints.bundled import BUNDLED_MODEL
from embedder.prompts.files import LIBRARY

FILE = "p.toml"
_TEXTS = b'{"_id": "a", "text": "green tea"}\n{"_id": "b", "text": "hot lava"}\n'
_SHOW = ("prompts", "show", FILE, "green tea")
_SEARCH = (("index", "a.jsonl", "-o", "x", "--prompt", FILE, "-q"), ("search", "x", "tea"))
_SOURCES = (*sorted(LIBRARY.glob("*.toml")), BUNDLED_MODEL / "prompt.toml")
_SLOTS = (
    *("{text}", "{text}", "{reversed}", "{sentences}", "{front}", "{placeholder}", "{task}"),
    *("{bos}", "{eos}", "{|}", "{what}", "{}", "{{", '"', "Summary:", " ", "\n", "\u00e9", "</s>"),
)
_BESIDE = ("{bos}", "{eos}", '"', "Say:", "Word: ", " ", "\n", "\u00e9", "</s>", "{", "{what}")
_VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 2, 5, 99, 1000, 2**31, 2**63 - 1, 2**63, 10**30, -(2**63)),
    *(0.0, 0.5, 1.0, 1.5, -0.5, 1e-300, 1e308, math.nan, math.inf, -math.inf),
    *("", " ", "x", "no", "true", "top", "5", "{text}", "text", "mean", "chat", "a\nb", "\u202e"),
    *("\x1b[31m", "\0", "../x", "~", "x" * 100_000, "rrf:k=nan", "minmax:dense=1", "minmax:a=1"),
    *("\U0001f375", "adapter.safetensors#0123456789abcdef", "gpt2", "none/such", "words"),
    *(True, False, [], ["a"], ["{text}"], [1, "a"], [[["a"]]], ["{text}"] * 50, {}, {"a": 1}),
    *({"template": "{text}"}, {"user": "{text}"}, [{}], [{"text": "a", "word": "b"}]),
    *(date(2020, 1, 1), datetime(2020, 1, 1, 1, 1, 1), time(1, 1, 1)),
)
_LIKELY: dict[str, dict[str, tuple[Any, ...]]] = {
    "read": {
        "mode": ("first-token", "multi-token-single", "multi-word-multi"),
        "generated_tokens": (1, 3, 40),
        "last_generated": (0, 1, 5),
        "span": ("prompt", "text", "copy"),
        "pool": ("last", "mean", "max"),
        "layer": (-1, 0, 1, 2, -2, 3, 99, -99, 0.0, 0.5, 1.0),
        "norm": ("top", "always", "never"),
        "unit": (True, False),
        "attention": ("causal", "causal", "bidirectional"),
        "dense": (True, True, False),
    },
    "sparse": {
        "enabled": (True, False),
        "top": (1, 2, 1_000_000),
        "words": ("unicode", "unicode", "nltk"),
        "stop_words": ("", "english"),
        "scale": (0, 1, 100, 1_000_000),
        "merge_forms": (True, False),
        "expansion": (0, 5, 1_000_000),
        "fallback": (0, 1, 1_000_000),
    },
    "prepend": {"start": (0, 1, 2, 99), "exit": (1, 2, 99, 0.0, 0.5, 1.0)},
    "filter": {"skip": (0, 1, 0.1, 0.99), "dim": (1, 8, 0.5, 1.0, 99_999)},
    "select": {"ask": ("Sum: ", "x" * 3000), "chunk_tokens": (1, 256, 10**9), "alpha": (1e-9, 2.0)},
    "contrast": {
        "template": ("No {text}:", "{text}{text}", "{bos}{text}{task}"),
        "tokens": ("pieces", "whole"),
        "block": (0, 1, 99, -1, 0.0, 0.5, 1.0),
        "strength": (0.0, -1.0, 1000.0),
        "restore": (True, False),
    },
    "sample": {"count": (1, 2, 3, 10_000), "seed": (0, 7), "max_tokens": (1, 64, 1_000_000)},
}
_WHOLE = ("filter", "contrast")  # tables without defaults
Rng = np.random.Generator


def campaign(seed: int, count: int) -> Iterator[Trial]:
    """Yield prompt files that were changed at random."""
    sources = [path.read_text(encoding="utf-8") for path in _SOURCES]
    tables = [tomllib.loads(text) for text in sources]
    keys = sorted({key for table in tables for key in _keys(table)})
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        at = int(rng.integers(len(sources)))
        kind = rng.random()
        if kind < 0.25:
            spoil: Callable[..., bytes] = pick(rng, _SPOILT)
            data, change = spoil(rng, sources[at].encode()), spoil.__name__.strip("_")
        elif kind < 0.6:
            data, change = _likely(rng, tables[at])
        else:
            data, change = _changed(rng, tables[at], keys)
        searched = number % 3 == 0
        yield Trial(
            name=f"{_SOURCES[at].name}: {change}"[:200].encode("unicode_escape").decode(),
            commands=_SEARCH if searched else (_SHOW,),
            files={FILE: data, "a.jsonl": _TEXTS},
            names=(
                FILE,
                "prompt",
                "no index at x",
                "read.",
                "filter.",
                "contrast.",
                "prepend.",
                "words = ",
            ),
            judge=judge_index if searched else None,
        )


def _changed(rng: Rng, table: dict[str, Any], keys: list[str]) -> tuple[bytes, str]:
    """Change one to three values or keys of a prompt."""
    table = json.loads(json.dumps(table))  # a copy
    changes = []
    for _ in range(int(rng.integers(1, 4))):
        within = pick(rng, list(_tables(table)))
        key = pick(rng, list(within) or ["x"])
        change = rng.random()
        if change < 0.15:
            within.pop(key, None)
            changes.append(f"no {key}")
        elif change < 0.45:
            text = "".join(pick(rng, _SLOTS) for _ in range(rng.integers(0, 6)))
            name = pick(rng, ("template", "template", "user", "system", "prefill", "task"))
            within[name] = text
            changes.append(f"{name} = {text!r}")
        else:
            if change > 0.7:
                key = pick(rng, (*keys, "needless"))
            within[key] = pick(rng, _VALUES)
            changes.append(f"{key} = {str(within[key])[:40]}")
    lines = [f"{_written(key)} = {_written(value)}\n" for key, value in table.items()]
    return "".join(lines).encode(), "; ".join(changes)


def _likely(rng: Rng, table: dict[str, Any]) -> tuple[bytes, str]:
    """Set rules to values that each could be right, and templates to ones with a text in them."""
    table = {key: value for key, value in table.items() if key not in _LIKELY or rng.random() < 0.8}
    changes = []
    for name in rng.permutation(list(_LIKELY))[: rng.integers(1, 3)].tolist():
        rules = {key: pick(rng, values) for key, values in _LIKELY[name].items()}
        chosen = {key: rules[key] for key in rules if name in _WHOLE or rng.random() < 0.4}
        table[name] = {**table.get(name, {}), **chosen}
        changes.append(f"{name}: {chosen}")
    if rng.random() < 0.8:
        worded = ("both", "query", "document", "form")
        sides = ("both",) if rng.random() < 0.5 else worded[1:3]
        table = {key: value for key, value in table.items() if key not in worded}
        table |= {side: _wording(rng, "prepend" in table) for side in sides}
        changes.append(f"{table[sides[-1]]}")
    lines = [f"{_written(key)} = {_written(value)}\n" for key, value in table.items()]
    return "".join(lines).encode(), "; ".join(changes)


def _wording(rng: Rng, is_fed: bool) -> dict[str, Any]:
    slots = [pick(rng, _BESIDE) for _ in range(rng.integers(0, 5))]
    texts = [*["{text}"] * int(rng.integers(1, 3)), *["{placeholder}"] * is_fed]
    text = "".join(rng.permutation([*slots, *texts]).tolist())
    tokens = pick(rng, ("pieces", "whole"))
    kind = rng.random()
    if kind < 0.2:
        return {"templates": [text, f"{text} again", text + text[:-1]], "tokens": tokens}
    return {"user" if kind < 0.4 else "template": text, "tokens": tokens}


def _keys(value: object) -> Iterator[str]:
    for table in _tables(value):
        yield from table


def _tables(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tables(item)


def _written(value: object) -> str:
    """Write a value as TOML on one line."""
    if isinstance(value, dict):
        inner = ", ".join(f"{_written(key)} = {_written(item)}" for key, item in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, str | bool):
        return json.dumps(value)  # escapes of pairs of surrogates are wrong TOML, and are to be
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _cut_off(rng: Rng, data: bytes) -> bytes:
    return data[: rng.integers(len(data))]


def _byte_changed(rng: Rng, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        changed[rng.integers(len(data))] = rng.integers(256)
    return bytes(changed)


def _byte_inserted(rng: Rng, data: bytes) -> bytes:
    at = int(rng.integers(len(data)))
    return data[:at] + rng.bytes(int(rng.integers(1, 3))) + data[at:]


def _line_twice(rng: Rng, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    lines.insert(int(rng.integers(len(lines))), pick(rng, lines))
    return b"".join(lines)


def _lines_exchanged(rng: Rng, data: bytes) -> bytes:
    return b"".join(rng.permutation(data.splitlines(keepends=True)).tolist())


def _encoded_otherwise(rng: Rng, data: bytes) -> bytes:
    names = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp037")
    return (data.decode() + "# \u00e9\n").encode(pick(rng, names))


def _nested(rng: Rng, data: bytes) -> bytes:
    deep = int(10 ** rng.uniform(1.5, 5))
    opened = ("[" * deep, "{a=" * deep, "{text=[" * deep, "[" * deep + "]" * deep)
    dotted = ".".join("a" * min(deep, 50_000))
    lines = (*(f"{key} = {pick(rng, opened)}" for key in ("task", "x")), f"{dotted} = 1")
    return f"{pick(rng, (*lines, f'[{dotted}]'))}\n".encode() + data


def _number(rng: Rng, data: bytes) -> bytes:
    numbers = ("9" * 5000, "0x" + "f" * 5000, "1e9999", "1_" * 999 + "1", "-" + "1" * 4300, "00")
    return data + f"\n[filter]\nkeep = {pick(rng, numbers)}\n".encode()


def _large(rng: Rng, data: bytes) -> bytes:
    kinds = ("#" * 3_000_000, "[[example]]\n" * 2000, 'task = "' + "x" * 1_000_000 + '"', "\n" * 9)
    return data + f"\n{pick(rng, kinds)}\n".encode()


def _empty(rng: Rng, data: bytes) -> bytes:
    return bytes(
        pick(rng, (b"", b"\n", b"\0", b"\xef\xbb\xbf", b"[]", b"{}", b"[[form]]", b"\xff"))
    )


_SPOILT = (
    *(_cut_off, _byte_changed, _byte_inserted, _line_twice, _lines_exchanged),
    *(_encoded_otherwise, _nested, _number, _large, _empty),
)
