"""What the bundled model costs: texts per second, bytes in the package, seconds to load."""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch

from benchmarks.bundled_section import Figure, Section, Subject, markdown
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import load_encoder
from embedder.types import Role
from eval.data.collections import open_collection

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS, QUERIES, ROUNDS, LOADS = 600, 300, 5, 5
RATES = {Role.DOCUMENT: 60.0, Role.QUERY: 500.0}
_PLURAL = {Role.DOCUMENT: "documents", Role.QUERY: "queries"}
PACKAGE, SECONDS = 25.0, 0.7
_OURS = """
import sys, time
import torch
started = time.perf_counter()
from embedder.encoders.load import load_encoder
load_encoder(sys.argv[1])
loaded = time.perf_counter()
load_encoder(sys.argv[1])
print(loaded - started, time.perf_counter() - loaded)
"""
_PLAIN = """
import sys, time
import torch
started = time.perf_counter()
from transformers import AutoModelForCausalLM, AutoTokenizer
AutoTokenizer.from_pretrained(sys.argv[1])
AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
print(time.perf_counter() - started)
"""


def speed(subject: Subject) -> Section:
    """Encode scifact's documents and queries, dense and sparse rows, in turns."""
    collection = open_collection(subject.data / "retrieval/scifact")
    documents = [document.content for document in islice(collection.documents(), DOCUMENTS)]
    texts = {Role.DOCUMENT: documents, Role.QUERY: [*collection.queries().values()][:QUERIES]}
    encoder = load_encoder(subject.model)
    assert isinstance(encoder, LLMEncoder)
    seconds: dict[Role, list[float]] = {role: [] for role in Role}
    for turn in range(ROUNDS + 1):
        for role, part in texts.items():
            elapsed = _encoded(encoder, part, role)
            if turn:  # the first is a warm-up
                seconds[role].append(elapsed)
    rates = {
        role: sorted(len(texts[role]) / elapsed for elapsed in times)
        for role, times in seconds.items()
    }
    threads = torch.get_num_threads()
    figures = tuple(
        Figure(
            f"encoding, scifact {_PLURAL[role]}/s", statistics.median(rates[role]), goal,
            form=",.0f", note=f"{rates[role][0]:,.0f} to {rates[role][-1]:,.0f}, {threads} threads",
        )
        for role, goal in RATES.items()
    )  # fmt: skip
    return Section(
        "speed",
        "Encoding",
        figures,
        (
            f"{len(documents)} documents and {QUERIES} queries of scifact, dense and sparse rows "
            f"in one pass, median of {ROUNDS} rounds in turns after one that does not count.",
        ),
        {
            "texts_per_second": {role.value: rate for role, rate in rates.items()},
            "texts": {role.value: len(part) for role, part in texts.items()},
            "threads": threads,
            "dtype": encoder.options.dtype,
        },
    )


def size(subject: Subject) -> Section:
    """Weigh the model's files, and load it in fresh processes, in turns with transformers alone."""
    total = sum(subject.files.values()) / 1e6
    loads = [_loaded(subject) for _ in range(LOADS + 1)][1:]  # the first reads cold files
    first, again, plain = ([load[at] for load in loads] for at in range(3))
    return Section(
        "size",
        "Size and loading",
        (
            Figure("package data, MB", total, high=PACKAGE),
            Figure(
                "load, s after torch is imported", statistics.median(first), high=SECONDS,
                note=f"{min(first):.2f} to {max(first):.2f}; transformers alone "
                f"{statistics.median(plain):.2f}, a second load {statistics.median(again):.2f}",
            ),
        ),
        (
            f"Median of {LOADS} fresh processes. Transformers alone: `from_pretrained` of "
            "tokenizer and model, nothing of lastword. What a second load in the same process "
            "does not take is imports. 1 MB is 10^6 bytes.",
            "",
            *markdown(("file", "bytes"), [[n, f"{size:,}"] for n, size in subject.files.items()]),
        ),
        {
            "bytes": subject.files, "seconds": first, "seconds_second_load": again,
            "seconds_transformers_alone": plain,
        },
    )  # fmt: skip


def _encoded(encoder: LLMEncoder, texts: Sequence[str], role: Role) -> float:
    started = time.perf_counter()
    encoder.encode(texts, role)
    return time.perf_counter() - started


def _loaded(subject: Subject) -> tuple[float, float, float]:
    """Return seconds of a first load with what it imports, another, and one without lastword."""
    first, again = _printed(_OURS, subject)
    (plain,) = _printed(_PLAIN, subject)
    return first, again, plain


def _printed(program: str, subject: Subject) -> list[float]:
    words = [sys.executable, "-c", program, str(subject.place.resolve())]
    done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]
