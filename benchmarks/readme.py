"""Write into README.md what its example commands print, or check that it holds just that.

python -m benchmarks.readme [--check]

An example is a line "$ lastword ..." in a block of README.md; what follows up to the next one, or
to the end of the block, is its output on a terminal of WIDTH columns. The index is the demo's,
which is made first where it is not there (a minute); documentation strings differ between versions
of Python, and a build leaves out modules whose libraries it does not find, so README names the
version and the number of documents.
"""

import argparse
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
DEMO = "~/.cache/lastword/demo-*.index"  # as README calls the demo's index
WIDTH = 98
_BLOCK = re.compile(r"(?ms)^```\n(\$ lastword .*?)^```$")
_EXAMPLE = re.compile(r"(?m)^\$ (lastword .*)\n")
_STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
_SOURCE = re.compile(r"Python \d+\.\d+\.\d+ \([\d,]+ documents\)")


def examples(text: str) -> list[tuple[str, str]]:
    """Return the commands of README and what it says that they print."""
    pairs = []
    for block in _BLOCK.findall(text):
        _, *parts = _EXAMPLE.split(block)
        pairs += list(zip(parts[::2], (part.strip("\n") for part in parts[1::2]), strict=True))
    return pairs


def source_of(text: str) -> str:
    """Return whose documentation README's examples searched."""
    named = _SOURCE.search(text)
    if named is None:
        raise ValueError(f"{README} names no Python and documents beside its examples")
    return named[0]


def this_source(index: Path) -> str:
    """Name the version that runs, and the number of documents of the demo's index."""
    from index.folder import Index

    with Index.open(index) as opened:
        count = opened.documents
    return f"Python {'.'.join(map(str, sys.version_info[:3]))} ({count:,} documents)"


def rewritten(text: str, index: Path) -> str:
    """Return README with what its commands print now."""

    def block(match: "re.Match[str]") -> str:
        parts = [f"$ {command}\n{printed(command, index)}" for command, _ in examples(match[0])]
        return "```\n" + "\n\n".join(parts) + "\n```"

    return _SOURCE.sub(this_source(index), _BLOCK.sub(block, text), count=1)


def printed(command: str, index: Path) -> str:
    """Return what a command prints on a terminal, without what it remarks on stderr."""
    words = shlex.split(command.replace(DEMO, shlex.quote(str(index))))
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    environment = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")
    }
    with subprocess.Popen(
        [sys.executable, "-m", *words],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment | {"TERM": "xterm", "NO_COLOR": "1"},
    ) as running:
        os.close(theirs)
        text = _read_to_end(ours).decode()
        message = running.stderr.read().decode() if running.stderr else ""
    if running.returncode:
        raise ValueError(f"{command}: exit code {running.returncode}: {message}")
    lines = (line.rstrip() for line in _STYLE.sub("", text).replace("\r\n", "\n").split("\n"))
    return "\n".join(lines).rstrip("\n")


def demo_index() -> Path:
    """Make the demo's index, or find it."""
    command = [sys.executable, "-m", "lastword", "demo", "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path(json.loads(done.stdout)["index"])


def demo_index_in_cache() -> Path | None:
    """Find the index that the demo would use; None where it is not there, or unfinished."""
    from index.folder import Index
    from lastword.cli.encoders import make_encoders
    from lastword.cli.options import EncoderOptions
    from lastword.commands.collection.demo import demo_place

    place = demo_place(make_encoders(EncoderOptions()))
    if not place.exists():
        return None
    with Index.open(place) as index:
        return place if index.unfinished is None else None


def _read_to_end(terminal: int) -> bytes:
    data = b""
    with os.fdopen(terminal, "rb", buffering=0) as file:
        while True:
            try:
                some = file.read(4096)
            except OSError:  # how Linux says that nobody writes any more
                return data
            if not some:
                return data
            data += some


def main() -> int:
    """Rewrite or check."""
    parser = argparse.ArgumentParser(description="README's examples are what commands print.")
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if it differs")
    options = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    index = demo_index()
    if options.check and source_of(text) != this_source(index):
        print(f"README's examples are of {source_of(text)}; this is {this_source(index)}")
        return 0
    now = rewritten(text, index)
    if now == text:
        return 0
    if not options.check:
        README.write_text(now, encoding="utf-8")
        return 0
    print("README.md differs from what its commands print: python -m benchmarks.readme")
    return 1


if __name__ == "__main__":
    sys.exit(main())
