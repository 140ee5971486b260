"""Batches that are run at once: the outputs, errors and threads of batches run one by one."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from embedder.models.batching import AdaptiveBudget, plan
from embedder.models.loading import LLMOptions, load_backbone
from embedder.models.workers import MOST_WORKERS, count_workers, has_replicas, replicate
from tests.models import save_llama

Batch = NDArray[np.int64]
LENGTHS = [3 + (7 * at) % 11 for at in range(40)]
BUDGET = 24


@pytest.fixture(autouse=True)
def _four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    assert torch.get_num_threads() == 4
    assert not count_readers()  # nobody is left behind
    torch.set_num_threads(before)


def count_readers() -> int:
    return sum(thread.name.startswith("reading") for thread in threading.enumerate())


def run_all(
    budget: AdaptiveBudget,
    run: Callable[[Batch], tuple[int, ...]],
    at_once: bool = True,
    tell: Callable[[int], None] = lambda _: None,
) -> list[tuple[int, ...]]:
    def choose(waiting: Sequence[int]) -> Batch:
        return plan([LENGTHS[place] for place in waiting], 0, budget.tokens)[0]

    return budget.run_batches(LENGTHS, choose, lambda n: [run] * (n if at_once else 1), tell)


def content(batch: Batch) -> tuple[int, ...]:
    return tuple(batch.tolist())


def test_outputs_and_progress_in_order() -> None:
    """The first batch takes longest: the others finish before it and wait."""
    told: list[tuple[int, int]] = []
    in_threads: set[tuple[int, int]] = set()

    def run(batch: Batch) -> tuple[int, ...]:
        in_threads.add((threading.get_ident(), torch.get_num_threads()))
        time.sleep(0.05 if 5 in batch else 0.002)
        return content(batch)

    here = threading.get_ident()
    serial = run_all(AdaptiveBudget(BUDGET), content, at_once=False)
    outputs = run_all(
        AdaptiveBudget(BUDGET), run, tell=lambda n: told.append((n, threading.get_ident()))
    )
    assert outputs == serial
    assert told == [(len(output), here) for output in serial]
    assert len(in_threads) == 4 and {each for _, each in in_threads} == {1}


def test_threads_of_torch_are_shared_out() -> None:
    """Three batches on four threads: each gets one, and a single batch gets all of them."""
    torch.set_num_threads(4)
    assert [count_workers(batches) for batches in (0, 1, 3, 4, 100)] == [1, 1, 3, 4, 4]
    torch.set_num_threads(MOST_WORKERS * 2)
    assert count_workers(100) == MOST_WORKERS
    torch.set_num_threads(1)
    assert count_workers(100) == 1
    torch.set_num_threads(4)


def test_new_threads_keep_the_number_of_the_program() -> None:
    """Torch gives a new thread the number that was set last, in whichever thread."""
    numbers: list[int] = []

    def tell(_: int) -> None:
        thread = threading.Thread(target=lambda: numbers.append(torch.get_num_threads()))
        thread.start()
        thread.join()

    run_all(AdaptiveBudget(BUDGET), content, tell=tell)
    assert set(numbers) == {4}


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("slow", [0, 1, 2, 3])
def test_memory_that_runs_out_halves_the_budget(at_once: bool, slow: int) -> None:
    """Which batch fails first in time makes no difference, and nothing is told twice."""
    told: list[int] = []

    def run(batch: Batch) -> tuple[int, ...]:
        time.sleep(0.01 * (len(batch) % 4 == slow))
        if sum(LENGTHS[place] for place in batch) > 16 and len(batch) > 2:
            raise MemoryError
        return content(batch)

    budget, halved = AdaptiveBudget(BUDGET), AdaptiveBudget(BUDGET)
    serial = run_all(halved, run, at_once=False)
    assert run_all(budget, run, at_once=at_once, tell=told.append) == serial
    assert budget.tokens == halved.tokens == 12
    assert sum(told) == len(LENGTHS)
    assert sorted(place for output in serial for place in output) == list(range(len(LENGTHS)))


def test_batches_that_fit_alone_only_keep_the_budget() -> None:
    """Memory for one batch, not for two: they go one by one, and later ones from the start."""
    running, most = threading.Semaphore(1), 0

    def run(batch: Batch) -> tuple[int, ...]:
        nonlocal most
        if not running.acquire(blocking=False):
            raise MemoryError
        try:
            most = max(most, count_readers())
            time.sleep(0.003)
            return content(batch)
        finally:
            running.release()

    budget = AdaptiveBudget(BUDGET)
    assert run_all(budget, run) == run_all(AdaptiveBudget(BUDGET), content, at_once=False)
    assert (budget.tokens, budget.crowded) == (BUDGET, True)
    most = 0
    run_all(budget, run)
    assert most == 0


@pytest.mark.parametrize("at_once", [False, True])
def test_the_allocator_of_processors_says_it_otherwise(at_once: bool) -> None:
    """It raises a RuntimeError, which was once taken for a fault of the model."""

    def run(batch: Batch) -> tuple[int, ...]:
        if len(batch) > 1:
            torch.empty(1 << 50)
        return content(batch)

    budget = AdaptiveBudget(BUDGET)
    assert {len(output) for output in run_all(budget, run, at_once)} == {1}

    def never(_: Batch) -> tuple[int, ...]:
        raise RuntimeError(f"{torch.empty(1 << 50)}")

    with pytest.raises(MemoryError, match="one text of 13 tokens does not fit in memory"):
        run_all(AdaptiveBudget(BUDGET), never, at_once)


def test_the_first_error_of_the_batches_is_raised() -> None:
    begun: list[int] = []

    def run(batch: Batch) -> tuple[int, ...]:
        begun.append(len(begun))
        time.sleep(0.02)
        raise KeyError(content(batch))

    first = run_all(AdaptiveBudget(BUDGET), content, at_once=False)[0]
    with pytest.raises(KeyError) as raised:
        run_all(AdaptiveBudget(BUDGET), run)
    assert raised.value.args == (first,)
    assert len(begun) <= 8  # the batches that wait are not begun


def test_who_is_told_of_a_batch_may_read_texts_too() -> None:
    """It waited for the batches that it was told of, and they for it."""
    inner: list[list[tuple[int, ...]]] = []

    def tell(_: int) -> None:
        if not inner:
            inner.append(run_all(AdaptiveBudget(BUDGET), content))

    def read() -> None:
        inner.append(run_all(AdaptiveBudget(BUDGET), content, tell=tell))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(10)
    assert inner == 2 * [run_all(AdaptiveBudget(BUDGET), content, at_once=False)]


def test_an_interrupt_ends_all_threads() -> None:
    """Control-C reaches the main thread, which waits for the workers' batches."""
    begun: list[Batch] = []

    def run(batch: Batch) -> tuple[int, ...]:
        begun.append(batch)
        if len(begun) == 4:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.05)
        return content(batch)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            run_all(AdaptiveBudget(BUDGET), run)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(begun) <= 8


def test_replicas_share_weights_and_no_hooks(tmp_path: Path) -> None:
    backbone = load_backbone(save_llama(tmp_path), LLMOptions(dtype="float32", device="cpu"))[0]
    model = backbone.model
    assert has_replicas(model)
    replica = replicate(model)
    assert all(a is b for a, b in zip(model.parameters(), replica.parameters(), strict=True))
    assert all(a is b for a, b in zip(model.buffers(), replica.buffers(), strict=True))
    assert not {id(module) for module in model.modules()} & {id(m) for m in replica.modules()}
    assert replica.config is model.config
    replica.model.layers[0].register_forward_hook(lambda *_: None)
    assert not model.model.layers[0]._forward_hooks
    with model.model.layers[1].register_forward_hook(lambda *_: None):
        assert not has_replicas(model)  # somebody watches this very model
    with torch.autocast("cpu"):
        assert not has_replicas(model)  # which holds for this thread only
    assert has_replicas(model)
