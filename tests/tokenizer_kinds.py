"""Small trained tokenizers of the kinds that people use, with their special tokens and habits."""

import json
from collections.abc import Callable
from functools import cache

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from tests.models import CHAT, LINES

# White space, signs and digits at the edges of texts, and what looks like markup.
TEXTS = [
    "",
    " ",
    "magma",
    " lava flows",
    "lava flows ",
    "  two  spaces  ",
    "What is magma?",
    "It's 3.14, or 1,000!",
    '"quoted"',
    "'single'",
    "\n",
    "line one\nline two\n",
    "\ttab",
    "7",
    "e\u0301t\u00e9 \u6771\u4eac \U0001f30b",
    "#!$%&/()=",
    "<b>bold</b> & [x] {text}",
]
_BOS_EOS = ["<unk>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]


def byte_bpe(prefix_space: bool = False) -> Tokenizer:
    """GPT-2, Llama 3, Qwen: bytes, nothing in front of a text unless `prefix_space`."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        LINES, trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    )
    inner.add_special_tokens(_BOS_EOS)
    return inner


def neox() -> Tokenizer:
    """GPT-NeoX: NFC, and added tokens for runs of spaces that are ordinary text."""
    inner = byte_bpe()
    inner.normalizer = normalizers.NFC()
    inner.add_tokens([AddedToken("  ", normalized=True), AddedToken("    ", normalized=True)])
    return inner


def metaspace_bpe() -> Tokenizer:
    """Llama 2, Mistral v0.1: a normaliser writes the word mark, unknown characters are bytes."""
    inner = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    inner.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.Fuse()])
    first = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=first, max_token_length=12, show_progress=False
    )
    inner.train_from_iterator(LINES, trainer)
    data = json.loads(inner.to_str()) | {"added_tokens": []}  # bytes are no special tokens
    kept = Tokenizer.from_str(json.dumps(data))
    kept.add_special_tokens(_BOS_EOS)
    return kept


def metaspace_unigram(scheme: str = "always") -> Tokenizer:
    """T5, Gemma, XLM-R: a unigram model whose vocabulary holds its own control pieces."""
    inner = Tokenizer(models.Unigram())
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    inner.decoder = decoders.Metaspace(prepend_scheme=scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=300,
        special_tokens=["<unk>", "<s>", "</s>"],
        unk_token="<unk>",
        show_progress=False,
    )
    inner.train_from_iterator(LINES, trainer)
    inner.add_special_tokens(_BOS_EOS)
    return inner


def wordpiece() -> Tokenizer:
    """BERT: lower case, no accents, private characters dropped."""
    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]"], show_progress=False
    )
    inner.train_from_iterator([*LINES, "< > / | s [ ] cls sep unk"], trainer)
    inner.add_special_tokens(_BOS_EOS[3:])
    return inner


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte-bpe": byte_bpe,
    "byte-bpe-prefix-space": lambda: byte_bpe(prefix_space=True),
    "gpt-neox": neox,
    "metaspace-bpe": metaspace_bpe,
    "metaspace-unigram": metaspace_unigram,
    "metaspace-first": lambda: metaspace_unigram("first"),
    "wordpiece": wordpiece,
}
# What a tokenizer puts before and after a text by itself.
ENDS = {"neither": ("", ""), "bos": ("bos", ""), "both": ("bos", "eos")}


@cache
def tokenizer_of(kind: str, ends: str = "bos") -> PreTrainedTokenizerFast:
    """Return a tokenizer of KINDS that adds ENDS to a text; to be left as it is."""
    inner = KINDS[kind]()
    if kind == "wordpiece":
        names = {"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "[UNK]"}
    else:
        names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    own = {"bos": names["bos_token"], "eos": names["eos_token"], "": ""}
    first, last = (own[end] for end in ENDS[ends])
    if first:
        inner.post_processor = processors.TemplateProcessing(
            single=f"{first} $A {last}".strip(),
            special_tokens=[(one, inner.token_to_id(one)) for one in (first, last) if one],
        )
    made = PreTrainedTokenizerFast(tokenizer_object=inner, **names)
    made.chat_template = CHAT
    return made
