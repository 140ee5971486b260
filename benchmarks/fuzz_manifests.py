"""Manifests of strangers: keys, values and bytes changed at random, mostly with a fitting checksum.

Every command that reads or changes an index is given in turn; none may end in a traceback, take
for ever, fill the memory, or touch what lies outside the index.
"""

import copy
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_trial import Outcome, Trial, pick

INDEX, HOME = "x", "home/thesis.txt"
_MANIFEST = f"{INDEX}/manifest.json"
_READING = (
    ("info", INDEX),
    ("check", INDEX),
    ("search", INDEX, "lava", "-k", "100000000", "-q", "--channels", "bm25"),
    ("delete", INDEX, "d3"),
)
_COMMANDS = {
    "words": (*_READING, ("add", INDEX, "more.jsonl", "-q"), ("merge", INDEX)),
    "vectors": (*_READING, ("merge", INDEX)),  # adding to it takes a model
}
_VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 99, 10**6, 2**31 - 1, 2**31, 30_000_000_000, 2**63 - 1, 2**63, 10**30),
    *(0.0, 1.0, 1.5, -0.5, 1e308, math.nan, math.inf, True, False, None, "", " ", "x", "1"),
    *("../home", "../../home/thesis.txt", "/etc/passwd", "000001", "000002", "home", ".", "a\nb"),
    *(
        "documents.sqlite",
        "bm25",
        "Flat",
        "HNSW32",
        "IVF65536,Flat",
        "PQ7",
        "rrf",
        "minmax:bm25=nan",
    ),
    *("{}", "[]", "[" * 50_000, '{"kind": "bm25"}', '{"kind": 1}', '{"a": {"a": {"a": 1}}}'),
    *("\x1b[31m", "\0", "\u202e", "\ud800", "x" * 100_000, [], [1], ["a"], {}, {"a": 1}, [[[]]]),
)
_OPTIONS = {"words": ("--channels", "bm25"), "vectors": ("--factory", "HNSW8")}
Rng = np.random.Generator


def campaign(seed: int, count: int) -> Iterator[Trial]:
    """Yield indexes whose manifest was changed at random."""
    with tempfile.TemporaryDirectory(prefix="fuzz-manifests-base-") as scratch:
        bases = {name: _base(Path(scratch).resolve() / name, name) for name in _COMMANDS}
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            name = "words" if rng.random() < 0.6 else "vectors"
            whole = (bases[name] / _MANIFEST).read_bytes()
            data, change = _spoilt(rng, whole) if rng.random() < 0.15 else _changed(rng, whole)
            yield Trial(
                name=f"{name}: {change}"[:200],
                commands=_COMMANDS[name],
                base=bases[name],
                files={_MANIFEST: data},
                judge=_judge,
                seconds=120,
            )


def _judge(place: Path, outcomes: Sequence[Outcome]) -> str:
    """Nothing outside of the index may have changed, and a sound index must answer."""
    there = sorted(path.name for path in place.iterdir())
    if there != [HOME.split("/")[0], "more.jsonl", INDEX]:
        return f"the folder holds {there}"
    if (place / HOME).read_text() != "thesis\n":
        return "a file outside of the index was written to"
    if outcomes[1].code == 0 and outcomes[2].code not in (0, 2):
        return "a sound index does not answer"
    return ""


def _changed(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    """Change one to three values or keys of a manifest."""
    from index.manifest_file import content_checksum

    data = json.loads(whole)
    changes = []
    for _ in range(int(rng.integers(1, 4))):
        root = data.get("content") if rng.random() < 0.95 else data
        parts = [part for part in _parts(root) if part]
        if not parts:  # an earlier change took all there was
            break
        within = pick(rng, parts)
        key = pick(rng, list(within) if isinstance(within, dict) else list(range(len(within))))
        changes.append(_change(rng, within, key))
    if rng.random() < 0.95 and isinstance(data, dict):
        try:
            data["checksum"] = content_checksum(data.get("content"))
        except (ValueError, RecursionError):
            changes.append("no checksum")
    text = json.dumps(data, ensure_ascii=bool(rng.random() < 0.2))
    return text.encode("utf-8", "surrogatepass"), "; ".join(changes)


def _change(rng: Rng, within: Any, key: Any) -> str:  # noqa: ANN401 - JSON
    chance = rng.random()
    if chance < 0.15:
        del within[key]
        return f"without {key}"
    if chance < 0.3:
        other = pick(rng, list(within) if isinstance(within, dict) else list(range(len(within))))
        within[key], within[other] = within[other], within[key]
        return f"{key} and {other} exchanged"
    if chance < 0.4 and isinstance(within, list):
        within.append(copy.deepcopy(within[key]))
        return f"{key} twice"
    if chance < 0.5 and isinstance(within, dict):
        new = pick(rng, [value for value in _VALUES if isinstance(value, str)])
        within[new] = within.pop(key)
        return f"{key} is called {new[:20]!r}"
    if chance < 0.6 and isinstance(within[key], int):
        within[key] += int(rng.integers(-2, 3))
        return f"{key} is {within[key]}"
    within[key] = copy.deepcopy(pick(rng, _VALUES))
    return f"{key} is {str(within[key])[:40]!r}"


def _spoilt(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    """Change the bytes of a manifest."""
    at = int(rng.integers(len(whole)))
    noise = rng.integers(0, 256, 20, np.uint8).tobytes()
    ways = {
        "cut": whole[:at],
        "noise": whole[:at] + noise + whole[at + 20 :],
        "twice": whole + whole,
        "deep": b"[" * 100_000,
        "deep objects": b'{"content":' * 50_000 + b"1" + b"}" * 50_000,
        "UTF-16": whole.decode().encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf" + whole,
        "empty": b"",
        "long number": whole.replace(b'"generation": ', b'"generation": ' + b"9" * 5000, 1),
        "key twice": whole.replace(b'"generation"', b'"fusion": "", "generation"', 1),
    }
    name = pick(rng, list(ways))
    return ways[name], f"bytes: {name}"


def _parts(value: Any) -> Iterator[Any]:  # noqa: ANN401 - JSON
    """Yield every list and object in a value, itself among them."""
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _parts(inner)


def _base(folder: Path, kind: str) -> Path:
    """Make an index of words, or of vectors too, in two segments, one with a deleted document."""
    from lastword.main import main

    (folder / HOME).parent.mkdir(parents=True)
    (folder / HOME).write_text("thesis\n")
    for name, start in (("corpus.jsonl", 0), ("other.jsonl", 40), ("more.jsonl", 80)):
        texts = (f"lava number {at}" for at in range(start, start + 40))
        lines = (
            json.dumps({"_id": f"d{start + at}", "text": text}) + "\n"
            for at, text in enumerate(texts)
        )
        (folder / name).write_text("".join(lines))
    index = str(folder / INDEX)
    for command in (
        ["index", str(folder / "corpus.jsonl"), "-o", index, *_OPTIONS[kind], "-q"],
        ["add", index, str(folder / "other.jsonl"), "-q"],
        ["delete", index, "d5", "-q"],
    ):
        if main(command):
            raise RuntimeError(f"lastword {' '.join(command)} failed")
    for name in ("corpus.jsonl", "other.jsonl"):
        (folder / name).unlink()
    return folder
