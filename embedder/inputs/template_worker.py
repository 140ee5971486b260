"""A process of its own that renders chat templates, under limits of time, memory and length.

A template comes with a model, from whoever made that: it may loop or grow for ever, also inside of
one call of C code, where only the system can stop it. One line of JSON asks, one answers. Nothing
but transformers is imported, so that what is rendered is what `apply_chat_template` renders.
"""

import contextlib
import json
import os
import signal
import sys
from typing import Any

SECONDS = 2  # of processor time for one conversation; templates of real models take milliseconds
MEMORY = 2**29  # bytes beyond what the imports take
LENGTH = 2**20  # characters rendered, beyond a few times what was asked


def main() -> None:
    """Answer until the asking side is gone."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a library prints is no answer
    from transformers.utils.chat_template_utils import render_jinja_template

    _limit_memory()
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        with _limited_time():
            try:
                rendered, _ = render_jinja_template(**request)
                answer = {"text": rendered[0]}
                if len(rendered[0]) > LENGTH + 8 * len(line):
                    answer = {"error": f"it rendered {len(rendered[0]):,} characters"}
            except MemoryError:
                answer = {"error": f"it took more than {MEMORY // 2**20} MB of memory"}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # not every system can
        import resource
        from pathlib import Path

        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + MEMORY, in_use + MEMORY))


@contextlib.contextmanager
def _limited_time() -> Any:  # noqa: ANN401
    """End the process, whatever it does, once it has worked for SECONDS."""
    timer = getattr(signal, "ITIMER_PROF", None)
    if timer is not None:
        signal.setitimer(timer, SECONDS)  # its signal is not caught
    yield
    if timer is not None:
        signal.setitimer(timer, 0)


if __name__ == "__main__":
    main()
