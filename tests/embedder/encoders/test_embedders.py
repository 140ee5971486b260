"""Instruction embedders: the string that each is fed, the tokens that are pooled, the states."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from embedder.models.pooling import read_positions
from embedder.prompts.files import load_prompt, prompt_library
from embedder.types import Role
from tests.shapes import save_shape
from tests.slow import TEXTS, TOLERANCE, Pair, far

LIBRARY = {name: load_prompt(name) for name in prompt_library()}


@dataclass(frozen=True)
class Embedder:
    """An instruction embedder as its authors feed and read it.

    Attributes:
        shape: the kind of model it is.
        query: the whole string of a query, special tokens included.
        document: that of a document.
        read: the characters whose tokens are pooled; the same for both roles.
        specials: tokens that its tokenizer has.
    """

    shape: str
    query: str
    document: str
    read: str
    specials: tuple[str, ...] = ()


ICL = ("<instruct>", "<query>", "<response>")
LLAMA_3 = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
USER = "<|start_header_id|>user<|end_header_id|>\n\n"
EMBEDDERS = {
    "e5-mistral": Embedder(
        "mistral", "<s>Instruct: {task}\nQuery: {text}</s>", "<s>{text}</s>", "</s>"
    ),
    "qwen3-embedding": Embedder(
        "qwen3",
        "<s>Instruct: {task}\nQuery:{text}<|endoftext|>",
        "<s>{text}<|endoftext|>",
        "<|endoftext|>",
        ("<|endoftext|>",),
    ),
    "gritlm": Embedder(
        "mistral", "<s><|user|>\n{task}\n<|embed|>\n{text}", "<s><|embed|>\n{text}", "{text}"
    ),
    "bge-en-icl": Embedder(
        "mistral",
        "<s><instruct>{task}\n<query>{text}\n<response></s>",
        "<s>{text}</s>",
        "</s>",
        ICL,
    ),
    "lens": Embedder(
        "mistral", "<s><instruct>{task}\n<query>{text}</s>", "<s>{text}</s>", "{text}", ICL
    ),
    "nv-embed": Embedder(
        "mistral", "<s>Instruct: {task}\nQuery: {text}</s>", "<s>{text}</s>", "{text}</s>"
    ),
    "llm2vec-llama-3": Embedder(
        "llama",
        "<s>" + USER + "{task} {text}<|eot_id|>",
        "<s>" + USER + "{text}<|eot_id|>",
        "{text}",
        LLAMA_3,
    ),
    "llm2vec-mistral": Embedder(
        "mistral", "<s>[INST] {task} {text} [/INST]", "<s>[INST] {text} [/INST]", "{text}"
    ),
    "llm2vec-qwen2": Embedder(
        "qwen2",
        "<s><|im_start|>user\n{task} {text}<|im_end|>",
        "<s><|im_start|>user\n{text}<|im_end|>",
        "{text}",
        ("<|im_start|>", "<|im_end|>"),
    ),
    "llm2vec-gemma2": Embedder(
        "gemma2",
        "<s><start_of_turn>user\n{task} {text}<end_of_turn>",
        "<s><start_of_turn>user\n{text}<end_of_turn>",
        "{text}",
        ("<start_of_turn>", "<end_of_turn>"),
    ),
    "echo-trained": Embedder(
        "mistral",
        "<s>Instruct:{task},\nQuery:{text}\nQuery again:{text}</s>",
        "<s>Document:{text}\nDocument again:{text}</s>",
        "{text}</s>",
    ),
    "kalm": Embedder("qwen2", "<s>Instruct: {task} \n Query: {text}", "<s>{text}", ""),
}


def test_every_instruction_embedder_is_listed() -> None:
    assert set(EMBEDDERS) == {name for name, prompt in LIBRARY.items() if prompt.task}


@pytest.mark.parametrize("name", EMBEDDERS)
def test_an_instruction_embedder_is_fed_and_read_as_its_authors_do(
    name: str, tmp_path: Path
) -> None:
    known, prompt = EMBEDDERS[name], LIBRARY[name]
    pair = Pair.load(save_with(known.specials, save_shape(known.shape, tmp_path)))
    encoder = pair.encoder(prompt)
    for role, string in ((Role.QUERY, known.query), (Role.DOCUMENT, known.document)):
        for text in TEXTS:
            (row,) = encoder.fed(text, role).wordings
            assert said(pair, row.ids) == string.format(task=prompt.task, text=text)
            read = read_positions(row, prompt.reading) + (prompt.reading.pool == "max")
            # A space before the text may be in the text's first token.
            pooled = known.read.format(text=text) or said(pair, row.ids)
            assert said(pair, [row.ids[at] for at in read]).lstrip(" ") == pooled
        got = encoder.states(TEXTS, role)
        assert far(got, pair.wanted(encoder, TEXTS, role)) <= TOLERANCE
        assert far(encoder.states(TEXTS[1:2], role), got[1:2]) <= TOLERANCE


def save_with(specials: tuple[str, ...], folder: Path) -> Path:
    """Teach a saved model more special tokens."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if specials:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(list(specials), special_tokens=True)
        tokenizer.save_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder)
        width = max(len(tokenizer), model.config.vocab_size)
        model.resize_token_embeddings(width, mean_resizing=False)
        model.save_pretrained(folder)
    return folder


def said(pair: Pair, ids: list[int]) -> str:
    text: str = pair.backbone.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    return text
