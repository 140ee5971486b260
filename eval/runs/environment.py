"""Where something was measured: machine, cores, memory, accelerator, versions of libraries."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from index.channels.threads import cores

LIBRARIES = (
    *("lastword", "torch", "transformers", "sentence-transformers", "numpy", "scipy", "numba"),
    *("faiss-cpu", "faiss-gpu", "ir-measures", "pytrec-eval-terrier", "scikit-learn", "mteb"),
)


def describe_environment() -> dict[str, Any]:
    """Describe this machine and the versions that are installed on it."""
    return {
        "machine": processor(),
        "cores": cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "accelerator": _accelerator(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": library_versions(),
    }


def library_versions() -> dict[str, str]:
    """Return the versions of lastword and of the libraries that change what it computes."""
    return {name: number for name in LIBRARIES if (number := _version(name))}


def processor() -> str:
    """Return the model of the processor where Linux tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _accelerator() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
