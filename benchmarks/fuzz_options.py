"""Values of options: every command, with one to three options or arguments given nonsense.

Each command has a call that works on a small collection, an index, runs, pairs and labels; what
is changed in it are values of any option that the command line knows, so that new options are
tried without a word here.
"""

import atexit
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_trial import Trial

Rng = np.random.Generator
Call = tuple[str, ...]

WORDS = ("--channels", "bm25")
"""Makes a call quick; left out where the option that is tried is about the model."""

CALLS: dict[str, Call] = {
    "demo": ("--out", "new", *WORDS, "--ask", "tea"),
    "index": ("set", "-o", "new", *WORDS),
    "add": ("words.index", "more.jsonl"),
    "sync": ("words.index", "more.jsonl"),
    "delete": ("words.index", "a"),
    "list": ("words.index",),
    "get": ("words.index", "a"),
    "merge": ("words.index",),
    "check": ("words.index",),
    "info": ("all.index",),
    "search": ("all.index", "green tea"),
    "explain": ("all.index", "green tea", "a"),
    "serve": ("nowhere.index", "--port", "0"),
    "mcp": ("nowhere.index",),
    "embed": ("--role", "document", "--input", "more.jsonl", "--out", "new.npz"),
    "export": ("words.index", "--to", "jsonvector", "-o", "new"),
    "import": ("jsonvector", "vectors.jsonl", "-o", "new"),
    "push": ("words.index", "--to", "milvus:new.db/docs"),
    "models": (),
    "plan": ("--documents", "9", "--tokens", "9", "--no-probe"),
    "recall": ("all.index", "--factory", "Flat", "--rows", "9", "-k", "1"),
    "compare": ("runs/a", "runs/b"),
    "report": ("runs/a", "runs/b", "-o", "new.html"),
    "fuse": ("a.trec", "b.trec", "-o", "new.trec"),
    "robustness": ("words.index", "--queries", "set/queries.jsonl"),
    "reproduce": ("--list",),
    "tune": ("all.index", "--queries", "set/queries.jsonl", "--qrels", "set/qrels/train.tsv",
             "--dry-run", "--out", "new"),
    "devset": ("words.index", "--out", "new", "--queries", "3"),
    "eval retrieval": ("set", "--out", "new", *WORDS),
    "eval sts": ("pairs.tsv",),
    "eval transfer": ("labels.tsv", "--folds", "2"),
    "eval mteb": ("set", "--out", "new", *WORDS),
    "eval datasets": (),
    "bench prompts": ("--prompts", "own", "--datasets", "set", "--out", "new", "--dry-run"),
    "prompts list": (),
    "prompts show": ("promptreps", "green tea"),
    "prompts layers": ("promptreps", "green tea"),
    "prompts new": ("mine", "--out", "new.toml"),
    "train contrast": ("--example",),
    "train pretrain": ("--example",),
    "train mine": ("set", "--out", "new.jsonl"),
    "train overlap": ("pairs.jsonl", "--against", "pairs.tsv"),
}  # fmt: skip

ENDLESS = ("serve", "mcp")
"""They answer until they are stopped: no index is there, so that they end when options are read."""

