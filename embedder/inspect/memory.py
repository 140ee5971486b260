"""Whether a listed model fits in the memory that is free, before it is loaded."""

import re
from contextlib import suppress
from pathlib import Path

from embedder.checkpoints.devices import multiplies_bfloat16
from embedder.checkpoints.gguf import is_gguf
from embedder.inspect.listed_model import ListedModel

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")  # the limit of a container, in version 2 of them


def check_memory(model: ListedModel) -> None:
    """Refuse a model that needs more memory than is free; where nobody says, none is refused.

    Raises:
        MemoryError: says how much it needs, and how much there is.
    """
    free, needs = free_memory(), memory_of(model)
    if free is not None and needs > free:
        raise MemoryError(
            f"it needs about {needs / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free"
        )


def memory_of(model: ListedModel) -> int:
    """Return about how many bytes the weights of a model take while it is loaded."""
    parameters = model.parameters or 0
    if is_gguf(model.name) or model.source == "package":
        return 6 * parameters  # converted: in float32, beside a copy in half precision
    half = model.size < 3 * parameters and multiplies_bfloat16()
    return (2 if half else 4) * parameters


def free_memory() -> int | None:
    """Return the bytes that programs can still take, or None where the system does not say."""
    try:
        available = re.search(r"^MemAvailable: +(\d+) kB$", MEMINFO.read_text(), re.MULTILINE)
    except OSError:
        return None
    if available is None:
        return None
    free = 1024 * int(available[1])
    with suppress(OSError, ValueError):  # no limit
        limit = int((CGROUP / "memory.max").read_text())
        taken = re.search(r"^anon (\d+)$", (CGROUP / "memory.stat").read_text(), re.MULTILINE)
        free = min(free, limit - int(taken[1] if taken else 0))
    return max(0, free)
