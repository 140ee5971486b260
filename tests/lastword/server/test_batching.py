"""Items of many clients are computed together, and one client's fault is its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lastword.server.batching import BatchQueue

Steps = Callable[[BatchQueue], Awaitable[None]]


def run(steps: Steps, most_tokens: int = 1000, wait: float = 0.0) -> list[tuple[int, int]]:
    """Run steps beside a working queue; return items and tokens of each batch."""
    batches: list[tuple[int, int]] = []

    async def both() -> None:
        queue = BatchQueue(
            most_tokens, wait, lambda items, tokens, _: batches.append((items, tokens))
        )
        working = asyncio.create_task(queue.work())
        async with asyncio.timeout(10):
            await steps(queue)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    asyncio.run(both())
    return batches


def double(items: list[int]) -> list[int]:
    return [2 * item for item in items]


def test_what_comes_together_is_computed_together() -> None:
    async def steps(queue: BatchQueue) -> None:
        asked = [queue.submit(double, at, tokens=1) for at in range(10)]
        assert await asyncio.gather(*asked) == [2 * at for at in range(10)]

    assert run(steps) == [(10, 10)]


def test_a_batch_has_at_most_its_tokens_unless_one_item_has_more() -> None:
    async def steps(queue: BatchQueue) -> None:
        asked = [queue.submit(double, at, tokens=size) for at, size in enumerate([5, 5, 5, 99, 1])]
        assert await asyncio.gather(*asked) == [0, 2, 4, 6, 8]

    assert run(steps, most_tokens=10) == [(2, 10), (1, 5), (1, 99), (1, 1)]


def test_items_of_two_functions_share_a_turn_not_a_call() -> None:
    calls: list[list[int]] = []

    def note(items: list[int]) -> list[int]:
        calls.append(items)
        return items

    async def steps(queue: BatchQueue) -> None:
        asked = [queue.submit((double, note)[at % 2], at) for at in range(6)]
        assert await asyncio.gather(*asked) == [0, 1, 4, 3, 8, 5]

    assert run(steps) == [(3, 3), (3, 3)]
    assert calls == [[1, 3, 5]]


def test_a_fault_is_told_to_the_client_that_caused_it() -> None:
    """One text that a model refuses must not fail those of other clients beside it."""

    def refuse_odd(items: list[int]) -> list[int]:
        if any(item % 2 for item in items):
            raise ValueError("odd")
        return items

    async def steps(queue: BatchQueue) -> None:
        asked = [queue.submit(refuse_odd, at) for at in range(4)]
        answers: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
        assert answers[0::2] == [0, 2]
        assert [str(each) for each in answers[1::2]] == ["odd", "odd"]

    run(steps)


def test_a_client_that_leaves_is_not_computed() -> None:
    begun, go_on = threading.Event(), threading.Event()
    seen: list[int] = []

    def slow(items: list[int]) -> list[int]:
        seen.extend(items)
        begun.set()
        go_on.wait(10)
        return items

    async def steps(queue: BatchQueue) -> None:
        first = asyncio.create_task(queue.submit(slow, 0))
        await asyncio.to_thread(begun.wait, 10)
        leaving, staying = (asyncio.create_task(queue.submit(slow, at)) for at in (1, 2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert len(queue) == 1
        go_on.set()
        assert [await first, await staying] == [0, 2]

    run(steps)
    assert seen == [0, 2]


def test_one_client_alone_never_waits_for_others() -> None:
    async def steps(queue: BatchQueue) -> None:
        for at in range(3):
            assert await queue.submit(double, at) == 2 * at

    assert run(steps, wait=60) == [(1, 1)] * 3


def test_many_clients_wait_for_each_other_for_a_bounded_time() -> None:
    async def steps(queue: BatchQueue) -> None:
        await asyncio.gather(*(queue.submit(double, at) for at in range(4)))
        late = asyncio.create_task(queue.submit(double, 9))  # four are expected; none comes
        assert await late == 18

    assert run(steps, wait=0.01) == [(4, 4), (1, 1)]


def test_a_function_that_answers_too_few_is_a_fault() -> None:
    async def steps(queue: BatchQueue) -> None:
        with pytest.raises(RuntimeError, match="answered 0 of 1"):
            await queue.submit(lambda items: [], 1)

    run(steps)
