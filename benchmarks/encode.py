"""Encoding speed beside a plain transformers loop, in the same run, with equal vectors.

    python -m benchmarks.encode [--data FOLDER] [--documents 300] [--queries 300]

The plain loop does what the paper's code does: batches of 64 in file order, padded on the right,
logits of all positions, all hidden states. Both run in float32 on the same threads. The floor is
the time of the model's multiplications at the matmul rate measured in this run.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from benchmarks.record import append
from embedder.checkpoints.bundled import BUNDLED_MODEL
from embedder.encoders.llm import LLMEncoder
from embedder.models.loading import LLMOptions
from embedder.types import Role
from tests.models import load_llm

DATA = Path(__file__).resolve().parent.parent.parent / "shared/data/retrieval/scifact"
T = TypeVar("T")
BATCH = 64
MODELS = ["bundled", "llama-135m"]
ROLES = [role.value for role in Role]
TOLERANCE = 1e-4
GOAL = {Role.DOCUMENT: 2.0, Role.QUERY: 3.0}


def main() -> None:
    """Measure both models on both roles."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA, help="a BEIR folder")
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--roles", nargs="+", choices=[r.value for r in Role], default=ROLES)
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    if not (args.data / "corpus.jsonl").is_file():
        raise SystemExit(f"skipped: no BEIR folder at {args.data}; give one with --data")
    texts = {
        Role.DOCUMENT: _texts(args.data / "corpus.jsonl", args.documents),
        Role.QUERY: _texts(args.data / "queries.jsonl", args.queries),
    }
    texts = {role: texts[role] for role in map(Role, args.roles)}
    table = Table("model", "role", "texts/s", "plain loop", "ratio", "goal", "floor", "difference")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.models:
            place = BUNDLED_MODEL if name == "bundled" else random_135m(folder)
            encoder = load_llm(place, options=LLMOptions(dtype="float32", device="cpu"))
            for role, role_texts in texts.items():
                record = _measure(name, encoder, role, role_texts, args.repeats)
                append(record)
                table.add_row(*_cells(record))
    Console().print(table)


def _measure(
    name: str, encoder: LLMEncoder, role: Role, texts: Sequence[str], repeats: int
) -> dict[str, object]:
    """Time ours and theirs in turn, so that both see the same machine."""
    ours = encoder.encode(texts[:BATCH], role)  # warm-up: prefix cache, threads, allocator
    theirs = _plain(encoder, texts[:BATCH], role)
    mine, plain = [], []
    for _ in range(repeats):
        seconds, ours = _timed(lambda: encoder.encode(texts, role))
        mine.append(seconds)
        seconds, theirs = _timed(lambda: _plain(encoder, texts, role))
        plain.append(seconds)
    if ours.dense is None:
        raise AssertionError("a prompt that reads dense rows gave none")
    difference = float(np.abs(ours.dense - theirs).max())
    if difference > TOLERANCE:
        raise SystemExit(f"{name} {role.value}: vectors differ by {difference}")
    seconds = statistics.median(mine)
    ratios = [b / a for a, b in zip(mine, plain, strict=True)]
    return {
        "name": f"encode/{name}/{role.value}",
        "texts": len(texts),
        "texts_per_second": len(texts) / seconds,
        "seconds_median": seconds,
        "seconds_min_max": [min(mine), max(mine)],
        "baseline": "transformers loop: batch 64 in file order, all logits, all hidden states",
        "baseline_texts_per_second": len(texts) / statistics.median(plain),
        "ratio": statistics.median(ratios),
        "ratio_min_max": [min(ratios), max(ratios)],
        "goal": GOAL[role],
        "floor_seconds": _floor(encoder, role, texts),
        "repeats": repeats,
        "threads": torch.get_num_threads(),
        "difference": difference,
    }


def _plain(encoder: LLMEncoder, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
    """Encode as the paper's code does; returns unit rows, and makes the sparse rows too."""
    model = encoder.backbone.model
    rows = [encoder.fed(text, role).wordings[0].ids for text in texts]
    allowed = encoder.table.allowed(texts) if encoder.table else []
    dense = []
    for start, (states, logits) in zip(
        range(0, len(rows), BATCH), plain_batches(model, rows, BATCH), strict=True
    ):
        dense.append(torch.nn.functional.normalize(states.float()))
        weights = torch.log1p(torch.relu(logits))
        for row, columns in enumerate(allowed[start : start + BATCH]):
            allowed_weights = weights[row, torch.from_numpy(columns)]
            allowed_weights.topk(min(128, len(columns)))
    rows_: NDArray[np.float32] = torch.cat(dense).numpy()
    return rows_


@torch.no_grad()
def plain_batches(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield states and logits at the last tokens of each batch of token ids, in the order given.

    Logits of every position and all hidden states are computed, as plain programs do.
    """
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        longest = max(map(len, batch))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in batch])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in batch])
        out = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        places = torch.arange(len(batch)), mask.sum(1) - 1
        states, logits = out.hidden_states[-1][places], out.logits[places]
        del out  # 7 GB of logits: two batches of them would not fit
        yield states, logits


def _floor(encoder: LLMEncoder, role: Role, texts: Sequence[str]) -> float:
    """Seconds that the multiplications alone take: tokens x weights x 2 / matmul rate."""
    _, operations = count_work(encoder, role, texts)
    return operations / matmul_rate(encoder.backbone.model.config.hidden_size)


def count_work(encoder: LLMEncoder, role: Role, texts: Sequence[str]) -> tuple[int, int]:
    """Count tokens after the shared prefix, and operations with the weights they meet."""
    shared = len(encoder.reader.frames[role][0].prefix)
    tokens = sum(encoder.fed(text, role).tokens - shared for text in texts)
    blocks = sum(weight.numel() for weight in encoder.backbone.layers.parameters())
    head = encoder.backbone.model.get_output_embeddings().weight.numel()
    return tokens, 2 * (tokens * blocks + len(texts) * head)


def matmul_rate(
    width: int,
    rows: int = 2048,
    dtype: torch.dtype = torch.float32,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Operations per second of (rows, width) x (width, 4 width), for half a second."""
    left, right = torch.randn(rows, width).to(dtype), torch.randn(width, 4 * width).to(dtype)
    left @ right
    start, done = clock(), 0
    while clock() - start < 0.5:
        left @ right
        done += 1
    return done * 2 * rows * width * 4 * width / (clock() - start)


def random_135m(folder: str) -> Path:
    """Save a random Llama of 30 layers, 576 wide, vocabulary 49,152, with a real tokenizer."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(BUNDLED_MODEL).save_pretrained(folder)
    return Path(folder)


def _texts(path: Path, count: int) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(count), strict=False)]
    return [f"{row.get('title', '')} {row['text']}".strip() for row in rows]


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _cells(record: dict[str, object]) -> list[str]:
    _, model, role = str(record["name"]).split("/")
    numbers = ("texts_per_second", "baseline_texts_per_second", "ratio", "goal", "floor_seconds")
    return [model, role, *(f"{record[key]:.4g}" for key in numbers), f"{record['difference']:.1g}"]


if __name__ == "__main__":
    main()
