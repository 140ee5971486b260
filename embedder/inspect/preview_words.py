"""The words that a model says of a text: of its sparse row, or the likeliest after the prompt."""

from dataclasses import replace

from embedder.encoders.llm import LLMEncoder
from embedder.inspect.word_columns import piece_words, whole_words
from embedder.prompts.readout_rules import SparseRules
from embedder.types import Role


def words_of(
    encoder: LLMEncoder, text: str, role: Role, top: int, pieces: bool = False
) -> list[tuple[str, float]]:
    """Return the strongest words of the sparse row, or those likely to be said next, or none.

    Args:
        encoder: of the prompt.
        text: what is put into it.
        role: side of the prompt.
        top: words.
        pieces: give the tokens that the model knows in place of the text's words.
    """
    reading = encoder.prompt.reading
    if reading.sparse is not None:
        write = piece_words if pieces else whole_words
        return write(encoder, _weights(encoder, text, role), [text])[:top]
    if not reading.at_last_token:
        return []
    return _next(encoder, text, role, top, pieces)


def _weights(encoder: LLMEncoder, text: str, role: Role) -> dict[int, float]:
    """Return the terms of the sparse rows; a term of several rows has its largest weight."""
    rows = encoder.encode([text], role).sparse
    weights: dict[int, float] = {}
    if rows is not None:
        for term, weight in zip(rows.indices.tolist(), rows.data.tolist(), strict=True):
            weights[term] = max(weight, weights.get(term, 0.0))
    return weights


def _next(
    encoder: LLMEncoder, text: str, role: Role, top: int, pieces: bool
) -> list[tuple[str, float]]:
    """Ask for the likeliest next tokens, with all that is done to states on the way.

    Wordings are averaged by their logits, as sparse rows are.
    """
    import numpy as np
    import torch

    from embedder.encoders.batch_output import refuse_nan
    from embedder.encoders.reader import PromptReader
    from embedder.inputs.vocabulary import TermVocabulary

    rules = SparseRules()
    reading = replace(encoder.prompt.reading, dense=False, sparse=rules)
    prompt = replace(encoder.prompt, reading=reading, filter=None)
    reader = PromptReader(encoder.backbone, prompt)
    inputs = reader.feed([text], role, encoder.options.max_text_tokens)
    logits = reader.read(inputs, role).logits
    if logits is None:
        raise AssertionError("a pass that was asked for logits gave none")
    refuse_nan(np.zeros(1, np.int64), logits.float().cpu().numpy())
    likely, ids = torch.softmax(logits[0].float(), dim=0).topk(min(top, logits.shape[1]))
    table = TermVocabulary(encoder.backbone.tokenizer, encoder.backbone.vocab, rules)
    called = [(not pieces and table.readable(term)) or table.name(term) for term in ids.tolist()]
    return list(zip(called, likely.tolist(), strict=True))
