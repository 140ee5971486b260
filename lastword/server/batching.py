"""Texts of many clients are encoded together, by one thread.

While a batch is computed the next one gathers. When the thread is free it waits for as many items
as the last batch had, at most `wait` seconds: a client that is alone never waits.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

Answering = Callable[[list[Any]], Sequence[Any]]
"""Answers items in order; what it raises on several is raised for those that fail alone."""
Observing = Callable[[int, int, float], None]
"""Is told of each batch: its items, their tokens, and the seconds that it took."""


@dataclass(eq=False)
class _Waiting:
    run: Answering
    item: object
    tokens: int
    answer: "asyncio.Future[Any]"
    since: float = field(default_factory=time.monotonic)


class BatchQueue:
    """Gathers items into batches; used from one event loop, in which `work` is a task.

    Args:
        most_tokens: tokens of a batch, unless one item alone has more.
        wait: seconds.
        observe: see `Observing`.
    """

    def __init__(self, most_tokens: int, wait: float, observe: Observing = lambda *_: None) -> None:
        self._most_tokens, self._wait, self._observe = most_tokens, wait, observe
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._expected = 1
        self._thread = ThreadPoolExecutor(1, "lastword-model")

    def __len__(self) -> int:
        return len(self._waiting)

    async def submit(self, run: Answering, item: object, tokens: int = 1) -> Any:  # noqa: ANN401
        """Return what `run` answers for an item; one that is cancelled leaves its place."""
        waiting = _Waiting(run, item, tokens, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            with suppress(ValueError):  # it is in a batch already
                self._waiting.remove(waiting)
            raise

    async def work(self) -> None:
        """Compute batches until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                groups: dict[Answering, list[_Waiting]] = {}
                for waiting in await self._gather():
                    groups.setdefault(waiting.run, []).append(waiting)
                for run, members in groups.items():
                    start = time.monotonic()
                    items = [member.item for member in members]
                    answers = await loop.run_in_executor(self._thread, _answer, run, items)
                    for member, answer in zip(members, answers, strict=True):
                        _settle(member.answer, answer)
                    tokens = sum(member.tokens for member in members)
                    self._observe(len(members), tokens, time.monotonic() - start)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _gather(self) -> list[_Waiting]:
        """Wait for a batch, and take it."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        until = self._waiting[0].since + self._wait
        with suppress(TimeoutError):
            while len(self._waiting) < self._expected and not self._is_full():
                async with asyncio.timeout(until - time.monotonic()):
                    self._arrived.clear()
                    await self._arrived.wait()
        batch: list[_Waiting] = []
        tokens = 0
        while self._waiting and (
            not batch or tokens + self._waiting[0].tokens <= self._most_tokens
        ):
            batch.append(self._waiting.popleft())
            tokens += batch[-1].tokens
        self._expected = max(1, len(batch))
        return batch

    def _is_full(self) -> bool:
        return sum(each.tokens for each in self._waiting) >= self._most_tokens


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has: exact numbers would cost a tokenizer's time."""
    return 1 + len(text.encode()) // 4


def _answer(run: Answering, items: list[Any]) -> list[Any]:
    """Return an answer or an exception for each item."""
    try:
        answers = list(run(items))
        if len(answers) != len(items):
            raise RuntimeError(f"{run} answered {len(answers)} of {len(items)} items")
        return answers
    except Exception as error:
        if len(items) == 1:
            return [error]
    return [answer for item in items for answer in _answer(run, [item])]


def _settle(future: "asyncio.Future[Any]", answer: object) -> None:
    if future.done():  # the client has left
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
