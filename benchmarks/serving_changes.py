"""Change an index while a server of it is asked: whether every answer is of one generation.

python -m benchmarks.serving_changes [--kills 50] [--changes 12] [--clients 8] [--dry]

This process adds, deletes and merges; a server in another answers clients that ask for all
documents at once. After some changes the server is killed with -9 and started again. An answer
counts as wrong if its documents are not just those of the generation that it names.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lastword as lw
from benchmarks.record import append
from benchmarks.serving_load import ask

BODY = json.dumps({"query": "common stone", "k": 1000, "highlight": False}).encode()


@dataclass
class Answers:
    """What was asked and answered; `states` are the documents of each generation."""

    states: dict[int, set[str]] = field(default_factory=dict)
    found: list[tuple[int, set[str]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)

    def wrong(self) -> list[int]:
        """Return the generations whose documents an answer does not have."""
        return [at for at, ids in self.found if at in self.states and self.states[at] != ids]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print what came out, and append it to results.jsonl; 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--changes", type=int, default=12, help="between two kills")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    answers = Answers()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "changed"
        documents = [{"id": f"old{at}", "text": f"a common stone {at}"} for at in range(50)]
        with lw.build(path, documents, model="bm25") as engine:
            note(engine, answers)
            for kill in range(options.kills + 1):
                run_server(engine, answers, kill, options)
    wrong, generations = answers.wrong(), {at for at, _ in answers.found}
    sys.stdout.write(
        f"{len(answers.found)} answers of {len(generations)} of {len(answers.states)} generations, "
        f"{len(wrong)} wrong, {len(answers.refused)} refused; {options.kills} kills; started in "
        f"{max(answers.starts):.1f} s at most\n"
    )
    if not options.dry:
        append(
            {
                "name": "serving_changes",
                "kills": options.kills,
                "answers": len(answers.found),
                "generations": len(generations),
                "wrong": len(wrong),
                "refused": len(answers.refused),
                "longest_start_seconds": max(answers.starts),
            }
        )
    return 1 if wrong or answers.refused else 0


def run_server(
    engine: lw.SearchEngine, answers: Answers, kill: int, options: argparse.Namespace
) -> None:
    """Serve and change the index until the server is killed."""
    log, start = engine.path.parent / f"log{kill}", time.monotonic()
    command = [sys.executable, "-m", "lastword", "serve", str(engine.path), "--port", "0"]
    with log.open("w") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            while " serves " not in log.read_text():
                if process.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.05)
            answers.starts.append(time.monotonic() - start)
            address = log.read_text().partition(" serves ")[0].split()[-1]
            asyncio.run(ask_meanwhile(address, engine, answers, kill, options))
        finally:
            process.kill()


async def ask_meanwhile(
    address: str, engine: lw.SearchEngine, answers: Answers, kill: int, options: argparse.Namespace
) -> None:
    """Let clients ask while a thread changes the index."""
    done = threading.Event()

    def change() -> None:
        for at in range(options.changes):
            name = f"new{kill}-{at}"
            engine.add([{"id": name, "text": f"a common stone {name}"}])
            note(engine, answers)
            if at % 3 == 2:
                engine.delete([f"new{kill}-{at - 1}", f"new{kill}-{at - 2}"])
                note(engine, answers)
        done.set()

    async def client() -> None:
        while not done.is_set():
            status, body = await ask(address, "POST", "/v1/search", BODY)
            if status != 200:
                answers.refused.append(f"{status} {body[:100]!r}")
                continue
            answer = json.loads(body)
            ids = {hit["id"] for hit in answer["hits"]}
            answers.found.append((answer["generation"], ids))

    thread = threading.Thread(target=change)
    thread.start()
    await asyncio.gather(*(client() for _ in range(options.clients)))
    thread.join()


def note(engine: lw.SearchEngine, answers: Answers) -> None:
    """Remember the documents of the generation that was committed."""
    with engine.reading() as retriever:
        answers.states[retriever.index.generation] = set(retriever.index.ids())


if __name__ == "__main__":
    sys.exit(main())
