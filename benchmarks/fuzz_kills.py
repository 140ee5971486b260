"""Kill -9 commands that write, at random moments; give the same command again; see what is left.

Half of the kills come after a random time, half before a random operation on a file in the folder,
so that the short moments between two of them are met as well. Nothing may be lost: whatever was
killed, the index is sound at a commit, and the same command again ends with the files of a run
that nobody interrupted, byte by byte but for times, and with no others.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmarks.fuzz_kills_works import ORDER, WORKS, Work, state_of
from benchmarks.fuzz_trial import Outcome, Trial

_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}
_OK = 0


@dataclass(frozen=True)
class Whole:
    """What a command leaves that nobody kills.

    Attributes:
        start: folder in which the command is given.
        state: name of each file then -> its content, "" where times are in it.
        seconds: how long it took.
        events: operations on files of the folder.
    """

    start: Path
    state: dict[str, bytes]
    seconds: float
    events: int


def campaign(seed: int, count: int) -> Iterator[Trial]:
    """Yield kills of every kind of work in turn."""
    for number in range(count):
        work = ORDER[number % len(ORDER)]
        yield Trial(
            name=f"{work}, kill {number}",
            judge=partial(_judge, name=work, seed=seed, number=number),
            seconds=600,
        )


def _judge(place: Path, outcomes: Sequence[Outcome], name: str, seed: int, number: int) -> str:
    """Kill the work and finish it; say what is wrong then."""
    work, rng = WORKS[name], np.random.default_rng([seed, number])
    whole = _whole(name, place.parent)
    shutil.rmtree(place)
    shutil.copytree(whole.start, place, symlinks=True)
    share = float(rng.random())
    if number // len(ORDER) % 2:
        at, when = (
            1 + int(share * whole.events),
            f"before operation {1 + int(share * whole.events)}",
        )
        code, _ = _run(work, place, event=at)
    else:
        seconds = 0.02 + share * whole.seconds
        at, when = 0, f"after {1000 * seconds:.0f} ms"
        code, _ = _run(work, place, seconds=seconds)
    if code not in (-signal.SIGKILL, _OK):
        return f"killed {when}: it ended with {code} instead: {_last_line(place)}"
    before = _soundness(work, place)
    if before:
        return f"killed {when}: {before}"
    code, _ = _run(work, place)
    line = _last_line(place)
    problems = [] if code in (0, 2) else [f"given again it ended with {code}"]
    state = state_of(work, place)
    if missing := sorted(whole.state.keys() - state.keys()):
        problems.append(f"missing: {', '.join(missing[:5])}")
    if left := sorted(state.keys() - whole.state.keys()):
        problems.append(f"left behind: {', '.join(left[:5])}")
    differing = [
        name for name in whole.state.keys() & state.keys() if state[name] != whole.state[name]
    ]
    if differing:
        problems.append(f"differ: {', '.join(sorted(differing)[:5])}")
    return f"killed {when}: {'; '.join(problems)} ({line})" if problems else ""


def _soundness(work: Work, place: Path) -> str:
    """Say what is wrong with the index of a work that was killed."""
    from index.folder import check

    if work.index is None or not (place / work.index / "manifest.json").exists():
        return "the manifest is gone" if work.index and work.had_index else ""
    return "; ".join(check(place / work.index))


@cache
def _whole(name: str, scratch: Path) -> Whole:
    """Do a work without interruption; once in each process."""
    work = WORKS[name]
    folder = scratch / f"kills-{os.getpid()}-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "start").mkdir(parents=True)
    code, _ = _run(Work(prepare=work.prepare), folder / "start")
    if code:
        raise RuntimeError(f"{name} cannot be prepared: {_last_line(folder / 'start')}")
    _warm()
    shutil.copytree(folder / "start", folder / "whole", symlinks=True)
    began = time.perf_counter()
    code, events = _run(work, folder / "whole", event=1 << 62)
    seconds = time.perf_counter() - began
    if code:
        raise RuntimeError(f"{name} failed where nobody killed it: {_last_line(folder / 'whole')}")
    return Whole(folder / "start", state_of(work, folder / "whole"), seconds, events)


def _run(work: Work, place: Path, seconds: float | None = None, event: int = 0) -> tuple[int, int]:
    """Do a work in a process that is forked off: imports are paid once.

    Args:
        work: what is done.
        place: in which folder.
        seconds: kill it then; None lets it end.
        event: it kills itself before this operation on a file of the folder; 0 never does.

    Returns:
        Its exit code, negative for a signal, and the operations counted, where `event` is given.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _child(work, place, event, writer)
    os.close(writer)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as pipe:
        counted = pipe.read()
    return os.waitstatus_to_exitcode(status), int(counted or b"0")


def _child(work: Work, place: Path, event: int, writer: int) -> None:
    """Do the work and end the process, whatever happens."""
    code, counted = 99, [0]
    try:
        output = os.open(f"{place}.said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        sys.stdout = sys.stderr = os.fdopen(output, "w", errors="backslashreplace")
        os.chdir(place)
        if event:
            _count_operations(place, event, counted)
        code = work.run(place)
        sys.stdout.flush()
        os.write(writer, str(counted[0]).encode())
    except BaseException:  # a child that is forked off must not go on as its parent
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _count_operations(place: Path, event: int, counted: list[int]) -> None:
    inside, here = f"{place}/", Path.cwd()

    def hook(name: str, arguments: tuple[object, ...]) -> None:
        if name not in _EVENTS or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = str(here / os.fsdecode(arguments[0]))
        if path.startswith(inside):
            counted[0] += 1
            if counted[0] == event:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _last_line(place: Path) -> str:
    try:
        text = Path(f"{place}.said").read_text("utf-8", "backslashreplace").strip()
    except FileNotFoundError:
        return ""
    return text.splitlines()[-1][:300] if text else ""


@cache
def _warm() -> None:
    """Import what commands import, and run nothing, so that no thread is forked away."""
    import numba  # noqa: F401
    import peft  # noqa: F401
    import safetensors.torch  # noqa: F401
    import scipy.sparse  # noqa: F401
    import torch  # noqa: F401
    import transformers.models.llama.modeling_llama  # noqa: F401

    import embedder.encoders.llm  # noqa: F401
    import eval.tasks.retrieval  # noqa: F401
    import lastword.app  # noqa: F401
    import retrieval.build  # noqa: F401
