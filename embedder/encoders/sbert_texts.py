"""Keep texts from spelling control tokens while a sentence-transformers model encodes them."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from embedder.encoders.sbert_prompt import SbertWording
from embedder.inputs.marked_tokenizer import unspelled
from embedder.inputs.text_tokens import TextTokenizer

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


@contextmanager
def texts_as_text(
    model: "SentenceTransformer | SparseEncoder | CrossEncoder",
    wording: SbertWording,
    texts: Sequence[str],
) -> Iterator[tuple[SbertWording, list[str]]]:
    """Give the wording and the texts that the model is to be handed meanwhile.

    Where a text spells a control token, the model's tokenizers find those by marks for a while,
    which stand in the wording that is given. Nobody else may use the model then.
    """
    from transformers import PreTrainedTokenizerBase

    if not isinstance(model.tokenizer, PreTrainedTokenizerBase):
        yield wording, list(texts)
        return
    cutter = TextTokenizer(model.tokenizer)
    own = cutter.count_spelled(wording.prompt) + cutter.count_spelled(wording.after)
    if not any(cutter.count_spelled(wording.whole(text)) > own for text in texts):
        yield wording, list(texts)
        return
    pairs = [(tokenizer, TextTokenizer(tokenizer).marked) for tokenizer in _tokenizers(model)]
    if any(marked is None for _, marked in pairs):
        logger.warning(
            "special tokens that texts spell act as such: this model's tokenizer is written in "
            "Python"
        )
        yield wording, list(texts)
        return
    originals = [(tokenizer, *_state(tokenizer)) for tokenizer, _ in pairs]
    try:
        for tokenizer, marked in pairs:
            tokenizer._tokenizer, tokenizer._special_tokens_map = _state(marked)
        marked_wording = SbertWording(
            cutter.mark(wording.prompt), wording.joint, cutter.mark(wording.after)
        )
        yield marked_wording, [unspelled(text) for text in texts]
    finally:
        for tokenizer, backend, names in originals:
            tokenizer._tokenizer, tokenizer._special_tokens_map = backend, names


def _tokenizers(
    model: "SentenceTransformer | SparseEncoder | CrossEncoder",
) -> "list[PreTrainedTokenizerBase]":
    """Return every tokenizer of a model: it may have one for each role."""
    from transformers import PreTrainedTokenizerBase

    owners = (model, *model.modules())
    distinct = {id(own): own for owner in owners if (own := getattr(owner, "tokenizer", None))}
    return [own for own in distinct.values() if isinstance(own, PreTrainedTokenizerBase)]


def _state(tokenizer: Any) -> tuple[Any, Any]:  # noqa: ANN401  (private parts, which have no types)
    return tokenizer._tokenizer, tokenizer._special_tokens_map
