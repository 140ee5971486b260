"""Read the mean over the tokens of a text that matter to a summary of it (SCSP)."""

from typing import TYPE_CHECKING

import numpy as np

from embedder.inputs.tokenized import TokenizedText
from embedder.locks import lock_of
from embedder.methods.selection import SelectionRules, select_tokens
from embedder.models.backbone import Backbone
from embedder.models.pooling import KeepStates, TokenPooling, span_positions
from embedder.models.request import ReadRequest
from embedder.prompts.readout_rules import ReadoutRules

if TYPE_CHECKING:
    from torch import Tensor


def read_selected(
    backbone: Backbone,
    prefix: tuple[int, ...],
    row: TokenizedText,
    reading: ReadoutRules,
    rule: SelectionRules,
) -> "Tensor":
    """Read one text, ask for a summary after each of its chunks, and average what was looked at.

    Args:
        backbone: the model.
        prefix: ids that the row begins with and that are computed apart; may be empty.
        row: the text in its wording, with its chunks.
        reading: layer, norm and span of the states that are averaged.
        rule: the ask, and how much attention is enough.

    Returns:
        (1, dim) float32; the last token's state where the text has no tokens.
    """
    held = KeepStates()
    # Logits are asked for so that all blocks run: every layer's attention is looked at.
    wanted = ReadRequest(reading.layer, norm=reading.norm, take=held)
    step = backbone.read(prefix, [row.ids[len(prefix) :]], wanted, keep_cache=True)
    if step.cache is None or held.states is None or step.hidden is None:
        raise ValueError("[select] needs a model whose keys and values can be kept")
    if not row.chunks:
        return step.hidden.float()
    with lock_of(backbone.tokenizer):
        ask = backbone.tokenizer(rule.ask, add_special_tokens=False, verbose=False).input_ids
    chunks = [(chunk.start, chunk.stop) for chunk in row.chunks]
    chosen = select_tokens(backbone.model, step.cache, chunks, ask, rule).numpy()
    span = span_positions(row, reading)
    positions = span[chosen[span]]
    return (
        TokenPooling(np.zeros(len(positions), np.int64), positions)
        .mean(held.states, held.seen)
        .float()
    )
