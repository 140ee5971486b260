"""Texts of an exact number of tokens, out of random words of a tokenizer."""

import random

from embedder.models.backbone import Backbone


def random_texts(backbone: Backbone, count: int, tokens: int, seed: int = 0) -> list[str]:
    """Make texts of exactly so many tokens out of whole words of the vocabulary."""
    tokenizer = backbone.tokenizer
    plain = sorted(
        word.removeprefix("\u2581")
        for word in tokenizer.get_vocab()
        if word.startswith("\u2581") and word[1:].isascii() and word[1:].isalpha()
    )
    alone = [
        word for word in plain if len(tokenizer(word, add_special_tokens=False).input_ids) == 1
    ]
    draw = random.Random(seed)
    # The full stop is one of the tokens: rules for sentences would add it.
    texts = [" ".join([*draw.choices(alone, k=tokens - 1), "."]) for _ in range(count)]
    counts = {len(ids) for ids in tokenizer(texts, add_special_tokens=False).input_ids}
    if counts != {tokens}:
        raise SystemExit(f"texts of {tokens} tokens were wanted; got {sorted(counts)}")
    return texts
