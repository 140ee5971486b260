"""Take optimizer steps, with checkpoints that a run can be taken up from without a trace."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from embedder.files.durable import filling
from embedder.train.device import Device
from embedder.train.loss import Loss
from embedder.train.progress import LogFile, TrainingMeter, TrainingProgress
from embedder.train.work_files import named_if_damaged

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

log = logging.getLogger(__name__)
WARM_UP = 50  # steps
LOG_EVERY = 25  # steps
MOMENTS = ("exp_avg", "exp_avg_sq")


class PairStream(Protocol):
    """A batch whose pairs and tokens can be counted."""

    @property
    def queries(self) -> Sequence[Sized]:
        """Token ids of each query."""
        ...

    @property
    def passages(self) -> Sequence[Sized]:
        """Token ids of each passage."""
        ...


BatchT = TypeVar("BatchT", bound=PairStream)


@dataclass(frozen=True, slots=True, eq=False)
class Learner(Generic[BatchT]):
    """What one stage trains.

    Attributes:
        rates: learning rate of each learning tensor, by name; Adam, no weight decay.
        tensors: the learning tensors by the same names; changed in place.
        loss: from a batch to what is minimised.
        batches: the stream of batches from a given number on.
        device: where the tensors are.
        longest: gradients together are cut to this Euclidean length.
    """

    rates: dict[str, float]
    tensors: "dict[str, Tensor]"
    loss: Callable[[BatchT], Loss]
    batches: Callable[[int], Iterator[BatchT]]
    device: Device = field(default_factory=Device)
    longest: float = 10.0


@dataclass(frozen=True, slots=True)
class StagePlan:
    """How long a stage runs and where it keeps its state.

    Attributes:
        steps: optimizer steps in all.
        checkpoint: file to write and to take up from; the log, *.jsonl, lies beside it.
        every: steps between two checkpoints.
        settings: the run's settings; a checkpoint of other settings is refused.
        stop: asked after each step; True ends the stage early at a fresh checkpoint.
        report: told after each step.
        warm_up: steps over which the learning rate rises.
    """

    steps: int
    checkpoint: Path
    every: int
    settings: str
    stop: Callable[[], bool] = lambda: False
    report: Callable[[TrainingProgress], None] = lambda progress: None
    warm_up: int = WARM_UP

    def rate(self, done: int) -> float:
        """Return the share of the learning rate that step number `done` is taken with."""
        return min(1.0, (done + 1) / self.warm_up) * (1 - done / self.steps)


def train_stage(learner: Learner[BatchT], plan: StagePlan) -> int:
    """Run a stage to its end, or take it up where its checkpoint left off.

    Returns:
        Steps done in all; fewer than planned if stopped.
    """
    for tensor in learner.tensors.values():
        tensor.requires_grad_(True)
    groups = [{"params": [learner.tensors[n]], "lr": rate} for n, rate in learner.rates.items()]
    optimizer = learner.device.adam(groups)
    meter, done = TrainingMeter(plan.checkpoint.stem, plan.steps), 0
    if plan.checkpoint.exists():
        done, meter.loss = _restore(learner, optimizer, plan)
    file = LogFile(plan.checkpoint.with_suffix(".jsonl"))
    file.cut(done)
    meter.begin()
    batches = learner.batches(done)
    batch = next(batches) if done < plan.steps else None
    while batch is not None:
        share, following = plan.rate(done), None
        loss = _step(learner, optimizer, batch, share)
        done += 1
        if done < plan.steps:
            following = next(batches)  # drawn while a GPU is still at work
        value = float(loss.total)
        if not math.isfinite(value):
            raise ValueError(f"the loss became {value} at step {done}; lower the learning rate")
        tokens = sum(map(len, batch.queries)) + sum(map(len, batch.passages))
        progress = meter.measure(done, value, share, len(batch.queries), tokens)
        plan.report(progress)
        if done % LOG_EVERY == 0 or done == plan.steps:
            file.add(progress, {name: float(part) for name, part in loss.parts.items()})
            log.info("%s", progress)
        stopped = plan.stop()
        if done % plan.every == 0 or done == plan.steps or stopped:
            _keep(learner, optimizer, plan, progress)
        batch = None if stopped else following
    return done


def train_until(minutes: float | None) -> Callable[[], bool]:
    """Return what says whether this much time is over since now; None is never."""
    end = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
    return lambda: time.monotonic() > end


def _step(learner: Learner[BatchT], optimizer: "Optimizer", batch: BatchT, share: float) -> Loss:
    """Take one step at a share of the learning rates; return the loss before it."""
    import torch

    for group, rate in zip(optimizer.param_groups, learner.rates.values(), strict=True):
        group["lr"] = rate * share
    loss = learner.loss(batch)
    optimizer.zero_grad()
    torch.autograd.backward(loss.total)
    torch.nn.utils.clip_grad_norm_(list(learner.tensors.values()), learner.longest)
    optimizer.step()
    return Loss(loss.total.detach(), {name: part.detach() for name, part in loss.parts.items()})


def _keep(
    learner: Learner[BatchT], optimizer: "Optimizer", plan: StagePlan, progress: TrainingProgress
) -> None:
    from safetensors.torch import save_file

    tensors = {name: tensor.detach() for name, tensor in learner.tensors.items()}
    for name, tensor in learner.tensors.items():  # one that no loss has reached has no state
        for fact, value in optimizer.state.get(tensor, {}).items():
            tensors[f"{fact}/{name}"] = value
    facts = {"step": str(progress.step), "loss": repr(progress.loss), "settings": plan.settings}
    with filling(plan.checkpoint.parent) as folder:
        save_file(tensors, folder / plan.checkpoint.name, facts)


def _restore(
    learner: Learner[BatchT], optimizer: "Optimizer", plan: StagePlan
) -> tuple[int, float | None]:
    """Put the checkpoint's state back; return its step and smoothed loss."""
    import torch
    from safetensors import safe_open

    place = learner.device.name
    with named_if_damaged(plan.checkpoint), safe_open(plan.checkpoint, framework="pt") as file:
        facts = file.metadata()
        settings, done, loss = facts["settings"], int(facts["step"]), facts.get("loss")
        loss = None if loss is None else float(loss)
    if settings != plan.settings:
        raise ValueError(
            f"{plan.checkpoint} belongs to a run with other settings; "
            "give the same ones or another --out folder"
        )
    # One kernel reads its step counts where the weights are, the plain form on the CPU.
    counted = place if optimizer.defaults["fused"] else "cpu"
    with (
        named_if_damaged(plan.checkpoint),
        safe_open(plan.checkpoint, framework="pt", device=place) as file,
        torch.no_grad(),
    ):
        names = set(file.keys())
        for name, tensor in learner.tensors.items():
            tensor.copy_(file.get_tensor(name))
            if f"{MOMENTS[0]}/{name}" not in names:
                continue
            state = {moment: file.get_tensor(f"{moment}/{name}") for moment in MOMENTS}
            state["step"] = file.get_tensor(f"step/{name}").to(counted)
            optimizer.state[tensor] = state
    return done, loss
