"""Have eight threads share one model: whether every answer is that of calls one after the other.

python -m benchmarks.threads [--threads 8] [--calls 1000] [--dry]

A small random Llama is read by three prompts (Token Prepending, Contrastive Prompting and
PromptReps with generated tokens), which all hook the model or keep its cache. Each thread calls
each prompt's encoder that many times, on texts of many lengths; a call counts as equal if its
rows, dense and sparse, are the same bytes.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.record import append
from embedder.encoders.llm import LLMEncoder
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt
from embedder.types import Representation, Role
from tests.models import LINES, save_llama

TEXTS = 125


def main(arguments: list[str] | None = None) -> None:
    """Run the calls, print what came out, and append it to results.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--calls", type=int, default=1000, help="of each prompt, in each thread")
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    encoders = make_encoders()
    texts = some_texts()
    serial = [
        [row_bytes(encoder.encode([text], Role.QUERY)) for text in texts] for encoder in encoders
    ]

    def is_equal(call: int) -> bool:
        prompt, text = call % len(encoders), call // len(encoders) % TEXTS
        rows = encoders[prompt].encode([texts[text]], Role.QUERY)
        return row_bytes(rows) == serial[prompt][text]

    calls = options.threads * len(encoders) * options.calls
    began = time.perf_counter()
    with ThreadPoolExecutor(options.threads) as pool:
        equal = sum(pool.map(is_equal, range(calls)))
    seconds = round(time.perf_counter() - began, 1)
    sys.stdout.write(f"{equal:,} of {calls:,} calls equal to serial, {seconds} s\n")
    if not options.dry:
        append(
            {
                "name": "threads",
                "threads": options.threads,
                "prompts": len(encoders),
                "calls": calls,
                "calls_equal_to_serial": equal,
                "seconds": seconds,
            }
        )
    sys.exit(equal != calls)


def make_encoders() -> list[LLMEncoder]:
    """Read one model by three prompts."""
    with tempfile.TemporaryDirectory() as folder:
        model = save_llama(Path(folder))
        backbone, options = load_backbone(model, LLMOptions(dtype="float32", device="cpu"))
    reps = load_prompt("promptreps")
    reading = replace(reps.reading, mode="multi-token-single", generated_tokens=3)
    prompts = (
        load_prompt("prompteol-tp"),
        load_prompt("prompteol-cp"),
        replace(reps, reading=reading),
    )
    return [LLMEncoder(backbone, prompt, options) for prompt in prompts]


def some_texts() -> list[str]:
    """Put texts of 1 to 10 words together."""
    words = " ".join(LINES).split()
    return [
        " ".join(words[(at * place + at) % len(words)] for place in range(1, 3 + at % 9))
        for at in range(TEXTS)
    ]


def row_bytes(rows: Representation) -> tuple[bytes, ...]:
    """Return all numbers of rows as bytes."""
    dense = () if rows.dense is None else (rows.dense.tobytes(),)
    if rows.sparse is None:
        return dense
    sparse = rows.sparse
    return (*dense, sparse.data.tobytes(), sparse.indices.tobytes(), sparse.indptr.tobytes())


if __name__ == "__main__":
    main()
