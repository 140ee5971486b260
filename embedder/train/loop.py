"""Take optimizer steps, with checkpoints that a run can be taken up from without a trace."""

import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedder.train.pairs import Batch

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

log = logging.getLogger(__name__)
WARM_UP = 50  # steps
LOG_EVERY = 25  # steps
MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """What one stage trains.

    Attributes:
        rates: learning rate of each learning tensor, by name; Adam, no weight decay.
        tensors: the learning tensors by the same names; changed in place.
        loss: from a batch to a scalar.
        batches: the stream of batches from a given number on.
    """

    rates: dict[str, float]
    tensors: "dict[str, Tensor]"
    loss: "Callable[[Batch], Tensor]"
    batches: Callable[[int], Iterator[Batch]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a stage runs and where it keeps its state.

    Attributes:
        steps: optimizer steps in all.
        checkpoint: file to write and to take up from.
        every: steps between two checkpoints.
        stop: asked after each step; True ends the stage early at a fresh checkpoint.
        settings: the run's settings; a checkpoint of other settings is refused.
    """

    steps: int
    checkpoint: Path
    every: int
    settings: str
    stop: Callable[[], bool] = lambda: False


def learn(learner: Learner, plan: Plan) -> int:
    """Run a stage to its end, or take it up where its checkpoint left off.

    Returns:
        Steps done in all; fewer than planned if stopped.
    """
    import torch

    for tensor in learner.tensors.values():
        tensor.requires_grad_(True)
    groups = [{"params": [learner.tensors[n]], "lr": rate} for n, rate in learner.rates.items()]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
    done = _restore(learner, optimizer, plan) if plan.checkpoint.exists() else 0
    batches, smooth = learner.batches(done), math.nan
    while done < plan.steps:
        for group, rate in zip(optimizer.param_groups, learner.rates.values(), strict=True):
            group["lr"] = rate * min(1.0, (done + 1) / WARM_UP) * (1 - done / plan.steps)
        loss = learner.loss(next(batches))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(list(learner.tensors.values()), 10.0)
        optimizer.step()
        done += 1
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ValueError(f"the loss became {value} at step {done}; lower the learning rate")
        smooth = value if math.isnan(smooth) else 0.95 * smooth + 0.05 * value
        if done % LOG_EVERY == 0:
            log.info("%s step %d of %d, loss %.3f", plan.checkpoint.stem, done, plan.steps, smooth)
        stopped = plan.stop()
        if done % plan.every == 0 or done == plan.steps or stopped:
            _keep(learner, optimizer, plan, done)
        if stopped:
            break
    return done


def _keep(learner: Learner, optimizer: "Optimizer", plan: Plan, done: int) -> None:
    from safetensors.torch import save_file

    tensors = {name: tensor.detach() for name, tensor in learner.tensors.items()}
    for name, tensor in learner.tensors.items():
        for moment in MOMENTS:
            tensors[f"{moment}/{name}"] = optimizer.state[tensor][moment]
    partial = plan.checkpoint.with_suffix(".partial")
    save_file(tensors, partial, {"step": json.dumps(done), "settings": plan.settings})
    partial.replace(plan.checkpoint)


def _restore(learner: Learner, optimizer: "Optimizer", plan: Plan) -> int:
    import torch
    from safetensors import safe_open

    with safe_open(plan.checkpoint, framework="pt") as file:
        facts = file.metadata()
        if facts["settings"] != plan.settings:
            raise ValueError(
                f"{plan.checkpoint} belongs to a run with other settings; "
                "give the same ones or another --out folder"
            )
        done = int(json.loads(facts["step"]))
        with torch.no_grad():
            for name, tensor in learner.tensors.items():
                tensor.copy_(file.get_tensor(name))
                state = {moment: file.get_tensor(f"{moment}/{name}") for moment in MOMENTS}
                optimizer.state[tensor] = {"step": torch.tensor(float(done)), **state}
    return done
