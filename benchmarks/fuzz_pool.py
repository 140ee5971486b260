"""Worker processes that run trials within a time limit, replaced when they crash or hang."""

import multiprocessing
import os
import queue
import resource
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

from benchmarks.fuzz_trial import Outcome, Trial, Verdict, verdict_of

START_SECONDS = 600.0  # imports and the first model, on a machine that others use
MEMORY = 8 << 30  # bytes of one worker: a number from a file must not take the machine's
_CONTEXT = multiprocessing.get_context("spawn")

Result = tuple[int, Trial, Verdict]


def run_trials(trials: Iterable[Trial], folder: Path, workers: int) -> Iterator[Result]:
    """Run trials, each in `folder`/NUMBER, which is left as the trial leaves it.

    Yields:
        Numbers from 0 in the order of `trials`, the trial, and what became of it, in the order
        in which they end.
    """
    pending, lock = enumerate(trials), threading.Lock()
    results: queue.Queue[Result | BaseException | None] = queue.Queue()

    def work() -> None:
        worker = _Worker(folder)
        try:
            while True:
                with lock:
                    number, trial = next(pending, (-1, None))
                if trial is None:
                    break
                results.put((number, trial, worker.run(number, trial)))
        except BaseException as error:  # the campaign's own fault: raised where results are read
            results.put(error)
        finally:
            worker.stop()
            results.put(None)

    for _ in range(workers):
        threading.Thread(target=work, daemon=True).start()
    running = workers
    while running:
        result = results.get()
        if isinstance(result, BaseException):
            raise result
        if result is None:
            running -= 1
        else:
            yield result


class _Worker:
    """A process that runs one trial after the other, and its successors."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start()

    def run(self, number: int, trial: Trial) -> Verdict:
        """Run a trial; a process that crashes or hangs is replaced."""
        try:
            self._pipe.send((self._folder / str(number), trial))
            seconds = trial.seconds * _waiting()
            if self._pipe.poll(seconds):
                verdict: Verdict = self._pipe.recv()
                return verdict
            failure = Verdict("hang", f"no end within {seconds:.0f} seconds")
        except (EOFError, OSError):
            self._process.join(10)
            code = self._process.exitcode or 0
            name = signal.Signals(-code).name if code < 0 else f"the process ended with {code}"
            failure = Verdict("signal", name)
        self.stop()
        self._start()
        return failure

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _start(self) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, self._folder), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(START_SECONDS):
            raise TimeoutError(f"a worker has not started within {START_SECONDS:g} seconds")
        self._pipe.recv()


def _waiting() -> float:
    """Return how many times longer work takes than on a machine of one's own, 1 at least."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _serve(pipe: Connection, folder: Path) -> None:
    """Run trials in this process, from its start to its end."""
    home = folder / f"home-{os.getpid()}"
    home.mkdir()
    os.environ |= {"HOME": str(home), "XDG_CACHE_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    os.environ |= {"OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "100"}
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import lastword.app  # noqa: F401  (paid once)

    pipe.send("ready")
    while True:
        try:
            place, trial = pipe.recv()
        except EOFError:
            return
        _lay_out(trial, place)
        outcomes = [_command(arguments, trial.stdin, place) for arguments in trial.commands]
        pipe.send(verdict_of(trial, outcomes, _judged(trial, place, outcomes)))


def _lay_out(trial: Trial, place: Path) -> None:
    if trial.base is not None:
        shutil.copytree(trial.base, place, symlinks=True)
    place.mkdir(exist_ok=True)
    for name in trial.absent:
        path = place / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, data in trial.files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    for name, target in trial.links.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).symlink_to(target)


def _command(arguments: tuple[str, ...], stdin: bytes, place: Path) -> Outcome:
    """Run a command as a process of its own would run it, but for the imports."""
    from lastword.main import main

    files = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
    os.write(files[0], stdin)
    os.lseek(files[0], 0, os.SEEK_SET)
    for number, file in enumerate(files):
        os.dup2(file, number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout, sys.stderr = _writable(1), _writable(2)
    os.chdir(place)
    try:
        code = main(list(arguments))
    except BaseException:  # which main promises not to let out
        code = 1
        traceback.print_exc()
    finally:
        os.chdir(place.parent)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    texts = [os.pread(file, 1 << 20, 0).decode("utf-8", "backslashreplace") for file in files[1:]]
    for file in files:
        os.close(file)
    return Outcome(code, *texts)


def _writable(file: int) -> TextIO:
    return open(file, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def _judged(trial: Trial, place: Path, outcomes: list[Outcome]) -> str:
    if trial.judge is None:
        return ""
    try:
        return trial.judge(place, outcomes)
    except Exception:
        return f"the judge failed: {traceback.format_exc(limit=-3)}"
