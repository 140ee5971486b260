"""Read states and logits off last tokens with gradients, as the engine does without."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from embedder.models.anatomy import last_token_outputs
from embedder.models.batching import plan, right_pad
from embedder.train.device import Device

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class LastTokens:
    """A causal LM that is being trained.

    Attributes:
        model: the LM, with or without adapters in it.
        device: where it is.
        budget: tokens that go through it together, padding included.
    """

    model: Any
    device: Device
    budget: int
    accepted: set[str] = field(init=False)

    def __post_init__(self) -> None:
        parameters = inspect.signature(self.model.base_model.forward).parameters
        object.__setattr__(self, "accepted", set(parameters))

    def read(self, rows: Sequence[Sequence[int]], logits: bool) -> "tuple[Tensor, Tensor | None]":
        """Run rows of ids, those of like length together, so that hardly any padding is read.

        Returns:
            the LM head's input at each last token, (n, dim) float32, and the logits there,
            (n, vocab) float32, if wanted.
        """
        import torch

        batches = plan([len(row) for row in rows], 0, self.budget)
        parts = [self._read([rows[i] for i in batch], logits) for batch in batches]
        back = self.device.tensor(np.argsort(np.concatenate(batches)))
        states = torch.cat([states for states, _ in parts])[back]
        scores = [scores for _, scores in parts if scores is not None]
        return states, torch.cat(scores)[back] if scores else None

    def _read(self, rows: Sequence[Sequence[int]], logits: bool) -> "tuple[Tensor, Tensor | None]":
        import torch

        padded, ends = right_pad(rows)  # attention is causal: no token sees the padding
        ids, last = self.device.tensor(padded), self.device.tensor(ends)
        inputs: dict[str, Any] = {"input_ids": ids, "use_cache": False}
        if "position_ids" in self.accepted:
            inputs["position_ids"] = torch.arange(ids.shape[1], device=ids.device)[None]
        here = torch.arange(len(rows), device=ids.device)
        with self.device.autocast():
            if not logits:
                states = self.model.base_model(**inputs).last_hidden_state
                return states[here, last].float(), None
            states, scores = last_token_outputs(self.model, inputs, last)
        return states.float(), scores.float()
