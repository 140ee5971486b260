"""How fast a model reads here, asked of a process that is given half a minute."""

import os
import subprocess
import sys

from embedder.module_path import module_path

LIMIT = 30.0  # seconds, start and loading included
_PROGRAM = """import sys
from embedder.inspect.speed import measure_model
print(measure_model(sys.argv[1]).tokens_per_second)"""


def probe_speed(model: str) -> float | None:
    """Return tokens of texts a second, None where half a minute did not suffice or it failed."""
    environment = {**os.environ, "PYTHONPATH": module_path()}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _PROGRAM, model],
            capture_output=True, text=True, timeout=LIMIT, check=True, env=environment,
        )  # fmt: skip
        return float(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError):
        return None