NUMBERS = (
    *("-1", "0", "1", "2", "7", "100", "1e3", "0.5", "-0.0", "1e308", "1e400", "nan", "inf"),
    *("-inf", "0x10", "1_000", "٣", "2147483648", "9223372036854775808", "9" * 30, "9" * 5000),
)
TEXTS = (
    *("", " ", "x", ",", ",,bm25", "é水", "👩\u200d👩", "\x1b[31m", "a\nb", "\u202e", "\udce9"),
    *("\0", "-", "--", "-x", "%s", "{text}", "[bold]", "[/]", "x" * 5000, "None", "true", "*"),
)
NAMES = (
    *("dense", "sparse", "bm25,bm25", "dense,sparse,bm25", "title", "chat", "error", "keep"),
    *("auto", "rrf", "rrf:k=-1", "rrf:k=nan", "minmax:dense=nan", "minmax:bm25=0", "borda"),
    *("minmax:dense=0.7,bm25=1e400", "zscore:", "dbsf", "cpu", "cuda", "cuda:99", "cpu:7", "mps"),
    *("meta", "float16", "bfloat16", "float8", "int4", "nDCG@10", "nDCG@0", "P@-1", "AP@1e9"),
    *("RR@99999999999", "P(rel=2)@5", "Flat", "HNSW0", "HNSW32", "IVF4,Flat", "PQ3", "IVF", "PQ"),
    *("english", "klingon", "none", "bundled", "sbert:", "sbert:x", "sbert:set", "gpt2", "a/b/c"),
    *("promptreps", "own", "rice", "metaeol", "geneol", "tiny", "test", "train", "query", "both"),
    *("2M-tokens", "0-tokens", "5s", "-5s", "1e400-tokens", "10min", "words", "fusion", "soft"),
    *("rm3", "rm3:weight=nan", "rm3:documents=1e9", "rocchio:from=fused", "rocchio:alpha=1e300"),
)
PATHS = (
    *(".", "..", "set", "set/", "nowhere", "nowhere/none", "new", "all.index", "words.index"),
    *("set/corpus.jsonl", "set/corpus.jsonl/below", "runs/a", "runs/a:bm25", "runs/a:none"),
    *("a.trec", "set/qrels/test.tsv", "pairs.tsv", "labels.tsv", "image.png", "empty", "a" * 300),
    *("a/" * 3000, "~", "~nobody/x", "/proc/self/mem", "/proc/x", "loop", "hole", "my.toml"),
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/stdin")
VALUES: tuple[tuple[str, ...], ...] = (NUMBERS, TEXTS, NAMES, PATHS)
ABOUT_MODEL = ("model", "prompt", "task", "channels", "dtype", "device", "embedder", "tokens")
WRITTEN = ("out", "run", "into", "indexes", "index")
"""In the names of options whose values are written to: no device of the machine is put at risk."""


@dataclass(frozen=True)
class Slot:
    """A place for a value: an option by its first long name, or an argument by its position."""

    name: str
    flag: bool
    number: bool
    position: int | None


def campaign(seed: int, count: int) -> Iterator[Trial]:
    """Yield calls with values changed at random."""
    slots = command_slots()
    if missing := slots.keys() - CALLS.keys():
        raise ValueError(f"no call is known for {', '.join(sorted(missing))}")
    base = Path(tempfile.mkdtemp(prefix="fuzz-options-base-"))
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    _lay_out(base)
    names = sorted(slots)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        command = names[int(rng.integers(len(names)))]
        tried = [slot for slot in slots[command] if slot.position is None or command not in ENDLESS]
        arguments, changed = _changed(rng, command, tried)
        yield Trial(
            name=f"{command}: {', '.join(changed)}"[:200],
            commands=((*command.split(), *arguments),),
            base=base,
            links={"loop": "loop", "hole": "nothing"},
            seconds=300,  # the demo indexes 6,000 documents, on a machine that others may use
        )


def command_slots() -> dict[str, list[Slot]]:
    """Return every command with the places for values that it has."""
    import typer

    from lastword.app import app

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, list[Slot]]]:  # noqa: ANN401
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, (*path, name))
        if not hasattr(command, "commands"):
            yield " ".join(path), list(_slots(command.params))

    return dict(walk(typer.main.get_command(app), ()))


def _slots(parameters: Sequence[Any]) -> Iterator[Slot]:
    position = 0
    for parameter in parameters:
        options = [name for name in parameter.opts if name.startswith("--")]
        if options:
            flag = bool(getattr(parameter, "is_flag", False))
            number = bool(re.search("int|float", str(parameter.type_descriptor.annotation)))
            yield Slot(options[0], flag, number, None)
        else:
            yield Slot(parameter.name, False, False, position)
            position += 1


