"""What a model has read after each of its blocks: states, and the words they would say.

Words of a block are those that the LM head says of its state behind the final norm (the logit lens
of nostalgebraist, 2020), as in SentenceLens (Hwang et al., "Let's Predict Sentence by Sentence",
2025), which reads intermediate states so.
"""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.reader import PromptReader
from embedder.inputs.vocabulary import TermVocabulary
from embedder.locks import lock_of
from embedder.models.anatomy import before_block
from embedder.prompts.readout_rules import SparseRules
from embedder.types import Role


@dataclass(frozen=True, slots=True)
class LayerWords:
    """What the state behind a block would say.

    Attributes:
        depth: blocks below it; 0 is the embedding of the last token.
        words: (word, probability), likeliest first.
        cosine: of the state and the topmost one, both as they leave their block.
    """

    depth: int
    words: tuple[tuple[str, float], ...]
    cosine: float


class LayerReader:
    """Reads the last token's state behind every block, in one pass for each text.

    Args:
        encoder: of a prompt that is read at the last token of one wording, as it stands.

    Raises:
        ValueError: the prompt reads something else, or the model has no LM head.
    """

    def __init__(self, encoder: LLMEncoder) -> None:
        self.backbone, self._limit = encoder.backbone, encoder.options.max_text_tokens
        prompt, reading = encoder.prompt, encoder.prompt.reading
        if not reading.at_last_token or reading.mode != "first-token":
            raise ValueError(
                f"{prompt.name} is not read where it ends: blocks are read at the prompt's last "
                "token, as by prompteol or promptreps"
            )
        self.backbone.check_head()
        top = replace(reading, layer=-1, norm="top", dense=True, sparse=None)
        self._reader = PromptReader(self.backbone, replace(prompt, reading=top, filter=None))
        if any(len(frames) > 1 for frames in self._reader.frames.values()):
            raise ValueError(f"{prompt.name} averages several wordings; show one of them")

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.backbone.layers)

    def read(self, text: str, role: Role) -> Tensor:
        """Return the states behind no block, one, ..., all: (blocks + 1, width), not normed."""
        inputs = self._reader.feed([text], role, self._limit)
        kept: dict[int, Tensor] = {}

        def keep(depth: int, states: Tensor) -> None:
            kept[depth] = states[0, -1].clone()  # of the last pass: an auxiliary one comes first

        with ExitStack() as hooks:
            hooks.enter_context(lock_of(self.backbone.model))
            for depth in range(self.blocks + 1):
                hook = before_block(self.backbone.layers, depth, partial(keep, depth))
                hooks.enter_context(hook)
            self._reader.read(inputs, role)
        return torch.stack([kept[depth] for depth in range(self.blocks + 1)])

    @torch.inference_mode()
    def norm(self, states: Tensor) -> Tensor:
        """Return states as the LM head takes them: behind the final norm."""
        for module in self.backbone.top:
            states = module(states)
        return states

    @torch.inference_mode()
    def say(self, text: str, role: Role, count: int) -> list[LayerWords]:
        """Return the likeliest words of every block.

        Probabilities are those of the LM head alone; what a model does to logits after it, as
        soft caps do, is left out.
        """
        states = self.read(text, role)
        head = self.backbone.model.get_output_embeddings()
        likely, ids = torch.softmax(head(self.norm(states)).float(), dim=-1).topk(count)
        cosines = torch.cosine_similarity(states.float(), states[-1:].float()).tolist()
        table = TermVocabulary(self.backbone.tokenizer, self.backbone.vocab, SparseRules())
        return [
            LayerWords(
                depth,
                tuple(
                    (table.readable(term) or table.name(term), amount)
                    for term, amount in zip(terms, amounts, strict=True)
                ),
                cosine,
            )
            for depth, (terms, amounts, cosine) in enumerate(
                zip(ids.tolist(), likely.tolist(), cosines, strict=True)
            )
        ]

    def rows(self, text: str, role: Role, norm: str) -> NDArray[np.float32]:
        """Return a dense row of unit length for every block: (blocks + 1, width).

        Args:
            text: to be read.
            role: of the text.
            norm: where the final norm is passed, as `ReadoutRules.norm` has it.
        """
        states = self.read(text, role)
        if norm == "always":
            states = self.norm(states)
        elif norm == "top":
            states = torch.cat([states[:-1], self.norm(states[-1:])])
        rows = torch.nn.functional.normalize(states.float(), dim=-1)
        return np.asarray(rows.cpu().numpy(), np.float32)
