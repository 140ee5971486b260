"""The training loop against its own arithmetic, killed and taken up again."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from embedder.train.device import Device
from embedder.train.loop import LOG_EVERY, Learner, StagePlan, train_stage
from embedder.train.loss import Loss
from embedder.train.progress import LogFile, TrainingMeter, TrainingProgress
from tests.folders import ROOT

SLOW = 0.004  # seconds that a step of the killed run takes


@dataclass(frozen=True)
class Points:
    """Points that a vector is drawn to: 4 pairs of 3 and 5 tokens each."""

    at: Tensor

    @property
    def queries(self) -> list[str]:
        return ["abc"] * 4

    @property
    def passages(self) -> list[str]:
        return ["abcde"] * 4


def points(start: int) -> Iterator[Points]:
    number = start
    while True:
        rng = np.random.default_rng([7, number])
        yield Points(torch.from_numpy(rng.standard_normal(6)).float())
        number += 1


def learner(pause: float = 0.0) -> Learner[Points]:
    vector, factor = torch.full((6,), 5.0), torch.ones(())

    def loss(batch: Points) -> Loss:
        time.sleep(pause)
        off = (factor * vector - batch.at).square().mean()
        return Loss(off + 0.01 * factor.square(), {"off": off, "size": factor.square()})

    return Learner({"v": 0.1, "f": 0.01}, {"v": vector, "f": factor}, loss, points)


def plan(folder: Path, steps: int = 80) -> StagePlan:
    return StagePlan(steps, folder / "points.safetensors", every=10, settings="the same")


def logged(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "points.jsonl").read_text().splitlines()]


def same_weights(one: Path, other: Path) -> bool:
    """Whether weights and moments of two runs agree to the bit."""
    a, b = (load_file(folder / "points.safetensors") for folder in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_rate_rises_and_falls() -> None:
    schedule = replace(plan(Path(), steps=100), warm_up=4)
    assert schedule.rate(0) == pytest.approx(1 / 4)
    assert schedule.rate(1) == pytest.approx(2 / 4 * 0.99)
    assert schedule.rate(50) == pytest.approx(0.5)
    assert schedule.rate(99) == pytest.approx(0.01)


def test_steps_are_those_of_adam(tmp_path: Path) -> None:
    taught = learner()
    assert train_stage(taught, plan(tmp_path, steps=3)) == 3
    vector = torch.full((6,), 5.0, dtype=torch.float64)
    first, second = torch.zeros_like(vector), torch.zeros_like(vector)
    factor = torch.ones((), dtype=torch.float64)
    means = [torch.zeros_like(factor), torch.zeros_like(factor)]
    for done, batch in zip(range(3), points(0), strict=False):  # by hand: Kingma & Ba, ICLR 2015
        rate = (done + 1) / 50 * (1 - done / 3)
        apart = factor * vector - batch.at.double()
        slopes = [2 * factor * apart / 6, (2 * apart * vector / 6).sum() + 0.02 * factor]
        length = torch.stack([slope.square().sum() for slope in slopes]).sum().sqrt()
        slopes = [slope * min(1.0, 10 / float(length)) for slope in slopes]
        first = 0.9 * first + 0.1 * slopes[0]
        second = 0.99 * second + 0.01 * slopes[0].square()
        means = [0.9 * means[0] + 0.1 * slopes[1], 0.99 * means[1] + 0.01 * slopes[1].square()]
        early, late = 1 - 0.9 ** (done + 1), 1 - 0.99 ** (done + 1)
        vector = vector - 0.1 * rate * (first / early) / ((second / late).sqrt() + 1e-8)
        factor = factor - 0.01 * rate * (means[0] / early) / ((means[1] / late).sqrt() + 1e-8)
    assert torch.allclose(taught.tensors["v"].double(), vector, atol=1e-5)
    assert torch.allclose(taught.tensors["f"].double(), factor, atol=1e-5)


def test_log_and_reports_say_what_happened(tmp_path: Path) -> None:
    told: list[TrainingProgress] = []
    train_stage(learner(), replace(plan(tmp_path), report=told.append))
    assert [progress.step for progress in told] == list(range(1, 81))
    assert told[-1].seconds_left == 0 and told[0].of == 80
    assert told[40].tokens_per_second == pytest.approx(told[40].items_per_second * (3 + 5))
    lines = logged(tmp_path)
    assert [line["step"] for line in lines] == [LOG_EVERY, 2 * LOG_EVERY, 3 * LOG_EVERY, 80]
    assert lines[-1]["loss"] == pytest.approx(told[-1].loss, abs=1e-5)
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert {"off", "size", "pairs_per_second", "seconds"} <= lines[0].keys()


def test_meter_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 102.0, 103.0])
    monkeypatch.setattr("embedder.train.progress.time.monotonic", lambda: next(clock))
    meter = TrainingMeter("bag", of=10)
    meter.begin()
    meter.measure(4, 2.0, 1.0, items=8, tokens=50)
    got = meter.measure(5, 4.0, 0.5, items=10, tokens=40)
    assert got == TrainingProgress(
        "bag", 5, 10, 0.95 * 2 + 0.05 * 4, 0.5, 18 / 3, 90 / 3, 5 * 3 / 2
    )


def test_stopped_and_taken_up_is_the_same_run(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    told: list[float] = []
    train_stage(learner(), replace(plan(whole), report=lambda progress: told.append(progress.loss)))
    again: list[float] = []
    asked = 0

    def enough() -> bool:
        nonlocal asked
        asked += 1
        return asked % 33 == 0

    halting = replace(plan(parts), stop=enough, report=lambda progress: again.append(progress.loss))
    assert [train_stage(learner(), halting) for _ in range(4)] == [33, 66, 80, 80]
    assert told == again
    assert same_weights(whole, parts)
    assert [line["loss"] for line in logged(whole)] == [line["loss"] for line in logged(parts)]


def test_killed_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    train_stage(learner(), plan(whole, steps=400))
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.embedder.train.test_train_loop", killed], cwd=ROOT
    )
    deadline = time.monotonic() + 60
    log = killed / "points.jsonl"
    while not log.exists() or log.read_text().count("\n") < 3:
        assert time.monotonic() < deadline and run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    with log.open("a") as file:  # what a kill in the middle of a line leaves
        file.write('{"step": 2')
    assert train_stage(learner(), plan(killed, steps=400)) == 400
    assert same_weights(whole, killed)
    steps = [line["step"] for line in logged(killed)]
    assert steps == list(range(LOG_EVERY, 401, LOG_EVERY))


def test_other_settings_are_refused(tmp_path: Path) -> None:
    train_stage(learner(), plan(tmp_path, steps=2))
    with pytest.raises(ValueError, match="other settings"):
        train_stage(learner(), replace(plan(tmp_path, steps=2), settings="others"))


def test_infinite_loss_is_refused(tmp_path: Path) -> None:
    taught = learner()
    taught.tensors["v"][0] = float("inf")
    with pytest.raises(ValueError, match="step 1; lower the learning rate"):
        train_stage(taught, plan(tmp_path))
    assert not (tmp_path / "points.safetensors").exists()


def test_log_forgets_what_is_taken_anew(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log.jsonl")
    log.cut(5)  # there is none yet
    for step in (1, 2, 3):
        log.add(TrainingProgress("bag", step, 9, 1.0, 1.0, 1.0, 1.0, 1.0), {"dense": 0.5})
    log.cut(2)
    assert [json.loads(line)["step"] for line in log.path.read_text().splitlines()] == [1, 2]


def test_device_is_chosen_or_refused() -> None:
    wanted = "cuda" if torch.cuda.is_available() else "cpu"
    assert Device.choose().name == wanted
    with pytest.raises(ValueError, match="device must be auto, cpu"):
        Device.choose("toaster")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device must be auto, cpu"):
            Device.choose("cuda:1")


def test_half_is_bfloat16_inside_only() -> None:
    matrix = torch.ones(2, 2)
    with Device("cpu").autocast():
        assert (matrix @ matrix).dtype == torch.bfloat16
    with Device("cpu", half=False).autocast():
        assert (matrix @ matrix).dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_takes_the_same_steps(tmp_path: Path) -> None:
    taught = learner()
    train_stage(taught, plan(tmp_path, steps=20))
    moved = learner()
    tensors = {name: tensor.cuda() for name, tensor in moved.tensors.items()}

    def loss(batch: Points) -> Loss:
        off = (tensors["f"] * tensors["v"] - batch.at.cuda()).square().mean()
        return Loss(off + 0.01 * tensors["f"].square(), {})

    there = Learner(moved.rates, tensors, loss, points, Device("cuda"))
    folder = tmp_path / "cuda"
    folder.mkdir()
    train_stage(there, replace(plan(folder, steps=20), stop=lambda: True))
    assert train_stage(there, plan(folder, steps=20)) == 20
    assert torch.allclose(tensors["v"].cpu(), taught.tensors["v"], atol=1e-4)


if __name__ == "__main__":
    train_stage(learner(SLOW), plan(Path(sys.argv[1]), steps=400))


def test_a_checkpoint_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """A kill once left files of a checkpoint's size, and checkpoints were for their owner only."""
    left = tmp_path / ".lastword-0123456789abcdef.partial"
    left.mkdir()
    (left / ".tmpAbCdEf").write_bytes(bytes(1000))
    train_stage(learner(), plan(tmp_path, steps=20))
    assert {path.name for path in tmp_path.iterdir()} == {"points.jsonl", "points.safetensors"}
    (tmp_path / "new").touch()
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    train_stage(learner(), plan(tmp_path, steps=20))
    path = tmp_path / "points.safetensors"
    whole = path.read_bytes()
    for data in (b"", whole[:30], whole[:-1], whole.replace(b'"step":"20"', b'"step":"2x"')):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"points\.safetensors is damaged .*; remove it"):
            train_stage(learner(), plan(tmp_path, steps=20))
