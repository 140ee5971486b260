"""Kill -9 an evaluation: the same command with --resume ends with the figures of a whole one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eval.runs.run_folder import RunFolder
from tests.folders import ROOT
from tests.synthetic import documents, queries


@pytest.fixture
def collections(tmp_path: Path) -> list[Path]:
    """Two collections of 200 documents, with judgements that some answers meet."""
    asked = queries()
    made = []
    for start, name in enumerate(("first", "second")):
        folder = tmp_path / "data" / name
        (folder / "qrels").mkdir(parents=True)
        held = list(documents(200, start=200 * start))
        lines = [{"_id": one.id, "title": one.title, "text": one.text} for one in held]
        (folder / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        lines = [{"_id": query_id, "text": text} for query_id, text in asked.items()]
        (folder / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        judged = [
            f"{query_id}\t{one.id}\t1\n"
            for at, query_id in enumerate(asked)
            for one in held[at :: len(asked)]
        ]
        header = "query-id\tcorpus-id\tscore\n"
        (folder / "qrels" / "test.tsv").write_text(header + "".join(judged))
        made.append(folder)
    return made


def command(collections: list[Path], out: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "lastword", "eval", "retrieval", *map(str, collections)),
        *("--out", str(out / "run"), "--indexes", str(out / "indexes"), "--resume", "--quiet"),
    ]


def judged(collections: list[Path], out: Path) -> dict[str, object]:
    subprocess.run(command(collections, out), cwd=ROOT, env=environment(), check=True)
    folder = RunFolder.open(out / "run")
    return {
        name: (record.values, record.details["documents"], folder.run(name))
        for name, record in folder.records.items()
    }


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def test_a_killed_evaluation_goes_on(collections: list[Path], tmp_path: Path) -> None:
    """Killed in the first collection, then in the second, it ends as one that was not."""
    whole = judged(collections, tmp_path / "whole")
    assert whole.keys() == {"first", "second"}
    killed = tmp_path / "killed"
    for name in whole:
        process = subprocess.Popen(command(collections, killed), cwd=ROOT, env=environment())
        while process.poll() is None and not any(killed.rglob(f"{name}.index/cache/*.npz")):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert (killed / "run" / "first.json").exists() == (name == "second")
    assert judged(collections, killed) == whole
