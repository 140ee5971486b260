"""A process of its own that parses files, under limits of time and memory.

A file comes from anybody: it may keep a parser busy for ever or make it take all memory, also
inside of C code, where only the system can stop it. A line of JSON asks for a file; lines of JSON
answer: documents, what was skipped, signs of life, and notes at the end.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from retrieval.sources.items import Notes, Skipped
from retrieval.sources.listing import SourceFile
from retrieval.sources.options import SourceOptions
from retrieval.sources.reading import read_file


def main() -> None:
    """Answer until the asking side is gone."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a library prints is no answer
    request: dict[str, Any] = {}

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()
        _limit_time(request["seconds"])

    for line in sys.stdin:
        request = json.loads(line)
        options = SourceOptions(**request["options"])
        path = Path(request["path"])
        file = SourceFile(request["id"], path, request["named"], request["place"])
        _limit_memory(options.memory_megabytes << 20)
        request["seconds"] = options.seconds
        _limit_time(options.seconds)
        notes = Notes()
        for item in read_file(file, options, notes, lambda: answer({})):
            if isinstance(item, Skipped):
                answer({"skipped": [item.name, item.reason, item.kind]})
            else:
                place, document = item
                fields = [document.id, document.title, document.text, dict(document.metadata)]
                answer({"place": place, "document": fields})
        answer({"end": True, "counts": dict(notes.counts), "names": notes.names})
        _limit_time(0)


_limited = False


def _limit_memory(size: int) -> None:
    """Let this process take so many bytes beyond what it has; once, since it is no more then."""
    global _limited
    if _limited:
        return
    _limited = True
    with contextlib.suppress(ImportError, OSError, ValueError):  # not every system can
        import resource

        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + size, in_use + size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: int) -> None:
    """End this process once it has worked so long, by the processor's time."""
    timer = getattr(signal, "ITIMER_PROF", None)
    if timer is not None:
        signal.setitimer(timer, seconds)  # its signal is not caught


if __name__ == "__main__":
    main()
