"""Builds on a Ray cluster of two machines, here of one: equal to local ones, whoever dies."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

import lastword as lw
from embedder.cluster.options import WorkerReport
from index.manifest_file import MANIFEST, read_manifest
from retrieval.build import build_index
from tests.folders import ROOT
from tests.killed_ray import SEGMENT, TEXTS, WINDOW, build
from tests.models import save_llama
from tests.retrieval.test_build import contents
from tests.synthetic import documents, queries

pytestmark = pytest.mark.slow
thorough = pytest.mark.skipif(
    "LASTWORD_CLUSTER" not in os.environ, reason="takes a minute; LASTWORD_CLUSTER=1 runs it"
)
pytest.importorskip("ray")

Machines = Any
"""A Cluster of Ray, which is imported only where it runs."""
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two machines of a core each, on the loopback interface."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}.items():
            patch.setenv(name, value)
        import ray
        from ray.cluster_utils import Cluster

        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        made.add_node(num_cpus=1)
        yield made
        ray.shutdown()
        made.shutdown()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of the same documents, built here."""
    path = tmp_path_factory.mktemp("local") / "i"
    build(path, None)
    return path


def on(cluster: Machines) -> lw.RayOptions:
    return lw.RayOptions(cluster.address, workers=2)


def check_equal(path: Path, local: Path) -> None:
    """Demand the same files, byte by byte."""
    wanted, got = contents(local), contents(path)
    assert got.keys() == wanted.keys()
    assert [name for name in wanted if got[name] != wanted[name]] == []


def encoded(workers: tuple[WorkerReport, ...]) -> int:
    return sum(worker.texts for worker in workers)


def build_until(
    path: Path,
    cluster: Machines,
    happen: Callable[[], object],
) -> tuple[WorkerReport, ...]:
    """Build, while something happens once when the first windows are there."""
    happened = False

    def advance(read: int) -> None:
        nonlocal happened
        if read >= 2 * WINDOW and not happened:
            happened = True
            happen()

    encoder = lw.load_encoder("bundled")
    encoders = {"dense": encoder, "sparse": encoder, "bm25": lw.load_encoder("bm25")}
    options = lw.BuildOptions(segment_documents=SEGMENT, window=WINDOW, ray=on(cluster))
    return build_index(documents(TEXTS), encoders, path, options, advance).workers


def worker_processes() -> list[psutil.Process]:
    """Return the processes of workers, which Ray names after what they run."""
    ours = psutil.Process().children(recursive=True)
    return [each for each in ours if "".join(each.cmdline()).startswith("ray::EncodingWorker")]


@thorough
def test_an_index_equals_a_local_one(cluster: Machines, local: Path, tmp_path: Path) -> None:
    report = build(tmp_path / "i", on(cluster))
    check_equal(tmp_path / "i", local)
    assert encoded(report.workers) == report.documents == TEXTS
    assert sum(each.tokens for each in report.workers) == report.counts["dense"]["tokens"]
    assert all(each.held >= each.loading + each.encoding > 0 for each in report.workers)
    assert "reused" not in report.counts["dense"]
    with lw.open(tmp_path / "i") as there, lw.open(local) as here:
        assert there.search_many(queries(), k=20) == here.search_many(queries(), k=20)


def test_a_killed_worker_is_replaced(cluster: Machines, local: Path, tmp_path: Path) -> None:
    workers = build_until(tmp_path / "i", cluster, lambda: worker_processes()[0].kill())
    check_equal(tmp_path / "i", local)
    assert sum(each.losses for each in workers) == 1
    assert encoded(workers) == TEXTS


@thorough
def test_a_machine_that_goes_away_takes_nothing_along(
    cluster: Machines,
    local: Path,
    tmp_path: Path,
) -> None:
    machine = cluster.list_all_nodes()[1]
    workers = build_until(tmp_path / "i", cluster, lambda: cluster.remove_node(machine))
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    check_equal(tmp_path / "i", local)
    assert sum(each.losses for each in workers) >= 1
    assert encoded(workers) == TEXTS


@thorough
def test_a_killed_driver_encodes_nothing_twice(
    cluster: Machines,
    local: Path,
    tmp_path: Path,
) -> None:
    path = tmp_path / "i"
    command = [sys.executable, "-m", "tests.killed_ray", str(path), cluster.address]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    first = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        committed, kept = wait_for_second_segment(path, first)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    committed, kept = read_manifest(path).documents, len(list((path / "cache").glob("*.npz")))
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    facts = json.loads(again.stdout.splitlines()[-1])
    assert facts == {
        "resumed": committed,
        "reused": WINDOW * kept,
        "encoded": TEXTS - committed - WINDOW * kept,
    }
    check_equal(path, local)


def wait_for_second_segment(path: Path, process: "subprocess.Popen[bytes]") -> tuple[int, int]:
    """Wait until a segment is committed, and rows of the next are there; return how many files."""
    for _ in range(6000):
        assert process.poll() is None, "the build was over before it could be killed"
        if (path / MANIFEST).exists() and (committed := read_manifest(path).documents):
            time.sleep(0.1)  # the files of the first segment go after its commit
            if kept := len(list((path / "cache").glob("*.npz"))):
                return committed, kept
        time.sleep(0.01)
    raise AssertionError("nothing was committed")


@thorough
def test_an_error_of_a_worker_is_one_line(cluster: Machines, tmp_path: Path) -> None:
    """The model is there when the build begins, and not on the machines of the workers."""
    folder = save_llama(tmp_path / "model")
    encoder = lw.load_encoder(folder)
    shutil.rmtree(folder)
    options = lw.BuildOptions(ray=replace(on(cluster), workers=1))
    with pytest.raises(ValueError, match=r"^worker 1 cannot load the model: ") as caught:
        build_index(documents(20), {"dense": encoder}, tmp_path / "i", options)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "i").exists()
