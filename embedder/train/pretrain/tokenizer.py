"""Train the tokenizer: a lower-cased BPE in which words do not know their neighbours."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD, BOS, EOS, UNKNOWN = "<|pad|>", "<|bos|>", "<|eos|>", "<|unk|>"
WORD_START = "▁"  # Metaspace's own
ALPHABET = 400  # signs; all others are unknown
MAX_LENGTH = 1024  # positions the model is configured for


def train_tokenizer(texts: Callable[[], Iterator[str]], vocabulary: int, known: str) -> "Tokenizer":
    """Learn BPE merges inside words.

    Every word, punctuation mark and run of digits is a piece of its own and carries the
    word-start mark, so a word alone gets the ids it has in a sentence. Sparse weights rely on
    that: the words of a text are looked up one by one.

    Args:
        texts: gives the training texts afresh; called twice.
        vocabulary: size including the four special tokens, at most 65,536 (ids are kept as uint16).
        known: signs that are known whether the texts hold them or not: those of the prompts.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from tokenizers.trainers import BpeTrainer

    if not 0 < vocabulary <= 1 << 16:
        raise ValueError(f"vocabulary must lie in 1..65536; got {vocabulary}")
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation("isolated"),
            pre_tokenizers.Digits(individual_digits=False),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    specials = [PAD, BOS, EOS, UNKNOWN]
    alphabet = _alphabet(tokenizer, texts(), known)
    trainer = BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=specials,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A",
        pair=f"{BOS} $A {BOS} $B",
        special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
    )
    return tokenizer


def _alphabet(tokenizer: "Tokenizer", texts: Iterator[str], known: str) -> list[str]:
    """List the commonest signs; of equally common ones the first by code point.

    The trainer would choose among those in hash order, which is another one in every process.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    frequent = sorted(counts, key=lambda sign: (-counts[sign], sign))[:ALPHABET]
    signs = {WORD_START, *frequent, *known.lower()}
    return sorted(sign for sign in signs if not sign.isspace())


def save_tokenizer(tokenizer: "Tokenizer", folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, as AutoTokenizer reads them."""
    from transformers import PreTrainedTokenizerFast

    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNKNOWN,
        pad_token=PAD,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
    fast.save_pretrained(folder)
    # Transformers 5 writes a class name that 4 does not know; both know this one.
    path = folder / "tokenizer_config.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
