"""Ask a server's /embed by 1 and by 32 clients, beside the library in the same run.

python -m benchmarks.serving_embed [--texts 640] [--rounds 5] [--dry]

Texts as long as queries are embedded by the bundled model on one thread: by the library in
a loop and in batches, by one client that sends a text at a time or 32, and by 32 clients that send
a text each. Rounds of all of them alternate; figures are medians of texts per second, and of CPU
milliseconds per text, of the library or of the server, which other programs on the machine change
less. Every answer is compared with the library's row.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import lastword as lw
from benchmarks.record import append
from embedder.encoders.prompted import with_task
from embedder.types import Encoder, Float32Array, Role

CLIENTS, BATCH = 32, 32
NEAR = 1e-5  # rows of other batches: padding moves the last bits
Texts = Sequence[str]


def main(arguments: list[str] | None = None) -> None:
    """Run the rounds, print what came out, and append it to results.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=640, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    texts = some_texts(options.texts)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "served"
        with lw.build(path, ["a text"]) as index:
            encoder = with_task(index.encoders["dense"], "", ("dense",))
        expected = dense(encoder, texts)
        server = subprocess.Popen(
            [sys.executable, "-m", "lastword", "serve", str(path), "--port", "0"],
            stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            figures, wrong = measure(encoder, texts, expected, server, options.rounds)
        finally:
            server.terminate()
            server.wait()
    report(figures, wrong, options)
    sys.exit(wrong > 0)


def measure(
    encoder: Encoder,
    texts: Texts,
    expected: Float32Array,
    server: "subprocess.Popen[str]",
    rounds: int,
) -> tuple[dict[str, float], int]:
    """Return texts per second and CPU of a text by way, and how many rows were wrong."""
    port = port_of(server)
    ways: dict[str, Callable[[], list[bytes] | Float32Array]] = {
        "library_loop": lambda: np.concatenate([dense(encoder, [text]) for text in texts]),
        "library_batches": lambda: dense(encoder, texts),
        "client_1": lambda: asyncio.run(ask_all(port, texts, 1, 1)),
        f"client_1_texts_{BATCH}": lambda: asyncio.run(ask_all(port, texts, 1, BATCH)),
        f"clients_{CLIENTS}": lambda: asyncio.run(ask_all(port, texts, CLIENTS, 1)),
    }
    spent: dict[str, list[float]] = {f"{name}_seconds": [] for name in ways}
    spent |= {f"{name}_cpu": [] for name in ways}
    wrong = 0
    for number in range(rounds + 1):  # the first is to warm up
        for name, embed in ways.items():
            pid = os.getpid() if name.startswith("library") else server.pid
            began, cpu = time.perf_counter(), cpu_seconds(pid)
            found = embed()
            if number:
                spent[f"{name}_seconds"].append(time.perf_counter() - began)
                spent[f"{name}_cpu"].append(cpu_seconds(pid) - cpu)
            wrong += count_wrong(found, expected)
    return {name: statistics.median(each) / len(texts) for name, each in spent.items()}, wrong


def cpu_seconds(pid: int) -> float:
    """Return the CPU that a process has used, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def ask_all(port: int, texts: Texts, clients: int, size: int) -> list[bytes]:
    """Send texts, some in each request, by clients that take the next as they are answered."""
    requests = [texts[at : at + size] for at in range(0, len(texts), size)]
    waiting = iter(enumerate(requests))
    answers = [b""] * len(requests)

    async def run_client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for at, own in waiting:
            body = json.dumps({"inputs": own}).encode()
            head = "POST /embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answered = await reader.readuntil(b"\r\n\r\n")
            length = int(answered.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answers[at] = await reader.readexactly(length)
            assert answered.startswith(b"HTTP/1.1 200"), answers[at]
        writer.close()

    await asyncio.gather(*(run_client() for _ in range(clients)))
    return answers


def count_wrong(found: list[bytes] | Float32Array, expected: Float32Array) -> int:
    """Count rows that are not the library's."""
    rows = found if isinstance(found, np.ndarray) else [row for a in found for row in json.loads(a)]
    return int(np.sum(np.abs(np.array(rows, np.float32) - expected).max(axis=1) > NEAR))


def report(figures: dict[str, float], wrong: int, options: argparse.Namespace) -> None:
    """Print figures and what they are compared with, and append them."""
    many, library = f"clients_{CLIENTS}", "library_batches"
    record: dict[str, object] = {
        "name": "serving_embed",
        "model": "bundled",
        "texts": options.texts,
        "rounds": options.rounds,
        "rows_wrong": wrong,
    }
    for name, value in figures.items():
        way, _, unit = name.rpartition("_")
        if unit == "seconds":
            record[f"{way}_texts_per_s"] = round(1 / value, 1)
        else:
            record[f"{way}_cpu_ms_per_text"] = round(1000 * value, 2)
    for unit in ("seconds", "cpu"):
        of_many = figures[f"{many}_{unit}"]
        record[f"{many}_over_{library}_{unit}"] = round(figures[f"{library}_{unit}"] / of_many, 2)
        record[f"{many}_over_client_1_{unit}"] = round(figures[f"client_1_{unit}"] / of_many, 2)
    sys.stdout.write("\n".join(f"{name}: {value}" for name, value in record.items()) + "\n")
    if not options.dry:
        append(record)


def dense(encoder: Encoder, texts: Texts) -> Float32Array:
    """Return dense rows of documents."""
    rows = encoder.encode(texts, Role.DOCUMENT).dense
    assert rows is not None
    return rows


def some_texts(count: int) -> list[str]:
    """Put texts of 3 to 12 words together."""
    words = "wing flow heat layer shock pressure tea key rock slip stream over in of the".split()
    source = np.random.default_rng(0)
    return [" ".join(source.choice(words, source.integers(3, 13))) for _ in range(count)]


def port_of(server: "subprocess.Popen[str]") -> int:
    """Wait until a server says where it is; go on reading what it logs."""
    assert server.stderr is not None
    for line in server.stderr:
        if "http://" in line:
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return int(line.split("http://")[1].split(":")[1].split()[0])
    raise RuntimeError("the server did not start")


if __name__ == "__main__":
    main()
