"""Files read in their order; those that are not plain text by processes beside this one."""

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

from retrieval.sources.items import Item, Notes, Skipped
from retrieval.sources.listing import SourceFile
from retrieval.sources.options import SourceOptions
from retrieval.sources.parser_process import ParserProcess
from retrieval.sources.reading import is_plain_file, read_file

_MOST_WORKERS = 8
_AHEAD = 4  # files a worker that are parsed before their turn
_LOOKED_AT = 256  # files whose kind is found before their turn
_WAITING = 1 << 24  # characters of one file that wait to be taken


def read_files(
    files: Sequence[SourceFile], options: SourceOptions, notes: Notes
) -> Iterator[tuple[SourceFile, Item]]:
    """Yield what files hold, in their order.

    Plain text is read here. The rest is parsed ahead of its turn, beside whatever the caller does
    with what it was given.
    """
    pool = _Pool(options, len(files))
    try:
        for file, task in _ahead(files, pool):
            items = read_file(file, options, notes) if task is None else task.items(notes)
            for item in items:
                yield file, item
    finally:
        pool.close()


def _ahead(
    files: Sequence[SourceFile], pool: "_Pool"
) -> Iterator[tuple[SourceFile, "_Task | None"]]:
    """Yield files with the tasks that parse them, handed out some files before their turn."""
    coming: deque[tuple[SourceFile, _Task | None]] = deque()
    left, parsed = iter(files), 0
    while True:
        while parsed < pool.ahead and len(coming) < _LOOKED_AT:
            file = next(left, None)
            if file is None:
                break
            task = None if is_plain_file(file) else pool.submit(file)
            parsed += task is not None
            coming.append((file, task))
        if not coming:
            return
        file, task = coming.popleft()
        yield file, task
        parsed -= task is not None


class _Task:
    """A file that is parsed, and what is known of it so far."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self._items: deque[tuple[Item, int] | None] = deque()
        self._changed = threading.Condition()
        self._waiting = 0
        self._dropped = False
        self._notes = Notes()

    def run(self, process: ParserProcess) -> None:
        """Parse the file, pausing while much of it waits to be taken."""
        try:
            if self._dropped:
                return
            for item in process.read(self.file, self._notes):
                size = 100 if isinstance(item, Skipped) else 100 + len(item[1].text)
                with self._changed:
                    self._items.append((item, size))
                    self._waiting += size
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._waiting < _WAITING or self._dropped)
                if self._dropped:
                    process.stop()
                    return
        except Exception as error:  # else the taking side would wait for ever
            with self._changed:
                self._items.append((Skipped(self.file.called, f"{error}"), 0))
            process.stop()
        finally:
            with self._changed:
                self._items.append(None)
                self._changed.notify_all()

    def items(self, notes: Notes) -> Iterator[Item]:
        """Take what is known, waiting for more until the file is parsed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items)
                first = self._items.popleft()
                self._waiting -= first[1] if first else 0
                self._changed.notify_all()
            if first is None:
                notes.merge(self._notes)
                return
            yield first[0]

    def drop(self) -> None:
        """Let the parsing end: nobody takes it any more."""
        with self._changed:
            self._dropped = True
            self._changed.notify_all()


class _Pool:
    """Threads, each with a process that parses; started when they are first needed."""

    def __init__(self, options: SourceOptions, files: int) -> None:
        workers = options.workers or min(_MOST_WORKERS, os.cpu_count() or 1)
        self.workers = min(workers, max(1, files))
        self.ahead = _AHEAD * self.workers
        self._options = options
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._tasks: weakref.WeakSet[_Task] = weakref.WeakSet()
        self._processes: list[ParserProcess] = []

    def submit(self, file: SourceFile) -> _Task:
        """Have a file parsed, after those that were submitted before."""
        task = _Task(file)
        self._tasks.add(task)
        self._queue.put(task)
        if len(self._processes) < self.workers:
            process = ParserProcess(self._options)
            self._processes.append(process)
            atexit.register(process.kill)
            threading.Thread(target=_work, args=(self._queue, process), daemon=True).start()
        return task

    def close(self) -> None:
        """End the threads and their processes."""
        for task in list(self._tasks):
            task.drop()
        for process in self._processes:
            self._queue.put(None)
            process.kill()
            atexit.unregister(process.kill)


def _work(queue: "SimpleQueue[_Task | None]", process: ParserProcess) -> None:
    while (task := queue.get()) is not None:
        task.run(process)
    process.stop()