def _changed(rng: Rng, command: str, slots: Sequence[Slot]) -> tuple[Call, list[str]]:
    """Change one to three values of a call; one that is there already is replaced."""
    call, changes = list(CALLS[command]), []
    weights = np.array([0.2 if slot.flag else 1.0 for slot in slots])  # a flag has no value
    size = min(len(slots), int(rng.integers(1, 4)))
    chosen = rng.choice(len(slots), size, replace=False, p=weights / weights.sum())
    for slot in (slots[int(at)] for at in chosen if slots[int(at)].name != "--help"):
        if any(word in slot.name for word in ABOUT_MODEL) and rng.random() < 0.5:
            _take_out(call, WORDS[0])
        if slot.flag:
            call.append(slot.name)
            changes.append(slot.name)
            continue
        value = _value(rng, slot)
        changes.append(f"{slot.name} {value[:40]!r}")
        if slot.position is None:
            _take_out(call, slot.name)
            call += [slot.name, value]
        elif slot.position < len(call) and not call[slot.position].startswith("-"):
            call[slot.position] = value
        else:
            call.append(value)
    return tuple(call), changes


def _take_out(call: list[str], option: str) -> None:
    for name in (option, {"--out": "-o"}.get(option, option)):
        if name in call:
            at = call.index(name)
            del call[at : at + 2]


def _value(rng: Rng, slot: Slot) -> str:
    kinds = VALUES
    if slot.number and rng.random() < 0.8:
        return NUMBERS[int(rng.integers(len(NUMBERS)))]
    if not any(word in slot.name for word in WRITTEN):
        kinds = (*VALUES, DEVICES)
    values = kinds[int(rng.integers(len(kinds)))]
    value = values[int(rng.integers(len(values)))]
    if rng.random() < 0.1:
        value = f"{value},{NAMES[int(rng.integers(len(NAMES)))]}"
    return value


def _lay_out(base: Path) -> None:
    """Make what calls read; the two indexes are made by the command itself."""
    words = ("green tea is steeped", "a key is rotated", "lava cools", "a cat sleeps all day")
    texts = {
        name: f"{words[at % 4]} {name * 3}, and {name} is written about {words[at % 3]} in a book "
        f"of {name * 4} which nobody has read since the {name * 5} and its {name} flood."
        for at, name in enumerate("abcdefghijkl")
    }
    documents = [
        {"_id": name, "title": f"The {name * 3} of {words[at % 4]}", "text": text}
        for at, (name, text) in enumerate(texts.items())
    ]
    queries = [{"_id": f"q{name}", "text": text[:12]} for name, text in texts.items()]
    judged = "".join(f"q{name}\t{name}\t1\n" for name in texts)
    pairs = "score\tsentence1\tsentence2\n" + "".join(
        f"{at % 6}.0\t{words[at // 4]}\t{text}\n" for at, text in enumerate(words * 2)
    )
    labels = "label\ttext\n" + "".join(
        f"{at % 2}\t{text} {at}\n" for at, text in enumerate([*texts.values()] * 2)
    )
    files = {
        "set/corpus.jsonl": _lines(documents),
        "set/queries.jsonl": _lines(queries),
        "set/qrels/test.tsv": f"query-id\tcorpus-id\tscore\n{judged}",
        "set/qrels/train.tsv": f"query-id\tcorpus-id\tscore\n{judged}",
        "vectors.jsonl": '{"id": "v", "contents": "", "vector": {"tea": 3, "salt": 1}}\n',
        "more.jsonl": _lines([{"_id": "m", "text": "salt comes from the sea"}]),
        "pairs.jsonl": _lines([{"query": "tea", "positive": "green tea is steeped for minutes"}]),
        "pairs.tsv": pairs,
        "labels.tsv": labels,
        "a.trec": "".join(f"q{name} Q0 {name} 1 2.5 a\n" for name in texts),
        "b.trec": "".join(f"q{name} Q0 a 1 1.5 b\n" for name in texts),
        "image.png": "\x89PNG",
        "empty": "",
        "my.toml": 'name = "mine"\ntemplate = "{text} in one word"\n[dense]\n',
    }
    for name, text in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text, encoding="utf-8")
    for command in (
        ("index", "set", "-o", "all.index"),
        ("index", "set", "-o", "words.index", *WORDS),
        ("eval", "retrieval", "set", "--out", "runs/a", *WORDS),
        ("eval", "retrieval", "set", "--out", "runs/b", *WORDS, "--language", "none"),
    ):
        _run(base, command)


def _lines(records: Sequence[dict[str, str]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def _run(base: Path, command: Call) -> None:
    from lastword.main import main

    before = Path.cwd()
    os.chdir(base)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            assert main([*command, "-q"]) == 0, command
    finally:
        os.chdir(before)
