"""The entry point of the command: whatever happens becomes one line and an exit code.

It imports next to nothing before its handling stands: Ctrl-C during imports is handled too.
"""

import atexit
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from lastword.cli.streams import TRACEBACK

FINISHED, PIPE_CLOSED, FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; the reader of our output (such as head) has left; an error; Ctrl-C."""

_INTERRUPTED = (
    "interrupted; what was committed is kept, and the same command again goes on from there"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Nothing is raised, whatever happens: an error of ours, of a library or of the machine is one
    line on stderr.

    Args:
        arguments: those of the command; None means those of this process, whose standard
            streams are then mended where they are closed or cannot write Unicode.
    """
    signals: list[int] = []
    ends: list[int] = []
    if arguments is None:
        atexit.register(_leave, ends)  # registered first, so that it runs last
    try:
        with _noted_interrupts(signals, own_process=arguments is None):
            code = _run(arguments)
    except BaseException as error:  # the last resort: nobody is left above
        code = _report(error, interrupted=bool(signals))
    ends.append(code)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    if arguments is None:
        from lastword.cli.streams import mend_streams

        mend_streams()
        _quieten_libraries()
    # Spinning threads lose 95 % of the speed where another program wants a core: docs/log.md.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # An error is one line, not every retry.
    for library in ("HF_HUB", "TRANSFORMERS"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    if not os.environ.get("COLUMNS", "").strip("0"):  # rich takes 0 for a width of nothing
        os.environ.pop("COLUMNS", None)
    from lastword.app import app

    words = sys.argv[1:] if arguments is None else list(arguments)
    code = app(args=words or ["--help"], prog_name="lastword", standalone_mode=False)
    if code == INTERRUPTED:  # what typer makes of Ctrl-C
        raise KeyboardInterrupt
    if code and words and words[0].endswith("-completion"):
        raise ValueError("completion is made for bash, zsh, fish and PowerShell; add one's name")
    sys.stdout.flush()  # here, where a full disk or a closed pipe can still be reported
    return code or FINISHED


def _quieten_libraries() -> None:
    """Keep warnings and log lines of libraries, which are for developers, off stderr."""
    import logging
    import warnings

    if not sys.warnoptions and not os.environ.get(TRACEBACK):
        warnings.simplefilter("ignore")
        logging.getLogger().addHandler(logging.NullHandler())


@contextmanager
def _noted_interrupts(signals: list[int], own_process: bool) -> Iterator[None]:
    """Append every Ctrl-C to `signals`: libraries turn some into errors of their own."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        raise KeyboardInterrupt

    previous = signal.getsignal(signal.SIGINT)
    try:
        if previous is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupt)
    except ValueError:  # not the main thread, which alone receives signals
        yield
        return
    if own_process:
        sys.unraisablehook = _pass_on_interrupt
    try:
        yield
    finally:
        if previous is signal.default_int_handler:
            # Nothing is left to interrupt but the interpreter's own end, which would complain.
            signal.signal(signal.SIGINT, signal.SIG_IGN if own_process else previous)


def _pass_on_interrupt(unraisable: "sys.UnraisableHookArgs") -> None:
    """Interrupt again if Ctrl-C fell into a callback, where Python drops exceptions."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        import _thread
        import threading

        threading.Timer(0.05, _thread.interrupt_main).start()
    elif os.environ.get(TRACEBACK):
        sys.__unraisablehook__(unraisable)


def _leave(ends: list[int]) -> None:
    """End with the exit code of Ctrl-C, not by its signal.

    Python ends itself by the signal where Ctrl-C fell into code that a library made of text.
    """
    if INTERRUPTED in ends:
        _give_up_stdout()
        os._exit(INTERRUPTED)


def _report(error: BaseException, interrupted: bool) -> int:
    """Say on stderr what went wrong, and return the exit code."""
    if isinstance(error, SystemExit) and not error.code:
        return FINISHED
    if os.environ.get(TRACEBACK):
        import traceback

        _write("".join(traceback.format_exception(error)))
    _give_up_stdout()
    if interrupted or isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        _write(f"lastword: {_INTERRUPTED}\n")
        return INTERRUPTED
    if any(isinstance(exception, BrokenPipeError) for exception in (error, error.__context__)):
        return PIPE_CLOSED
    from lastword.cli.error_line import error_line

    _write(f"lastword: {error_line(error, TRACEBACK)}\n")
    return FAILED


def _write(text: str) -> None:
    """Write to stderr, if that is possible: there is nowhere to report that it is not."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _give_up_stdout() -> None:
    """Turn stdout to nowhere if it takes nothing: the interpreter would try again at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        with suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
