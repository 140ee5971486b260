"""Which device a model runs on: the one that was named, if there is one, or the best."""

import re


def resolve_device(name: str) -> str:
    """Return a device's name, "auto" resolved.

    Args:
        name: auto, cpu, cuda, cuda:1, mps, xpu, ...

    Raises:
        ValueError: there is no such device in this machine; says what there is.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name in ("cpu", "cpu:0"):
        return "cpu"
    if not re.fullmatch(r"[a-z]+(:\d{1,3})?", name) or re.match("meta|cpu:", name):
        raise ValueError(f"device must be auto, cpu, cuda, cuda:1 or mps; got {name!r}")
    if name.startswith("cuda") and not torch.cuda.is_available():
        built = "" if torch.version.cuda else ": this PyTorch is built without CUDA"
        raise ValueError(f"device {name!r} was asked for, and there is no CUDA GPU{built}; use cpu")
    try:
        torch.zeros(1, device=name).sum().item()
    except Exception as error:  # every backend has its own kind
        count = torch.cuda.device_count()
        there = f"; CUDA GPUs: {count}, from cuda:0" if name.startswith("cuda") else ""
        raise ValueError(f"device {name!r} cannot be used here{there}; use cpu") from error
    return name


def multiplies_bfloat16() -> bool:
    """Tell whether this machine's CPU has instructions for products of bfloat16 matrices."""
    import torch

    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))
