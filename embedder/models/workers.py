"""Several batches at once on a processor, each in a thread of its own with few threads of torch.

Threads of torch that share a batch wait for each other at every operation, and all wait for Python
between two: SmolLM2 in bfloat16 read 1.4 to 1.7 times as much in two threads as in one, and twice
as much where each thread reads a batch of its own. A worker has a copy of the model's modules, so
that what one pass hooks into them no other pass meets; the weights are there once.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from threading import Barrier, BrokenBarrierError, RLock
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from embedder.locks import lock_of
from embedder.progress import Progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Output = TypeVar("Output")
RunBatch = Callable[[NDArray[np.int64]], Output]
"""Called with the places of a batch's texts; returns its output."""

MOST_WORKERS = 8  # beyond, Python's lock would be busy; the workers get more threads instead

_at_once = RLock()  # workers times threads is what torch was given, whichever threads read


def count_workers(batches: int) -> int:
    """Return how many batches are read at a time, each by torch's threads divided by that."""
    if "parallel backend: OpenMP" not in torch.__config__.parallel_info():
        return 1  # elsewhere the number of threads is not each thread's own
    return max(1, min(batches, torch.get_num_threads(), MOST_WORKERS))


def has_replicas(model: "PreTrainedModel") -> bool:
    """Tell whether copies of a model's modules read what it reads, at the same time.

    Not where its code is not that of transformers, where somebody has hooked it, or under
    autocast, which other threads know nothing of.
    """
    with lock_of(model):  # no pass of another thread has hooked it
        hooks = [
            hook
            for module in model.modules()
            for of_module in (module._forward_pre_hooks, module._forward_hooks)
            for hook in of_module.values()
        ]
    return (
        next(model.parameters()).device.type == "cpu"
        and type(model).__module__.startswith("transformers.")
        and getattr(model.config, "quantization_config", None) is None
        and not torch.is_autocast_enabled("cpu")
        and all(getattr(hook, "__module__", "").startswith("transformers.") for hook in hooks)
    )


def replicate(model: "PreTrainedModel") -> "PreTrainedModel":
    """Copy a model's modules; weights, buffers and config are shared."""
    with lock_of(model):
        shared = (*model.parameters(), *model.buffers(), model.config)
        return deepcopy(model, {id(thing): thing for thing in shared})


def run_at_once(
    batches: Sequence[NDArray[np.int64]], runs: Sequence[RunBatch[Output]], tell: Progress
) -> list[Output]:
    """Run batches in as many threads as there are functions; the first come first.

    Args:
        batches: at least as many as functions.
        runs: may be called at the same time, each by one thread.
        tell: called in this thread with the number of a batch's texts when it is done, in order.

    Returns:
        The outputs of the batches before the first that did not fit in memory beside the others.

    Raises:
        Exception: what the first batch that failed raised. No thread is left behind.
    """
    threads = torch.get_num_threads()
    ready, free = Barrier(len(runs) + 1), deque(runs)
    outputs: list[Output] = []

    def start() -> None:
        torch.get_num_threads()  # torch sets a thread's number when it is first needed
        torch.set_num_threads(threads // len(runs))
        with suppress(BrokenBarrierError):  # an initializer that fails would leave others waiting
            ready.wait()

    def work(batch: NDArray[np.int64]) -> Output:
        run = free.pop()
        try:
            return run(batch)
        finally:
            free.append(run)

    with _at_once:
        pool = ThreadPoolExecutor(len(runs), "reading", initializer=start)
        try:
            coming = [pool.submit(work, batch) for batch in batches]
            ready.wait()
            torch.set_num_threads(threads)  # new threads take the number that was set last
            for batch, output in zip(batches, coming, strict=True):
                try:
                    outputs.append(output.result())
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                    break
                tell(len(batch))
        finally:
            ready.abort()
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)
    return outputs


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether there was too little memory; for a processor, torch has no error of its own."""
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))
