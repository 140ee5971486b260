"""Reading speed of a model: float32, bfloat16, a plain loop and sentence-transformers, in one run.

    python -m benchmarks.reading_speed --model smollm2 --data FOLDER [--threads 2] [--clock cpu]

All read the same documents by the same prompt, in turns, so that each sees the same machine. The
plain loop takes batches in file order, the logits of every position and all hidden states;
sentence-transformers pools the last token, without logits. The share of the matmul rate is that of
the multiplications with the model's weights, tokens of a shared prefix left out, in the dtype read.
On a machine that others use, `--threads 1 --clock cpu` counts the seconds of this process alone; in
several threads there, OMP_WAIT_POLICY=passive keeps them from spinning, as the command line does.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from benchmarks.encode import count_work, matmul_rate, plain_batches
from benchmarks.record import append
from embedder.checkpoints.named_models import model_place
from embedder.encoders.llm import LLMEncoder
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt
from embedder.types import Role
from eval.data.collections import open_collection

Rows = NDArray[np.float32]
BATCH = 8  # of the plain loop and of sentence-transformers, in which 32 are slower
BASE = "float32"
DTYPES = (BASE, "bfloat16")
SIZE = 1024  # rows of the matrix whose products give the matmul rate
# The prompt holds the chat template already.
_TEXT = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}


def main() -> None:
    """Measure, print a table and append a line to results.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2", help="smollm2, or a folder")
    parser.add_argument("--data", type=Path, required=True, help="a BEIR folder")
    parser.add_argument("--prompt", default="promptreps")
    parser.add_argument("--documents", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    documents = open_collection(options.data).documents()
    texts = [document.content for document in islice(documents, options.documents)]
    clock = time.perf_counter if options.clock == "wall" else time.process_time
    record = {
        "name": f"reading_speed/{options.model}",
        "prompt": options.prompt,
        "documents": len(texts),
        "threads": options.threads,
        "clock": options.clock,
        **measure(options.model, options.prompt, texts, options.repeats, clock),
        "load_average": os.getloadavg()[0],
    }
    if not options.dry:
        append(record)
    show(record)


def measure(
    model: str, prompt: str, texts: Sequence[str], repeats: int, clock: Callable[[], float]
) -> dict[str, object]:
    """Time every way to read the texts in turns; ratios are medians over the turns."""
    encoders = {dtype: _encoder(model, prompt, dtype) for dtype in DTYPES}
    base = encoders[BASE]
    ways: dict[str, Callable[[Sequence[str]], Rows]] = {
        **{dtype: _ours(encoder) for dtype, encoder in encoders.items()},
        **{f"loop {dtype}": _loop(encoder) for dtype, encoder in encoders.items()},
        "sentence-transformers float32": _sentence_transformers(model, base),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    rows: dict[str, Rows] = {}
    for turn in range(repeats + 1):
        for name, read in ways.items():
            began = clock()
            rows[name] = read(texts if turn else texts[:2])
            if turn:  # the first is a warm-up
                seconds[name].append(clock() - began)
    width = base.backbone.model.config.hidden_size
    rates = {dtype: matmul_rate(width, SIZE, getattr(torch, dtype), clock) for dtype in DTYPES}
    tokens, operations = count_work(base, Role.DOCUMENT, texts)
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "tokens": tokens,
        "documents_per_second": {name: len(texts) / middle[name] for name in ways},
        "tokens_per_second": {name: tokens / middle[name] for name in ways},
        "ratio_to_float32": {
            name: statistics.median(a / b for a, b in zip(seconds[BASE], times, strict=True))
            for name, times in seconds.items()
        },
        "share_of_matmul_rate": {
            dtype: operations / middle[dtype] / rates[dtype] for dtype in DTYPES
        },
        "matmul_gflops": {dtype: rate / 1e9 for dtype, rate in rates.items()},
        "lowest_cosine_to_float32": {
            name: float((row * rows[BASE]).sum(axis=1).min()) for name, row in rows.items()
        },
        "repeats": repeats,
    }


def _encoder(model: str, prompt: str, dtype: str) -> LLMEncoder:
    options = LLMOptions(dtype=dtype, device="cpu")
    backbone, resolved = load_backbone(model_place(model), options)
    return LLMEncoder(backbone, load_prompt(prompt), resolved)


def _ours(encoder: LLMEncoder) -> Callable[[Sequence[str]], Rows]:
    def read(texts: Sequence[str]) -> Rows:
        dense = encoder.encode(texts, Role.DOCUMENT).dense
        assert dense is not None
        return dense

    return read


def _loop(encoder: LLMEncoder) -> Callable[[Sequence[str]], Rows]:
    model = encoder.backbone.model

    def read(texts: Sequence[str]) -> Rows:
        fused = model.config._attn_implementation
        model.set_attn_implementation("sdpa")  # as transformers itself would have it
        rows = [_ids(encoder, text) for text in texts]
        parts = [
            torch.nn.functional.normalize(states.float())
            for states, _ in plain_batches(model, rows, BATCH)
        ]
        model.set_attn_implementation(fused)
        return torch.cat(parts).numpy()

    return read


def _sentence_transformers(model: str, encoder: LLMEncoder) -> Callable[[Sequence[str]], Rows]:
    transformer = Transformer(
        str(model_place(model)),
        model_kwargs={"dtype": torch.float32},
        modality_config=_TEXT,
        module_output_name="token_embeddings",
    )
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="lasttoken")
    theirs = SentenceTransformer(modules=[transformer, pooling], device="cpu")

    def read(texts: Sequence[str]) -> Rows:
        prompted = [encoder.backbone.tokenizer.decode(_ids(encoder, text)) for text in texts]
        rows: Rows = theirs.encode(prompted, batch_size=BATCH, normalize_embeddings=True)
        return rows

    return read


def _ids(encoder: LLMEncoder, text: str) -> list[int]:
    return list(encoder.fed(text, Role.DOCUMENT).wordings[0].ids)


def show(record: dict[str, object]) -> None:
    """Print a line of each way to read."""
    columns = {
        name: record[name]
        for name in (
            "documents_per_second",
            "tokens_per_second",
            "ratio_to_float32",
            "share_of_matmul_rate",
            "lowest_cosine_to_float32",
        )
    }
    table = Table("read by", *(name.replace("_", " ") for name in columns))
    first = columns["documents_per_second"]
    assert isinstance(first, dict)
    for way in first:
        cells = [values.get(way) for values in columns.values() if isinstance(values, dict)]
        table.add_row(way, *("" if cell is None else f"{cell:.4g}" for cell in cells))
    Console().print(table)


if __name__ == "__main__":
    main()
