"""Where a model learns, and in which arithmetic: CPU or GPU, bfloat16, fused, compiled."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Device:
    """One processor.

    Attributes:
        name: cpu, cuda, cuda:1, ...; `choose` also takes auto.
        half: whether matrices are multiplied in bfloat16; weights stay float32.
        compile: whether blocks are compiled. It costs a minute, and pays off in long runs.
    """

    name: str = "cpu"
    half: bool = True
    compile: bool = False

    @staticmethod
    def choose(name: str = AUTO, half: bool | None = None, compile: bool = False) -> "Device":  # noqa: A002
        """Return a device that is there.

        Args:
            name: auto takes a GPU where there is one.
            half: None multiplies in bfloat16 where the processor does so natively.
            compile: as the attribute.

        Raises:
            ValueError: it is not there, or is no device at all.
        """
        import torch

        if name == AUTO:
            name = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            torch.empty(0, device=name)
        except (RuntimeError, AssertionError) as error:  # torch raises either, by device
            reason = str(error).split("\n")[0]
            raise ValueError(f"device must be auto, cpu, cuda, cuda:1, ...: {reason}") from error
        if half is None:
            able = torch.cpu.get_capabilities()
            half = name != "cpu" or bool(able.get("amx_bf16") or able.get("avx512_bf16"))
        return Device(name, half, compile)

    @property
    def kind(self) -> str:
        """The name without a number."""
        return self.name.split(":")[0]

    def autocast(self) -> "AbstractContextManager[Any]":
        """Multiply in bfloat16 inside, where wanted and where the processor has it."""
        import torch

        old_gpu = self.kind == "cuda" and not torch.cuda.is_bf16_supported(
            including_emulation=False
        )
        if not self.half or old_gpu:
            return nullcontext()
        return torch.autocast(self.kind, torch.bfloat16)

    def tensor(self, array: "NDArray[Any]") -> "Tensor":
        """Return a NumPy array as a tensor on this device."""
        import torch

        return torch.from_numpy(array).to(self.name)

    def adam(self, groups: list[dict[str, Any]]) -> "torch.optim.Adam":
        """Return Adam without weight decay (Kingma & Ba, ICLR 2015), in one kernel."""
        import torch

        return torch.optim.Adam(groups, betas=(0.9, 0.99), fused=self.kind in ("cpu", "cuda"))
